"""How many links are made at once: fifty hosts after a suspend do not storm."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

AT_ONCE = 6
"""Links of one panel that are being made at the same time."""
TURN_S = 3.0
"""How long one that is being made keeps its turn: hosts that are gone do not hold up the others."""
LONGEST_S = 60.0
LASTING_S = 60.0
"""Before the next try where nothing will change by itself."""


class ConnectGate:
    """Shared by all remote sources of a panel."""

    def __init__(self, jitter: random.Random | None = None) -> None:
        self.jitter = jitter or random.Random()  # noqa: S311  no secret is made of it
        self._turns = asyncio.Semaphore(AT_ONCE)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn to make a link; it ends with the block, or earlier where that is slow."""
        await self._turns.acquire()
        timer = asyncio.get_running_loop().call_later(TURN_S, self._turns.release)
        try:
            yield
        finally:
            if timer.when() > asyncio.get_running_loop().time():
                self._turns.release()
            timer.cancel()

    def pause_s(self, failures: int, lasting: bool) -> float:
        """Seconds until the next try, after so many failures in a row."""
        longest = LASTING_S if lasting else min(LONGEST_S, 2.0 ** min(failures, 10))
        return self.jitter.uniform(0.5, 1.0) * longest
