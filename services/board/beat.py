"""One beat for what is asked every second: asked at the same instant, shown in the same turn."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable

PERIOD_S = 1.0
HOLD_S = 0.1
"""So long what came first waits for what was asked with it, in real seconds."""
SHORTEST_S = 0.01
SLOW_SHARE = 0.25
"""An answer that takes this share of the pause is slow."""
_LOG = logging.getLogger(__name__)


class Beat:
    """Instants a second apart."""

    def __init__(self, first: float = 0.0) -> None:
        """`first` is one of them, by the monotonic clock."""
        self._first = first

    def begin(self, first: float) -> None:
        """From now on they fall a whole number of seconds after this one."""
        self._first = first

    def due(self, now: float, pause: float, took: float) -> float:
        """When to ask again, `pause` seconds from `now` at the latest; the answer `took` so long.

        That is on the last beat before. Of whoever answers slowly, it would be asked without a
        pause: there a pause is cut by half at most.
        """
        latest = now + pause
        beats = math.floor((latest - self._first) / PERIOD_S)
        on_beat = beats * PERIOD_S + self._first
        least = SHORTEST_S if took <= SLOW_SHARE * pause else pause / 2
        return on_beat if on_beat > now + least else latest


class Together:
    """Hands over in one turn what was asked in one; what is late is handed over by itself."""

    def __init__(self, awaited: Callable[[], bool]) -> None:
        """`awaited` tells whether something that was asked just now has not answered yet."""
        self._awaited = awaited
        self._held: list[Callable[[], None]] = []
        self._timer: asyncio.TimerHandle | None = None

    def hand_over(self, deliver: Callable[[], None]) -> None:
        """Call `deliver` at the end of this turn's answers, `HOLD_S` from now at the latest."""
        self._held.append(deliver)
        if not self._awaited():
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(HOLD_S, self.flush)

    def flush(self) -> None:
        """Hand over what is held, in the order it came."""
        self.drop_timer()
        held, self._held = self._held, []
        for deliver in held:
            try:
                deliver()
            except Exception:
                _LOG.exception("what was learned could not be taken in")

    def drop_timer(self) -> None:
        """Wait no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
