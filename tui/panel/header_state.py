"""Builds the header's state from the board."""

from __future__ import annotations

from collections import deque

from services.board.board import Board
from services.board.deltas import BoardDelta, Totals
from services.board.shown import CLOSED
from services.config.settings import Settings
from services.models import GatewayId
from services.text.signs import GATEWAYS, STALE, Sign
from widgets.panes.gateways import urgency
from widgets.panes.header import HeaderState, totals_from

SAMPLES = 30
HELD_UP_SHOWN_S = 30.0
"""So long it is said that this panel itself was held up."""


class HeaderBuilder:
    """Keeps each gateway's round trips and builds the header from the whole board."""

    def __init__(self, settings: Settings, retry_key: str) -> None:
        self._retry_key = retry_key
        self._profile = settings.profile
        self._read_only = settings.read_only
        self._production = settings.production
        self._banner = settings.banner or ("PRODUCTION" if settings.production else "")
        self._samples: dict[GatewayId, deque[float | None]] = {}

    def add_samples(self, delta: BoardDelta) -> None:
        """Add the round trips of a poll round."""
        for gateway in (*delta.gateways, *delta.touched_gateways.values()):
            if not gateway.stale:
                samples = self._samples.setdefault(gateway.id, deque(maxlen=SAMPLES))
                samples.append(gateway.latency_s)

    def header(self, board: Board, now: float, paused: bool, muted: bool) -> HeaderState:
        """The header for everything on the board: it sums, whatever is selected."""
        totals = board.totals()
        lost = [one for one in board.links.values() if one.failures]
        seen = [one.last_success_at for one in lost or board.links.values()]
        answered = [one for one in seen if one is not None]
        retries = [one.retry_at for one in lost if one.retry_at is not None]
        measured = [
            (one.latency_s, one.id)
            for one in board.gateways.values()
            if one.latency_s is not None and not one.stale
        ]
        slowest = max(measured, default=None)
        waiting = any(one.last_success_at is None for one in board.links.values())
        held_up = board.held_up
        return HeaderState(
            profile=self._profile,
            now=now,
            totals=totals_from(totals.sandboxes, totals.working, totals.stale_sandboxes),
            gateways=_worst_first(totals),
            trouble_since=_trouble_since(board),
            lost=tuple(one.source for one in lost),
            waiting=waiting,
            unknown_lists=totals.unknown_lists,
            needs_me=totals.needs_me,
            held_up_s=held_up.held_up_s
            if held_up is not None and now - held_up.at < HELD_UP_SHOWN_S
            else 0.0,
            latency_s=None if slowest is None else slowest[0],
            slowest_of=len(measured),
            samples=tuple(self._samples.get(measured[0][1], ())) if len(measured) == 1 else (),
            last_success_at=min(answered, default=None) if len(answered) == len(seen) else None,
            retry_at=min(retries, default=None),
            retry_key=self._retry_key,
            read_only=self._read_only,
            paused=paused,
            muted=muted,
            banner=self._banner,
            production=self._production,
        )


def _worst_first(totals: Totals) -> tuple[tuple[Sign, int], ...]:
    states = sorted(totals.gateways, key=lambda pair: urgency(pair[0]))
    counted = [(GATEWAYS[state], number) for state, number in states]
    if totals.stale_gateways:
        counted.insert(0, (STALE, totals.stale_gateways))
    # What is known to be bad stands before what is not known.
    counted.sort(key=lambda pair: (pair[0].tone != "bad", pair[0] != STALE))
    return tuple(counted)


def _trouble_since(board: Board) -> float | None:
    """Since when the state that is told first has lasted, where that is known of it."""
    rows = [one for one in board.gateways.values() if not one.stale and one.state in CLOSED]
    if not rows:
        return None
    worst = min((one.state for one in rows), key=urgency)
    known = [one.since for one in rows if one.state is worst and one.since is not None]
    return min(known, default=None)
