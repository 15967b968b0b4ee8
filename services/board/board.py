"""The board: merges observations of all sources and returns what changed.

A row leaves only when its source says so. A probe that fails marks the rows of its source stale
and keeps them with the instant at which they were true.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import cast

from services.board.deltas import BoardDelta, SourceLink, Totals
from services.board.index import NEVER, RowIndex
from services.board.poller import ProbeFailure
from services.clock import Clock
from services.models import (
    Event,
    Gateway,
    GatewayId,
    GatewayState,
    Observation,
    Sandbox,
    SandboxId,
    SandboxState,
    Severity,
    Source,
)

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
            "name", "state", "reason", "address", "latency_s", "evidence", "stale"
        )
        self._sandboxes: RowIndex[Sandbox] = RowIndex(
            *("name", "state", "reason", "gateway", "activity", "tool", "evidence", "inbound"),
            *("outbound", "asleep_by_design", "unavailable", "stale"),
        )
        self._links = {key: SourceLink(source=key) for key in self._sources}

    @property
    def gateways(self) -> Mapping[GatewayId, Gateway]:
        """Every gateway by id."""
        return cast(Mapping[GatewayId, Gateway], MappingProxyType(self._gateways.all))

    @property
    def sandboxes(self) -> Mapping[SandboxId, Sandbox]:
        """Every sandbox by id."""
        return cast(Mapping[SandboxId, Sandbox], MappingProxyType(self._sandboxes.all))

    @property
    def links(self) -> Mapping[str, SourceLink]:
        """How the panel stands with every source, by its key."""
        return MappingProxyType(self._links)

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
        )

    def merge(
        self,
        result: Observation | ProbeFailure,
        *,
        latency_s: float | None = None,
        background: bool = True,
    ) -> BoardDelta:
        """Take in one poll; `background` False where the operator asked: one failure is enough.

        Without `latency_s` (seconds), the link shows that of the slowest gateway.
        """
        if isinstance(result, ProbeFailure):
            return self._failed(result)
        return self._observed(result, latency_s, background)

    def expire(self, now: float) -> BoardDelta:
        """Mark what was last confirmed more than three intervals before `now` (epoch) stale."""
        gateways: list[Gateway] = []
        sandboxes: list[Sandbox] = []
        for source in self._links:
            limit = now - self._stale_after(source)
            gateways += self._gateways.mark_stale(source, limit)
            sandboxes += self._sandboxes.mark_stale(source, limit)
        return BoardDelta(gateways=tuple(gateways), sandboxes=tuple(sandboxes))

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
        )
        self._links[source] = link
        events: tuple[Event, ...] = ()
        if not known.failures:
            text = f"{self._label(source)} does not answer: {failure.reason}"
            events = (self._link_event(failure.failed_at, source, text, "connected", "lost"),)
        return BoardDelta(
            gateways=self._gateways.mark_stale(source, NEVER),
            sandboxes=self._sandboxes.mark_stale(source, NEVER),
            link=link,
            events=events,
        )

    def _observed(self, seen: Observation, latency_s: float | None, background: bool) -> BoardDelta:
        source, at = seen.source, seen.observed_at
        known = self._links.get(source, SourceLink(source=source))
        since = known.last_success_at
        if latency_s is None:
            waits = (gateway.latency_s for gateway in seen.gateways)
            latency_s = max((wait for wait in waits if wait is not None), default=None)
        link = SourceLink(source=source, connected=True, last_success_at=at, latency_s=latency_s)
        self._links[source] = link
        events: list[Event] = []
        if known.failures:
            away = "" if since is None else f", away for {max(0.0, at - since):.0f} s"
            text = f"{self._label(source)} answers again{away}"
            events.append(self._link_event(at, source, text, "lost", "connected"))
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
        )
        for removed in gateways.removed:
            self._failure_counts.pop(cast(GatewayId, removed), None)
        found: Iterable[Sandbox] = seen.sandboxes
        if doubted:
            # What stands behind a gateway that is not believed gone stays as it was, too.
            previous = self._sandboxes.all
            found = [previous.get(one.id, one) if one.gateway in doubted else one for one in found]
        sandboxes = self._sandboxes.replace_rows(
            source,
            found,
            at=at,
            limit=limit,
            quiet=since is None,
        )
        return BoardDelta(
            gateways=tuple(gateways.upserted.values()),
            gateways_removed=cast(tuple[GatewayId, ...], tuple(gateways.removed)),
            sandboxes=tuple(sandboxes.upserted.values()),
            sandboxes_removed=cast(tuple[SandboxId, ...], tuple(sandboxes.removed)),
            link=None if link == known else link,
            events=(*events, *gateways.events, *sandboxes.events),
            touched=(*gateways.touched, *sandboxes.touched),
        )

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
