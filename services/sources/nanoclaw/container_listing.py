"""The newest container listing, refreshed by one task at a time."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace

from services.clock import Clock
from services.sources.nanoclaw.containers import DOCKER, Containers, Listing
from services.sources.nanoclaw.install import Install

EVERY_S = 2.0
PATIENCE_S = 2.0
KEPT_S = 15.0
"""A listing older than this says nothing about now."""


class ContainerListings:
    """The containers of one install."""

    def __init__(self, install: Install, clock: Clock) -> None:
        self._install = install
        self._clock = clock
        self._containers = Containers()
        self._last: Listing | None = None
        self._good: Listing | None = None
        self._begun_at = 0.0
        self._task: asyncio.Task[Listing] | None = None

    async def latest(self) -> Listing:
        """The newest listing; where none could be made in time, one with a problem."""
        now = self._clock.now()
        if shutil.which(DOCKER) is None:
            return Listing(now, problem="docker is not installed here", installed=False)
        if self._task is None and (self._last is None or now - self._last.at >= EVERY_S):
            self._begun_at = now
            self._task = asyncio.create_task(self._containers.ask(self._install, now))
        if (task := self._task) is not None:
            await asyncio.wait({task}, timeout=PATIENCE_S)
            self._store(task)
        if self._task is None and self._last is not None:
            return self._last
        if self._good is not None and now - self._good.at < KEPT_S:
            return self._good
        waited = self._clock.now() - self._begun_at
        return Listing(now, problem=f"docker has not answered for {waited:.0f} s")

    def _store(self, task: asyncio.Task[Listing]) -> None:
        """Keep what a listing brought, once, whoever waited for it."""
        if self._task is not task or not task.done():
            return
        self._task = None
        if not task.cancelled():
            self._last = task.result()
            if self._last.known:
                self._good = self._last

    async def refresh(self) -> Listing:
        """A listing begun after this call."""
        if self._task is not None:
            await self.latest()
        if self._last is not None:
            self._last = replace(self._last, at=0.0)
        return await self.latest()

    async def close(self) -> None:
        """End what is asked just now; idempotent."""
        task, self._task = self._task, None
        self._last = self._good = None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
