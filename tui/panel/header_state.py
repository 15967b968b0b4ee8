"""Builds the header's state from the board."""

from __future__ import annotations

from collections import deque

from services.board.board import Board
from services.board.deltas import BoardDelta
from services.config.settings import Settings
from services.models import GatewayId, SandboxId
from services.text.signs import GATEWAYS, Sign
from widgets.panes.header import HeaderState, totals_from

SAMPLES = 30
_LOST = Sign("✕", "lost", "bad")


class HeaderBuilder:
    """Keeps each gateway's round trips and builds the header of the selected one."""

    def __init__(self, settings: Settings, retry_key: str) -> None:
        self._retry_key = retry_key
        self._profile = settings.profile
        self._read_only = settings.read_only
        self._production = settings.production
        self._banner = settings.banner or ("PRODUCTION" if settings.production else "")
        self._samples: dict[GatewayId, deque[float | None]] = {}

    def add_samples(self, delta: BoardDelta, board: Board) -> None:
        """Add the round trips of a poll round."""
        for gateway in (*delta.gateways, *(board.gateways.get(one) for one in _touched(delta))):
            if gateway is not None and not gateway.stale:
                samples = self._samples.setdefault(gateway.id, deque(maxlen=SAMPLES))
                samples.append(gateway.latency_s)

    def header(
        self, board: Board, selected: SandboxId | None, now: float, paused: bool, muted: bool
    ) -> HeaderState:
        """The header for the selected sandbox's gateway, or the first one there is."""
        sandbox = None if selected is None else board.sandboxes.get(selected)
        gateway = None
        if sandbox is not None and sandbox.gateway is not None:
            gateway = board.gateways.get(sandbox.gateway)
        if gateway is None:
            gateway = next(iter(board.gateways.values()), None)
        source = gateway.id.source if gateway else selected.source if selected else None
        link = next((one for key, one in board.links.items() if source in (None, key)), None)
        lost = link is not None and link.failures > 0
        return HeaderState(
            profile=self._profile,
            now=now,
            totals=totals_from(board.totals().sandboxes, board.totals().working),
            link=_LOST if lost else GATEWAYS[gateway.state] if gateway else None,
            link_name=gateway.name if gateway else "source",
            latency_s=gateway.latency_s if gateway else None,
            samples=tuple(self._samples.get(gateway.id, ())) if gateway else (),
            last_success_at=link.last_success_at if link else None,
            retry_at=link.retry_at if link and lost else None,
            retry_key=self._retry_key,
            stale=lost,
            read_only=self._read_only,
            paused=paused,
            muted=muted,
            banner=self._banner,
            production=self._production,
        )


def _touched(delta: BoardDelta) -> list[GatewayId]:
    return [one for one in delta.touched if isinstance(one, GatewayId)]
