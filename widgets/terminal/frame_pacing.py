"""When a view may draw: not amid a synchronised update, not straight after an expensive frame."""

from __future__ import annotations

HOLD_LIMIT = 0.15
"""Seconds a program may hold drawing back (upstream/terminal: Synchronised output)."""
REST = 3.0
"""How many times as long as a frame took to draw the view rests: the panel is not its alone."""
CHEAP = 0.004
"""Seconds a frame may take without any rest."""


class Pacing:
    """The drawing rhythm of one view; `now` is monotonic, in seconds."""

    def __init__(self) -> None:
        self._held_since: float | None = None
        self._rest_until = 0.0
        self._cost = 0.0

    def wait(self, now: float, synchronised: bool) -> float:
        """Seconds until drawing is due; 0 to draw now."""
        if not synchronised:
            self._held_since = None
        elif self._held_since is None:
            self._held_since = now
            return HOLD_LIMIT
        elif (left := self._held_since + HOLD_LIMIT - now) > 0:
            return left
        if (rest := self._rest_until - now) > 0:
            return rest
        if synchronised:
            self._held_since = now
        if self._cost > CHEAP:
            self._rest_until = now + self._cost * REST
        self._cost = 0.0
        return 0.0

    def spent(self, seconds: float) -> None:
        """Drawing took that long."""
        self._cost += seconds
