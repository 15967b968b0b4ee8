"""What changed on the board since it was last told, as deltas: pushed, at most one a second."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from msgspec.structs import replace

from services.board.board import Board
from services.board.deltas import BoardDelta
from services.clock import Clock
from services.models import Event, Gateway, GatewayId, Sandbox, SandboxId
from services.text.redact import redact_line
from services.wire import outgoing
from services.wire.messages import (
    Delta,
    EventRow,
    Removed,
    SourceProblem,
    WireGateway,
    WireSandbox,
    encoded_size,
)
from services.wire.outgoing import SAME_LOOK_S

PART_BYTES = 256 << 10
"""A delta with more rows than that goes in parts."""
LARGEST_ROW = 512 << 10
_LATENCY_S = 5.0
"""Between two rows of a gateway that differ in nothing but how long an answer took."""
_LOG = logging.getLogger(__name__)


@dataclass
class _Told:
    """What the near side knows of one source, and what it has to be told."""

    seq: int = 0
    full: bool = True
    at: float | None = None
    link: str | None = None
    unknown: list[tuple[str, str]] | None = None
    words: set[tuple[str, str]] = field(default_factory=set)
    gateways: set[GatewayId] = field(default_factory=set)
    sandboxes: set[SandboxId] = field(default_factory=set)
    gone: Removed = field(default_factory=Removed)
    events: list[EventRow] = field(default_factory=list)
    lagging: set[GatewayId | SandboxId] = field(default_factory=set)
    """Rows that were told with an instant of their own."""
    latest: dict[GatewayId, tuple[float, WireGateway]] = field(default_factory=dict)
    """What was last told of each gateway, and when by the monotonic clock."""


class Pictures:
    """Collects the changes of every source; `due` makes deltas of them."""

    def __init__(self, board: Board, clock: Clock, sources: Iterable[str]) -> None:
        self._board = board
        self._clock = clock
        self._told = {key: _Told() for key in sources}

    def changed(self, delta: BoardDelta) -> None:
        """Take note of what changed on the board."""
        delta = self._board.every_row(delta)
        for gateway in delta.gateways:
            self._of(gateway.id.source).gateways.add(gateway.id)
        for sandbox in delta.sandboxes:
            self._of(sandbox.id.source).sandboxes.add(sandbox.id)
        for key in delta.gateways_removed:
            told = self._of(key.source)
            told.gateways.discard(key)
            told.latest.pop(key, None)
            told.gone.gateways.append(key.native_id)
        for one in delta.sandboxes_removed:
            told = self._of(one.source)
            told.sandboxes.discard(one)
            told.gone.sandboxes.append(one.native_id)
        for gateway in delta.touched_gateways.values():
            if self._lags(gateway):
                self._of(gateway.id.source).gateways.add(gateway.id)
        for sandbox in delta.touched_sandboxes.values():
            if self._lags(sandbox):
                self._of(sandbox.id.source).sandboxes.add(sandbox.id)

    def _lags(self, row: Gateway | Sandbox) -> bool:
        """Whether a row of which only the age moved is not, or was not, of its source's look."""
        at = self._board.links[row.id.source].last_success_at
        lags = at is not None and row.observed_at < at - SAME_LOOK_S
        return lags or row.id in self._of(row.id.source).lagging

    def happened(self, events: Iterable[Event]) -> None:
        """Tell of these with the next delta of their source."""
        for event in events:
            if event.source in self._told:
                self._told[event.source].events.append(outgoing.event_row(event))

    def again(self, source: str) -> bool:
        """Tell the whole picture of a source with its next delta; whether there is one."""
        if source in self._told:
            self._told[source].full = True
        return source in self._told

    def due(self) -> Iterator[Delta]:
        """Deltas of all that changed since."""
        for source in self._told:
            yield from self._delta(source)

    def _of(self, source: str) -> _Told:
        return self._told.setdefault(source, _Told())

    def _delta(self, source: str) -> Iterator[Delta]:
        told, board = self._told[source], self._board
        link = board.links[source]
        if link.last_success_at is None and not link.failures:
            return  # It has not answered yet: there is no picture to be told.
        problem = redact_line(link.reason or "It does not answer.") if link.failures else ""
        unknown = [
            ("" if gateway is None else gateway.native_id, redact_line(why))
            for key, gateway, why in board.unknown_lists
            if key == source and not link.failures
        ]
        words = {
            (one.place, one.word) for one in board.unknown_words if one.source == source
        } - told.words
        if told.full:
            told.gateways = {one for one in board.gateways if one.source == source}
            told.sandboxes = {one for one in board.sandboxes if one.source == source}
            told.gone = Removed()
        told.gone = Removed(  # what came back before it was told is not gone
            [one for one in told.gone.gateways if GatewayId(source, one) not in board.gateways],
            [one for one in told.gone.sandboxes if SandboxId(source, one) not in board.sandboxes],
        )
        at = link.last_success_at
        news = (told.full, told.at != at, told.link != problem, told.unknown != unknown)
        waiting = set() if told.full else {one for one in told.gateways if self._waits(told, one)}
        told.gateways -= waiting
        rows = told.gateways or told.sandboxes or told.gone.gateways or told.gone.sandboxes
        if not (any(news) or rows or words or told.events):
            told.gateways = waiting
            return
        # Taken as told before any is sent: what changes while they are sent is told next time.
        parts = list(_parts(self._rows(told, at))) or [([], [])]
        deltas = [
            Delta(
                source=source,
                seq=told.seq + number + 1,
                now=0.0,
                at=at,
                full=told.full and number == 0,
                more=number < len(parts) - 1,
                gateways=gateways,
                sandboxes=sandboxes,
            )
            for number, (gateways, sandboxes) in enumerate(parts)
        ]
        deltas[0] = replace(
            deltas[0],
            removed=told.gone,
            link=SourceProblem(problem) if told.link != problem else None,
            unknown=unknown if told.unknown != unknown else None,
            words=sorted(words),
            events=told.events,
        )
        told.seq += len(deltas)
        told.full, told.at, told.link, told.unknown = False, at, problem, unknown
        told.words |= words
        told.gateways, told.sandboxes = waiting, set()
        told.gone, told.events = Removed(), []
        for delta in deltas:
            yield replace(delta, now=self._clock.now())

    def _waits(self, told: _Told, gateway: GatewayId) -> bool:
        """Whether a row says nothing new but a latency, and the last one was just told."""
        found, last = self._board.gateways.get(gateway), told.latest.get(gateway)
        if found is None or last is None or self._clock.monotonic() - last[0] >= _LATENCY_S:
            return False
        row = outgoing.gateway_row(found, self._board.links[gateway.source].last_success_at)
        return replace(row, latency_s=last[1].latency_s) == last[1]

    def _rows(self, told: _Told, at: float | None) -> Iterator[WireGateway | WireSandbox]:
        for gateway in told.gateways:
            if (found := self._board.gateways.get(gateway)) is not None:
                _note_lag(told, found, at)
                row = outgoing.gateway_row(found, at)
                told.latest[gateway] = self._clock.monotonic(), row
                yield row
        for sandbox in told.sandboxes:
            if (own := self._board.own(sandbox)) is not None:
                _note_lag(told, own, at)
                yield outgoing.sandbox_row(own, at)


def _note_lag(told: _Told, row: Gateway | Sandbox, at: float | None) -> None:
    if at is not None and row.observed_at < at - SAME_LOOK_S:
        told.lagging.add(row.id)
    else:
        told.lagging.discard(row.id)


def _parts(
    rows: Iterable[WireGateway | WireSandbox],
) -> Iterator[tuple[list[WireGateway], list[WireSandbox]]]:
    """The rows in parts that fit a frame; one that never fits is left out and logged."""
    gateways: list[WireGateway] = []
    sandboxes: list[WireSandbox] = []
    size = 0
    for row in rows:
        bytes_of_row = encoded_size(row)
        if bytes_of_row > LARGEST_ROW:
            _LOG.error("a row of %d bytes is not told", bytes_of_row)
            continue
        if size + bytes_of_row > PART_BYTES:
            yield gateways, sandboxes
            gateways, sandboxes, size = [], [], 0
        size += bytes_of_row
        if isinstance(row, WireGateway):
            gateways.append(row)
        else:
            sandboxes.append(row)
    if gateways or sandboxes:
        yield gateways, sandboxes
