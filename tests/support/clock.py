"""A clock that tests advance."""

from __future__ import annotations

import asyncio
import heapq
import itertools


class FakeClock:
    """Sleepers wake in order as `advance` passes their instant."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        # Elapsed time is kept by itself: an epoch leaves too few digits for small differences.
        self._epoch = now
        self._now = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._epoch + self._now

    def set_wall(self, by: float) -> None:
        """The wall clock is set, forward or back; no time passes."""
        self._epoch += by

    def jump(self, now: float) -> None:
        """Be at that instant, waking nobody."""
        self._now = now - self._epoch

    def monotonic(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)  # a turn of the loop, as a real clock's sleep of nothing
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), future))
        await future

    async def stall(self, seconds: float) -> None:
        """Time passes while the process stands still: whoever is due wakes late, all at once."""
        self._now += seconds
        while self._sleepers and self._sleepers[0][0] <= self._now:
            _, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
        await settle()

    async def advance(self, seconds: float) -> None:
        """Move time, giving every sleeper its turn at its own instant."""
        target = self._now + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= target:
            self._now, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
            await settle()
        self._now = target
        await settle()


async def settle(turns: int = 20) -> None:
    """Let every ready task run."""
    for _ in range(turns):
        await asyncio.sleep(0)  # one turn of the loop
