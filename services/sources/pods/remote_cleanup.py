"""Ends processes left running in containers: a closed socket does not end them.

See upstream/pods: Processes left behind.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import quote

import msgspec

from services.errors import WakedeckError
from services.files.bounded import UnfitError, json_reader
from services.files.private import open_private, private_folder
from services.sources.pods.kube_access import KubeAccess, ShellTarget
from services.sources.pods.pod import Metadata, Pod
from services.terminal.exec.channels import ChannelCommand
from services.terminal.exec.remote_pid import KILL_LIMIT_S, RemoteProcess, kill_command
from services.terminal.exec.requests import ExecRequest, collect_output
from services.terminal.exec.runner import run_command

_LARGEST = 1 << 20
_log = logging.getLogger(__name__)
CLOSE_S = 3.0
MOST_LEFT = 64


class OpenShell(msgspec.Struct, frozen=True):
    """One shell, by what finds it again."""

    namespace: str
    name: str
    uid: str
    container: str
    pid: int
    started: int
    became: str

    @property
    def pod(self) -> Pod:
        """Its pod, as far as it is known."""
        return Pod(metadata=Metadata(name=self.name, namespace=self.namespace, uid=self.uid))

    @property
    def remote(self) -> RemoteProcess:
        """The process."""
        return RemoteProcess(self.pid, self.started, self.became)


_read = json_reader(list[OpenShell])


class OpenShells:
    """The shells of this panel in one source, and those that dead panels left in it.

    One file for each panel, locked for as long as it lives: a file that can be locked names shells
    nobody hung up.
    """

    def __init__(self, folder: Path | None, source: str) -> None:
        """Without a `folder`, nothing is written down. Nothing is touched before the first use."""
        self._folder = folder
        self._prefix = f"{quote(source, safe='')}."
        self._mine: set[OpenShell] = set()
        self._handle: int | None = None

    def add(self, shell: OpenShell) -> None:
        """It runs from now on."""
        self._mine.add(shell)
        self._save()

    def discard(self, shell: OpenShell) -> None:
        """It has ended."""
        if shell in self._mine:
            self._mine.discard(shell)
            self._save()

    def abandoned(self, uid: str) -> tuple[OpenShell, ...]:
        """Take over what dead panels left in a pod: it is this panel's from now on."""
        found: list[OpenShell] = []
        for handle, path in self._dead():
            left = _shells(handle)
            found += [one for one in left if one.uid == uid]
            rest = [one for one in left if one.uid != uid]
            if rest:
                _write(handle, rest)
            else:
                path.unlink(missing_ok=True)
        if found:
            self._mine.update(found)
            self._save()
        return tuple(found)

    def close(self) -> None:
        """Let go of the file; it stays where shells are left."""
        if self._handle is not None:
            if not self._mine:
                self._path().unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = None

    def _path(self) -> Path:
        assert self._folder is not None
        return self._folder / f"{self._prefix}{os.getpid()}.json"

    def _save(self) -> None:
        if self._folder is None:
            return
        try:
            if self._handle is None:
                private_folder(self._folder)
                self._handle = open_private(self._path(), os.O_RDWR | os.O_CREAT)
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write(self._handle, sorted(self._mine, key=lambda one: (one.uid, one.pid)))
        except OSError as error:
            # The shells work without; only a panel that is killed would leave them.
            _log.warning("open shells are not written down: %s", error.strerror)

    def _dead(self) -> Iterator[tuple[int, Path]]:
        """Files of panels that are gone, locked by us meanwhile."""
        if self._folder is None or not self._folder.is_dir():
            return
        for path in sorted(self._folder.glob(f"{self._prefix}*.json")):
            try:
                handle = open_private(path, os.O_RDWR)
            except OSError:
                continue
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield handle, path
            except OSError:
                continue
            finally:
                os.close(handle)


def _shells(handle: int) -> list[OpenShell]:
    try:
        return _read(os.pread(handle, _LARGEST, 0))
    except UnfitError:
        return []


def _write(handle: int, shells: list[OpenShell]) -> None:
    data = msgspec.json.encode(shells)
    os.ftruncate(handle, 0)
    os.pwrite(handle, data, 0)


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

    def keeper(self, place: ShellTarget) -> CommandKeeper:
        """What keeps count of a command there."""
        return CommandKeeper(self, place)

    def shell_started(self, place: ShellTarget, remote: RemoteProcess) -> None:
        """Write down that a process runs, should this panel be killed."""
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


class CommandKeeper:
    """Keeps count of the commands in one container; a `ProcessKeeper`."""

    later = "it is ended when that is next reached"

    def __init__(self, cleanup: RemoteCleanup, place: ShellTarget) -> None:
        self._cleanup = cleanup
        self._place = place

    def started(self, remote: RemoteProcess) -> None:
        """Write it down."""
        self._cleanup.shell_started(self._place, remote)

    def ended(self, remote: RemoteProcess) -> None:
        """Strike it off."""
        self._cleanup.shell_ended(self._place, remote)

    async def end(self, remote: RemoteProcess) -> bool:
        """End it now, or when the pod is next reached."""
        return await self._cleanup.end(self._place, remote)


def _shell(place: ShellTarget, remote: RemoteProcess) -> OpenShell:
    about = place.pod.metadata
    return OpenShell(
        *(about.namespace, about.name, about.uid, place.container),
        *(remote.pid, remote.start_ticks, remote.program),
    )
