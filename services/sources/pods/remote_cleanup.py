"""Ends processes left running in containers: a closed socket does not end them.

See upstream/pods: Processes left behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from services.errors import WakedeckError
from services.sources.pods.kube_shell import KubeAccess, ShellTarget
from services.sources.pods.open_shells import OpenShell, OpenShells
from services.terminal.exec.channels import ChannelCommand
from services.terminal.exec.remote_pid import KILL_LIMIT_S, RemoteProcess, kill_command
from services.terminal.exec.requests import ExecRequest, collect_output
from services.terminal.exec.runner import run_command

CLOSE_S = 3.0
MOST_LEFT = 64


class RemoteCleanup:
    """Cleanups under way, and the processes that could not be ended yet."""

    def __init__(self, connect: Callable[[], Awaitable[KubeAccess]], shells: OpenShells) -> None:
        self.left: list[tuple[ShellTarget, RemoteProcess]] = []
        """What may still run; tried again when its pod is opened the next time."""
        self._connect = connect
        self._shells = shells
        self._tasks: set[asyncio.Task[bool]] = set()

    async def end(self, place: ShellTarget, remote: RemoteProcess) -> bool:
        """End one, whether it is gone; goes on where the caller is cancelled."""
        return await asyncio.shield(self._begin(place, remote))

    def retry_cleanup(self, place: ShellTarget) -> None:
        """Try anew what was left in a pod that can be reached now."""
        uid = place.pod.metadata.uid
        mine = [one for one in self.left if one[0].pod.metadata.uid == uid]
        self.left = [one for one in self.left if one not in mine]
        for shell in self._shells.abandoned(uid):
            mine.append((ShellTarget(shell.pod, shell.container), shell.remote))
        for one in mine:
            self._begin(*one)

    def shell_started(self, place: ShellTarget, remote: RemoteProcess) -> None:
        """Write down that a shell runs, should this panel be killed."""
        self._shells.add(_shell(place, remote))

    def shell_ended(self, place: ShellTarget, remote: RemoteProcess) -> None:
        """It has ended."""
        self._shells.discard(_shell(place, remote))

    def _begin(self, place: ShellTarget, remote: RemoteProcess) -> asyncio.Task[bool]:
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

    async def _end(self, place: ShellTarget, remote: RemoteProcess) -> bool:
        try:
            async with asyncio.timeout(KILL_LIMIT_S):
                link = await self._connect()
                wire = ChannelCommand(partial(link.opened, place))
                done = await collect_output(run_command(wire, ExecRequest(kill_command(remote))))
            if done.code == 0:
                self.shell_ended(place, remote)
                return True
        except (WakedeckError, TimeoutError):
            pass
        self.left = [*self.left, (place, remote)][-MOST_LEFT:]
        return False


def _shell(place: ShellTarget, remote: RemoteProcess) -> OpenShell:
    about = place.pod.metadata
    return OpenShell(
        *(about.namespace, about.name, about.uid, place.container),
        *(remote.pid, remote.start_ticks, remote.program),
    )
