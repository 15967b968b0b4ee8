"""Shells that were left are hung up in their container: a closed socket does not do it (§0.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from services.errors import WakedeckError
from services.sources.pods.kube_shell import Link, Place
from services.sources.pods.starts import Remote, hang_up
from services.terminal import channel_exec

LIMIT_S = 8.0
CLOSE_S = 3.0
MOST_LEFT = 64


class Hangups:
    """Every hang-up under way, and the shells no hang-up could be delivered to."""

    def __init__(self, connect: Callable[[], Awaitable[Link]]) -> None:
        self.left: list[tuple[Place, Remote]] = []
        """Shells that may still run; tried again when their pod is opened the next time."""
        self._connect = connect
        self._tasks: set[asyncio.Task[None]] = set()

    async def end(self, place: Place, remote: Remote) -> None:
        """Hang one up; goes on where the caller is cancelled."""
        task = asyncio.create_task(self._end(place, remote), name="hang up")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.shield(task)

    def again(self, place: Place) -> None:
        """Try anew what was left in a pod that can be reached now."""
        uid = place.pod.metadata.uid
        mine = [one for one in self.left if one[0].pod.metadata.uid == uid]
        self.left = [one for one in self.left if one not in mine]
        for one in mine:
            task = asyncio.create_task(self._end(*one), name="hang up")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait for those under way, 3 s at most."""
        tasks = tuple(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _end(self, place: Place, remote: Remote) -> None:
        try:
            async with asyncio.timeout(LIMIT_S):
                link = await self._connect()
                argv = hang_up(remote)
                done = await channel_exec.run(
                    lambda framing: link.transport(place, argv, ("stdout", "stderr"), framing),
                    LIMIT_S,
                )
            if done.code == 0:
                return
        except (WakedeckError, TimeoutError):
            pass
        self.left = [*self.left, (place, remote)][-MOST_LEFT:]
