"""The board: merges observations of all sources and returns what changed.

A row leaves only when its source says so, twice in a row or by name. A probe that fails marks the
rows of its source stale and keeps them with the instant at which they were true. Sandboxes are
shown with the state of their way in joined to their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import cast

from services.board.deltas import BoardDelta, SourceLink, Totals
from services.board.index import NEVER, RowChanges, RowIndex
from services.board.lag import VoidLook
from services.board.poller import ProbeFailure
from services.board.shown import CLOSED, OwnRows, shown
from services.clock import Clock
from services.models import (
    Event,
    Gateway,
    GatewayId,
    GatewayState,
    Known,
    Observation,
    Sandbox,
    SandboxId,
    SandboxState,
    Severity,
    Source,
    Unknown,
    UnknownWord,
)

VOID_LOOKS = 2
"""After this many void looks in a row the rows of a source are stale."""
STALE_INTERVALS = 3
"""A row not refreshed for this many intervals of its source is stale."""
_DOUBTFUL_STATES = frozenset((GatewayState.HUNG, GatewayState.UNKNOWN))
"""What one bad poll can wrongly report; a refused connection is definite."""


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
        self._failure_thresholds = dict(failure_thresholds)
        self._failure_counts: Counter[GatewayId] = Counter()
        self._gateways: RowIndex[Gateway] = RowIndex(
            *("name", "state", "reason", "address", "latency_s", "evidence", "stale"),
            *("since", "until", "missing_since"),
        )
        self._sandboxes: RowIndex[Sandbox] = RowIndex(
            *("name", "state", "reason", "gateway", "activity", "tool", "evidence", "inbound"),
            *("outbound", "asleep_by_design", "unavailable", "stale", "needs", "own_state"),
            *("since", "until", "needs_me", "missing_since", "aliases", "stock", "cost_usd"),
        )
        self._own = OwnRows()
        self._unknown: dict[str, dict[GatewayId | None, Unknown[Sandbox]]] = {}
        self._held_up: VoidLook | None = None
        self._void_looks, self.void_looks = Counter[str](), Counter[str]()
        """By source, how many looks this process itself held up; it only grows."""
        self._words: dict[UnknownWord, int] = {}
        self._links = {key: SourceLink(source=key) for key in self._sources}

    @property
    def gateways(self) -> Mapping[GatewayId, Gateway]:
        """Every gateway by id."""
        return cast(Mapping[GatewayId, Gateway], MappingProxyType(self._gateways.all))

    @property
    def sandboxes(self) -> Mapping[SandboxId, Sandbox]:
        """Every sandbox by id."""
        return cast(Mapping[SandboxId, Sandbox], MappingProxyType(self._sandboxes.all))

    def told_apart(self, sandbox: Sandbox) -> str:
        """What tells a sandbox apart from all others: its name where that does."""
        return self._sandboxes.told_apart(sandbox)

    def own(self, key: SandboxId) -> Sandbox | None:
        """A sandbox as its source says it is, whatever its way in; None where there is none."""
        return self._own.get(key) or self._sandboxes.all.get(key)

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
        return MappingProxyType(self._words)

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
        rows = tuple(self._sandboxes.of(source))
        last = None if link.last_success_at is None else Known(rows, link.last_success_at)
        reasons = [why for key, _, why in self.unknown_lists if key == source]
        if reasons or last is None:
            return Unknown("; ".join(reasons) or "It has not answered yet.", last)
        return last

    def totals(self) -> Totals:
        """Counts of now; asking costs the same however many rows there are."""
        gateways, sandboxes = self._gateways, self._sandboxes
        return Totals(
            gateways=tuple((s, n) for s in GatewayState if (n := gateways.states[s])),
            sandboxes=tuple((s, n) for s in SandboxState if (n := sandboxes.states[s])),
            stale=gateways.stale + sandboxes.stale,
            attention=gateways.attention + sandboxes.attention,
            lost=sum(1 for link in self._links.values() if link.failures),
            working=sandboxes.working,
            stale_gateways=gateways.stale,
            unknown_lists=len(self.unknown_lists) - sum(map(_is_lost, self._links.values())),
            needs_me=sandboxes.needs_me,
        )

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
        gateways: list[Gateway] = []
        sandboxes: dict[SandboxId, Sandbox] = {}
        for source in self._links:
            delta = self._mark_stale(source, now - self._stale_after(source), now)
            gateways += delta.gateways
            sandboxes |= {row.id: row for row in delta.sandboxes}
        return BoardDelta(gateways=tuple(gateways), sandboxes=tuple(sandboxes.values()))

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
        return self._mark_stale(void.source, NEVER, void.at)

    def _mark_stale(self, source: str, limit: float, at: float) -> BoardDelta:
        """Mark the rows of a source confirmed before `limit` stale, and what needs them."""
        gateways = self._gateways.mark_stale(source, limit)
        sandboxes = {row.id: row for row in self._sandboxes.mark_stale(source, limit)}
        self._own.mark_stale(sandboxes.values())
        joined = self._join({row.id for row in gateways}, at)
        sandboxes |= {row.id: row for row in joined.upserted.values()}
        return BoardDelta(gateways=gateways, sandboxes=tuple(sandboxes.values()))

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
        link = replace(
            known,
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
            lost = self._link_event(failure.failed_at, source, text, "connected", "lost")
            events = (replace(lost, before_at=known.last_success_at),)
        delta = self._mark_stale(source, NEVER, failure.failed_at)
        return replace(delta, link=link, events=events)

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
            events.append(self._link_event(at, source, text, "lost", "connected"))
        if seen.interval_s > self._intervals.get(source, self._interval_s):
            self._intervals[source] = seen.interval_s
        limit = self._clock.now() - self._stale_after(source)
        accepted = [self._accepted(gateway, background) for gateway in seen.gateways]
        doubted = {
            new.id for new, told in zip(accepted, seen.gateways, strict=True) if new is not told
        }
        gateways = self._gateways.replace_rows(
            source,
            accepted,
            at=at,
            limit=limit,
            quiet=since is None,
            deleted=seen.deleted,
        )
        for removed in gateways.removed:
            self._failure_counts.pop(cast(GatewayId, removed), None)
        found: Iterable[Sandbox] = seen.sandboxes
        if doubted:
            # What stands behind a gateway that is not believed gone stays as it was, too.
            found = [self._as_was(one) if one.gateway in doubted else one for one in found]
        found = [one for one in found if one.id.source == source]
        self._own.keep(found, limit)
        before = self._unknown.get(source, {})
        awaited = {key: one for key, one in before.items() if one.coming}
        self._unknown[source] = dict(seen.unknown)
        events += self._new_words(seen)
        ways = self.gateways
        sandboxes = self._sandboxes.replace_rows(
            source,
            [shown(one, ways) for one in found],
            at=at,
            limit=limit,
            quiet=since is None,
            deleted=seen.deleted,
            unknown=self._is_unknown,
            awaited=lambda row: _is_of(row, awaited),
        )
        self._own.forget(sandboxes.removed)
        if any(row.stale for row in sandboxes.upserted.values()):
            listed = {one.id for one in found}
            left = (row for key, row in sandboxes.upserted.items() if key not in listed)
            self._own.mark_stale(left)
        changed = cast(tuple[GatewayId, ...], (*gateways.upserted, *gateways.removed))
        joined = self._join(changed, at)
        upserted = sandboxes.upserted | joined.upserted
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
            touched=(*gateways.touched, *sandboxes.touched),
        )

    def _as_was(self, one: Sandbox) -> Sandbox:
        return self._own.get(one.id) or self._sandboxes.all.get(one.id, one)

    def _is_unknown(self, row: Sandbox) -> bool:
        """Whether the list that this row stood in could not be had."""
        return _is_of(row, self._unknown.get(row.id.source, {}))

    def _with_consequence(self, event: Event) -> Event:
        """The event of a gateway, with what it cuts off: one happening, one record."""
        key = GatewayId(event.source, event.subject)
        way = self.gateways.get(key)
        if way is None or way.state not in CLOSED:
            return event
        rows = [self.sandboxes[one.id] for one in self._own.behind((key,))]
        number = sum(row.state is SandboxState.CUT_OFF for row in rows)
        if not number:
            return event
        said = f"{number} sandbox{'' if number == 1 else 'es'} cut off"
        return replace(event, text=f"{event.text.rstrip('.')}; {said}")

    def _new_words(self, seen: Observation) -> list[Event]:
        """Count the words nobody knows; an event for each that is new."""
        new = [one for one in seen.unknown_words if one not in self._words]
        for one in seen.unknown_words:
            self._words[one] = self._words.get(one, 0) + 1
        return [
            Event(
                seen.observed_at,
                Severity.INFO,
                seen.source,
                "",
                "word",
                f"{self._label(seen.source)} says {one.word!r} as {one.place}: "
                "this panel does not know it",
                one.place,
                one.word,
            )
            for one in dict.fromkeys(new)
        ]

    def _accepted(self, seen: Gateway, background: bool) -> Gateway:
        """The gateway row the board accepts after one more poll."""
        previous = self._gateways.all.get(seen.id)
        if (
            not background
            or previous is None
            or previous.state is not GatewayState.READY
            or seen.state not in _DOUBTFUL_STATES
        ):
            self._failure_counts.pop(seen.id, None)
            return seen
        self._failure_counts[seen.id] += 1
        source = self._sources.get(seen.id.source)
        enough = self._failure_thresholds.get(source.kind, 1) if source is not None else 1
        return previous if self._failure_counts[seen.id] < enough else seen

    def _label(self, source: str) -> str:
        return self._sources[source].label if source in self._sources else source

    @staticmethod
    def _link_event(at: float, source: str, text: str, before: str, after: str) -> Event:
        severity = Severity.BETTER if after == "connected" else Severity.WORSE
        return Event(
            at=at,
            severity=severity,
            source=source,
            subject="",
            kind="source",
            text=text,
            before=before,
            after=after,
        )


def _is_lost(link: SourceLink) -> bool:
    return link.failures > 0


def _is_of(row: Sandbox, lists: Mapping[GatewayId | None, Unknown[Sandbox]]) -> bool:
    """Whether a row stands in one of these lists."""
    return None in lists or any(one in lists for one in (row.gateway, *row.needs))
