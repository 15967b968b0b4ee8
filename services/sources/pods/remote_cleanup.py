"""What was left running in a container is ended there: a closed socket does not do it.

See upstream/pods: Processes left behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from services.errors import WakedeckError
from services.sources.pods.kube_shell import Link, Place
from services.sources.pods.open_shells import OpenShell, OpenShells
from services.terminal.exec.channels import ChannelCommand
from services.terminal.exec.remote_pid import END_LIMIT_S, Remote, ending
from services.terminal.exec.requests import ExecRequest, recorded
from services.terminal.exec.runner import follow

CLOSE_S = 3.0
MOST_LEFT = 64


class Hangups:
    """Every ending under way, and the processes none could be delivered to."""

    def __init__(self, connect: Callable[[], Awaitable[Link]], shells: OpenShells) -> None:
        self.left: list[tuple[Place, Remote]] = []
        """What may still run; tried again when its pod is opened the next time."""
        self._connect = connect
        self._shells = shells
        self._tasks: set[asyncio.Task[bool]] = set()

    async def end(self, place: Place, remote: Remote) -> bool:
        """End one, whether it is gone; goes on where the caller is cancelled."""
        return await asyncio.shield(self._begin(place, remote))

    def again(self, place: Place) -> None:
        """Try anew what was left in a pod that can be reached now."""
        uid = place.pod.metadata.uid
        mine = [one for one in self.left if one[0].pod.metadata.uid == uid]
        self.left = [one for one in self.left if one not in mine]
        for shell in self._shells.abandoned(uid):
            mine.append((Place(shell.pod, shell.container), shell.remote))
        for one in mine:
            self._begin(*one)

    def began(self, place: Place, remote: Remote) -> None:
        """Write down that a shell runs, should this panel be killed."""
        self._shells.add(_shell(place, remote))

    def over(self, place: Place, remote: Remote) -> None:
        """It has ended."""
        self._shells.discard(_shell(place, remote))

    def _begin(self, place: Place, remote: Remote) -> asyncio.Task[bool]:
        task = asyncio.create_task(self._end(place, remote), name="hang up")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Wait for those under way, 3 s at most."""
        tasks = tuple(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._shells.close()

    async def _end(self, place: Place, remote: Remote) -> bool:
        try:
            async with asyncio.timeout(END_LIMIT_S):
                link = await self._connect()
                wire = ChannelCommand(partial(link.opened, place))
                done = await recorded(follow(wire, ExecRequest(ending(remote))))
            if done.code == 0:
                self.over(place, remote)
                return True
        except (WakedeckError, TimeoutError):
            pass
        self.left = [*self.left, (place, remote)][-MOST_LEFT:]
        return False


def _shell(place: Place, remote: Remote) -> OpenShell:
    about = place.pod.metadata
    return OpenShell(
        *(about.namespace, about.name, about.uid, place.container),
        *(remote.pid, remote.started, remote.became),
    )
