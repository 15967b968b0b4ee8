"""Injectable time."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What the services know of time."""

    def now(self) -> float:
        """Wall-clock seconds since the Unix epoch; may jump."""

    def monotonic(self) -> float:
        """Seconds that never go back; for limits and elapsed time."""

    async def sleep(self, seconds: float) -> None:
        """Give way for `seconds`."""


class SystemClock:
    """Wall-clock and monotonic time of this machine."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
