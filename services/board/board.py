"""The board: merges observations of all sources and returns what changed.

A row leaves only when its source says so, twice in a row or by name. A probe that fails marks the
rows of its source stale and keeps them with the instant at which they were true. Sandboxes are
shown with the state of their way in joined to their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import cast

from services.board.comparison import NEVER, GatewayDoubts, SandboxComparison, UnknownWords
from services.board.deltas import BoardDelta, SourceLink, Totals, link_event
from services.board.index import RowChanges, RowIndex
from services.board.lag import VoidLook
from services.board.poller import ProbeFailure
from services.board.row_counts import totals
from services.board.shown import CLOSED, OwnRows, ShownSandboxes, StaleParts, shown
from services.clock import Clock
from services.models import (
    Event,
    Gateway,
    GatewayId,
    Known,
    Observation,
    Sandbox,
    SandboxId,
    SandboxState,
    Source,
    Staleness,
    Unknown,
    UnknownWord,
    as_stale,
)

VOID_LOOKS = 2
"""After this many void looks in a row the rows of a source are stale."""
STALE_INTERVALS = 3
"""A row not refreshed for this many intervals of its source is stale."""


class Board:
    """Current rows and link of every source.

    `failure_thresholds` says, by kind of source, how many polls in a row must find a gateway
    hung or unknown before the board believes it; the default is one.
    See upstream/vellum: Probe ladder.
    Intervals are the seconds between the polls of a source.
    """

    def __init__(
        self,
        clock: Clock,
        sources: Iterable[Source] = (),
        *,
        interval_s: float = 5.0,
        intervals: Mapping[str, float] = MappingProxyType({}),
        failure_thresholds: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._clock = clock
        self._sources = {source.key: source for source in sources}
        self._interval_s = interval_s
        self._intervals = dict(intervals)
        kinds = {source.key: source.kind for source in self._sources.values()}
        self._doubts = GatewayDoubts(
            {key: failure_thresholds.get(kind, 1) for key, kind in kinds.items()}
        )
        self._stale = StaleParts()
        self._gateways: RowIndex[Gateway] = RowIndex(
            *("name", "state", "reason", "address", "latency_s", "evidence", "stale"),
            *("since", "until", "missing_since"),
        )
        self._sandboxes: RowIndex[Sandbox] = RowIndex(
            *("name", "state", "reason", "gateway", "activity", "tool", "evidence", "inbound"),
            *("outbound", "asleep_by_design", "unavailable", "stale", "needs", "own_state"),
            *("since", "until", "needs_me", "missing_since", "aliases", "stock", "cost_usd"),
            as_shown=self._stale.shown,
        )
        self._own = OwnRows()
        self._prepared: dict[str, tuple[Observation, SandboxComparison]] = {}
        self._unknown: dict[str, dict[GatewayId | None, Unknown[Sandbox]]] = {}
        self._held_up: VoidLook | None = None
        self._void_looks, self.void_looks = Counter[str](), Counter[str]()
        """By source, how many looks this process itself held up; it only grows."""
        self._words = UnknownWords()
        self._links = {key: SourceLink(source=key) for key in self._sources}

    @property
    def gateways(self) -> Mapping[GatewayId, Gateway]:
        """Every gateway by id."""
        return cast(Mapping[GatewayId, Gateway], MappingProxyType(self._gateways.all))

    @property
    def sandboxes(self) -> Mapping[SandboxId, Sandbox]:
        """Every sandbox by id, as it is shown."""
        rows = cast(Mapping[SandboxId, Sandbox], MappingProxyType(self._sandboxes.all))
        return ShownSandboxes(rows, self._stale.now) if self._stale.now else rows

    @property
    def staleness(self) -> Staleness:
        """What makes sandboxes stale that no row of their own says to be."""
        return self._stale.now

    def told_apart(self, sandbox: Sandbox) -> str:
        """What tells a sandbox apart from all others: its name where that does."""
        return self._sandboxes.told_apart(sandbox)

    def own(self, key: SandboxId) -> Sandbox | None:
        """A sandbox as its source says it is, whatever its way in; None where there is none."""
        row = self._own.get(key) or self._sandboxes.all.get(key)
        late = row is not None and not row.stale and key.source in self._stale.now.sources
        return as_stale(row) if row is not None and late else row

    @property
    def links(self) -> Mapping[str, SourceLink]:
        """How the panel stands with every source, by its key."""
        return MappingProxyType(self._links)

    @property
    def held_up(self) -> VoidLook | None:
        """The last look that this process itself held up, where that mattered."""
        return self._held_up

    @property
    def unknown_words(self) -> Mapping[UnknownWord, int]:
        """Words of other systems without a meaning here, and in how many looks they stood."""
        return self._words.seen

    @property
    def unknown_lists(self) -> tuple[tuple[str, GatewayId | None, str], ...]:
        """(source, gateway, why) of every list of sandboxes that is not known."""
        lost = [(key, None, link.reason) for key, link in self._links.items() if link.failures]
        missed = [
            (source, gateway, one.reason)
            for source, lists in self._unknown.items()
            if not self._links[source].failures
            for gateway, one in lists.items()
        ]
        return (*lost, *missed)

    def listing(self, source: str) -> Known[Sandbox] | Unknown[Sandbox]:
        """The sandboxes of a source, or why they are not known."""
        link = self._links.get(source, SourceLink(source=source))
        rows = tuple(map(self._stale.shown, self._sandboxes.of(source)))
        last = None if link.last_success_at is None else Known(rows, link.last_success_at)
        reasons = [why for key, _, why in self.unknown_lists if key == source]
        if reasons or last is None:
            return Unknown("; ".join(reasons) or "It has not answered yet.", last)
        return last

    def totals(self) -> Totals:
        """Counts of now; asking costs the same however many rows there are."""
        lost = sum(map(_is_lost, self._links.values()))
        return totals(
            self._gateways.counts.tally(Staleness()),
            self._sandboxes.counts.tally(self._stale.now),
            lost=lost,
            unknown_lists=len(self.unknown_lists) - lost,
        )

    def prepare(self, seen: Observation) -> Iterator[int]:
        """Compare a look with what is shown, and tell how many rows after each some hundred.

        Nothing is taken in. `merge` takes it in as a whole, and at once where nothing that it was
        compared with has changed since.
        """
        found = self._comparison(seen)
        yield from found.in_parts(seen.sandboxes)
        self._prepared[seen.source] = seen, found

    def every_row(self, delta: BoardDelta) -> BoardDelta:
        """A delta with its rows as shown, and with those of which only the staleness changed."""
        if not (delta.staleness or self._stale.now):
            return delta
        keys: dict[SandboxId, None] = {row.id: None for row in delta.sandboxes}
        for one in delta.staleness:
            behind = self._sandboxes.of(one) if isinstance(one, str) else self._own.behind((one,))
            keys |= {row.id: None for row in behind}
        rows = self.sandboxes
        return delta._replace(sandboxes=tuple(rows[key] for key in keys))

    def merge(
        self,
        result: Observation | ProbeFailure | VoidLook,
        *,
        latency_s: float | None = None,
        background: bool = True,
    ) -> BoardDelta:
        """Take in one poll; `background` False where the operator asked: one failure is enough.

        Without `latency_s` (seconds), the link shows that of the slowest gateway.
        """
        if isinstance(result, VoidLook):
            return self._held(result)
        self._void_looks.pop(result.source, None)
        if isinstance(result, ProbeFailure):
            return self._failed(result)
        return self._observed(result, latency_s, background)

    def expire(self, now: float) -> BoardDelta:
        """Mark what was last confirmed more than three intervals before `now` (epoch) stale."""
        deltas = [self._mark_stale(key, now - self._stale_after(key)) for key in self._links]
        return BoardDelta(
            gateways=tuple(row for one in deltas for row in one.gateways),
            sandboxes=tuple(row for one in deltas for row in one.sandboxes),
            staleness=frozenset().union(*(one.staleness for one in deltas)),
        )

    def lapsed(self, now: float) -> set[str]:
        """Sources with a judgement that lapsed by `now` (epoch): they have to be asked again."""
        return self._gateways.lapsed(now) | self._sandboxes.lapsed(now)

    def note_held_up(self, void: VoidLook) -> None:
        """This process could not look for long, whether or not a look was under way."""
        self._held_up = void

    def _held(self, void: VoidLook) -> BoardDelta:
        self.void_looks[void.source] += 1
        self._void_looks[void.source] += 1
        again = self._void_looks[void.source] >= VOID_LOOKS
        if again or void.held_up_s > self._stale_after(void.source):
            self._held_up = void
        if not again:
            return BoardDelta()
        return self._mark_stale(void.source, NEVER)

    def _mark_stale(self, source: str, limit: float) -> BoardDelta:
        """Mark what a source confirmed before `limit` stale: where that is all, the source."""
        gateways = self._gateways.mark_stale(source, limit)
        turned = self._stale.set_ways(gateways)
        sandboxes: tuple[Sandbox, ...] = ()
        if self._sandboxes.is_all_before(source, limit):
            turned |= self._stale.set_source(source, True)
        elif source not in self._stale.now.sources:
            sandboxes = self._sandboxes.mark_stale(source, limit)
            self._own.mark_stale(sandboxes)
        return BoardDelta(gateways=gateways, sandboxes=sandboxes, staleness=turned)

    def _comparison(self, seen: Observation) -> SandboxComparison:
        """Begin to compare the sandboxes of a look with what is shown."""
        interval_s = max(seen.interval_s, self._intervals.get(seen.source, self._interval_s))
        limit = self._clock.now() - STALE_INTERVALS * interval_s
        rows = self._sandboxes.compare(seen.source, limit)
        return SandboxComparison(rows, self._own, self.gateways)

    def _compared(self, seen: Observation, found: tuple[Sandbox, ...]) -> SandboxComparison:
        """What was prepared of a look where that holds still, or all of it compared now."""
        of, compared = self._prepared.pop(seen.source, (None, None))
        if (
            compared is None
            or of is not seen
            or found is not seen.sandboxes
            or not compared.is_current()
            or not self._sandboxes.is_current(compared.rows)
        ):
            compared = self._comparison(seen)
            compared.add(found)
        return compared

    def _join(self, changed: Iterable[GatewayId], at: float) -> RowChanges[Sandbox]:
        """Show anew what stands behind gateways that changed."""
        behind = self._own.behind_changed(changed, self.gateways)
        rows = [shown(one, self.gateways) for one in behind]
        return self._sandboxes.update(rows, at)

    def _stale_after(self, source: str) -> float:
        return STALE_INTERVALS * self._intervals.get(source, self._interval_s)

    def _failed(self, failure: ProbeFailure) -> BoardDelta:
        source = failure.source
        known = self._links.get(source, SourceLink(source=source))
        link = known._replace(
            connected=False,
            failures=failure.failures,
            retry_at=failure.retry_at,
            reason=failure.reason,
            latency_s=None,
            failing_since=known.failing_since if known.failures else failure.failed_at,
        )
        self._links[source] = link
        events: tuple[Event, ...] = ()
        if not known.failures:
            text = f"{self._label(source)} does not answer: {failure.reason}"
            lost = link_event(failure.failed_at, source, text, "connected", "lost")
            events = (replace(lost, before_at=known.last_success_at),)
        delta = self._mark_stale(source, NEVER)
        return delta._replace(link=link, events=events)

    def _observed(self, seen: Observation, latency_s: float | None, background: bool) -> BoardDelta:
        source, at = seen.source, seen.observed_at
        known = self._links.get(source, SourceLink(source=source))
        since = known.last_success_at
        if latency_s is None:
            waits = (gateway.latency_s for gateway in seen.gateways)
            latency_s = max((wait for wait in waits if wait is not None), default=None)
        link = SourceLink(source=source, connected=True, last_success_at=at, latency_s=latency_s)
        self._links[source] = link
        events = list(seen.events)
        if known.failures:
            away = "" if since is None else f", away for {max(0.0, at - since):.0f} s"
            text = f"{self._label(source)} answers again{away}"
            events.append(link_event(at, source, text, "lost", "connected"))
        if seen.interval_s > self._intervals.get(source, self._interval_s):
            self._intervals[source] = seen.interval_s
        accepted = [
            self._doubts.accepted(one, self.gateways.get(one.id), background)
            for one in seen.gateways
        ]
        doubted = {
            new.id for new, told in zip(accepted, seen.gateways, strict=True) if new is not told
        }
        limit = self._clock.now() - self._stale_after(source)
        compared = self._gateways.compare(source, limit)
        compared.add(accepted)
        gateways = self._gateways.replace_rows(
            compared, at=at, quiet=since is None, deleted=seen.deleted
        )
        gone = cast(list[GatewayId], gateways.removed)
        self._doubts.forget(gone)
        found = seen.sandboxes
        if doubted:
            # What stands behind a gateway that is not believed gone stays as it was, too.
            found = tuple(
                self.own(one.id) or one if one.gateway in doubted else one for one in found
            )
        turned = self._stale.set_ways(gateways.upserted.values(), gone)
        turned |= self._stale.set_source(source, False)
        rows = self._compared(seen, found)
        self._own.renew(rows.own_renewed)
        self._own.keep(rows.own_others, rows.rows.limit)
        before = self._unknown.get(source, {})
        awaited = {key: one for key, one in before.items() if one.coming}
        self._unknown[source] = dict(seen.unknown)
        events += self._words.new(seen, self._label(source))
        sandboxes = self._sandboxes.replace_rows(
            rows.rows,
            at=at,
            quiet=since is None,
            deleted=seen.deleted,
            unknown=self._is_unknown,
            awaited=lambda row: _is_of(row, awaited),
        )
        self._own.forget(sandboxes.removed)
        upserted = sandboxes.upserted
        self._own.mark_stale(upserted[key] for key in rows.rows.missing if key in upserted)
        changed = cast(tuple[GatewayId, ...], (*gateways.upserted, *gateways.removed))
        joined = self._join(changed, at)
        upserted = upserted | joined.upserted
        return BoardDelta(
            gateways=tuple(gateways.upserted.values()),
            gateways_removed=cast(tuple[GatewayId, ...], tuple(gateways.removed)),
            sandboxes=tuple(upserted.values()),
            sandboxes_removed=cast(tuple[SandboxId, ...], tuple(sandboxes.removed)),
            link=None if link == known else link,
            events=(
                *events,
                *map(self._with_consequence, gateways.events),
                *sandboxes.events,
                *joined.events,
            ),
            touched_gateways=cast(Mapping[GatewayId, Gateway], gateways.touched),
            touched_sandboxes=cast(Mapping[SandboxId, Sandbox], sandboxes.touched),
            staleness=turned,
        )

    def _is_unknown(self, row: Sandbox) -> bool:
        """Whether the list that this row stood in could not be had."""
        return _is_of(row, self._unknown.get(row.id.source, {}))

    def _with_consequence(self, event: Event) -> Event:
        """The event of a gateway, with what it cuts off: one happening, one record."""
        key = GatewayId(event.source, event.subject)
        way = self.gateways.get(key)
        if way is None or way.state not in CLOSED:
            return event
        rows = [self._sandboxes.all[one.id] for one in self._own.behind((key,))]
        number = sum(row.state is SandboxState.CUT_OFF for row in rows)
        if not number:
            return event
        said = f"{number} sandbox{'' if number == 1 else 'es'} cut off"
        return replace(event, text=f"{event.text.rstrip('.')}; {said}")

    def _label(self, source: str) -> str:
        return self._sources[source].label if source in self._sources else source


def _is_lost(link: SourceLink) -> bool:
    return link.failures > 0


def _is_of(row: Sandbox, lists: Mapping[GatewayId | None, Unknown[Sandbox]]) -> bool:
    """Whether a row stands in one of these lists."""
    return None in lists or any(one in lists for one in (row.gateway, *row.needs))
