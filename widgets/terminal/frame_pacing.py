"""Frame pacing: waits for synchronised updates and after expensive frames."""

from __future__ import annotations

SYNC_LIMIT_S = 0.15
"""Seconds a program may hold drawing back (upstream/terminal: Synchronised output)."""
REST_FACTOR = 3.0
"""How many times as long as a frame took to draw the view rests: the panel is not its alone."""
CHEAP_FRAME_S = 0.004
"""Seconds a frame may take without any rest."""


class FramePacing:
    """When one view may draw its next frame; `now` is monotonic, in seconds."""

    def __init__(self) -> None:
        self._sync_since: float | None = None
        self._rest_until = 0.0
        self._cost = 0.0

    def wait(self, now: float, synchronised: bool) -> float:
        """Seconds until drawing is due; 0 to draw now."""
        if not synchronised:
            self._sync_since = None
        elif self._sync_since is None:
            self._sync_since = now
            return SYNC_LIMIT_S
        elif (left := self._sync_since + SYNC_LIMIT_S - now) > 0:
            return left
        if (rest := self._rest_until - now) > 0:
            return rest
        if synchronised:
            self._sync_since = now
        if self._cost > CHEAP_FRAME_S:
            self._rest_until = now + self._cost * REST_FACTOR
        self._cost = 0.0
        return 0.0

    def record_cost(self, seconds: float) -> None:
        """Drawing took that long."""
        self._cost += seconds
