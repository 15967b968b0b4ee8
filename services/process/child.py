"""One child process: started in a session of its own, ended with its process group."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from asyncio.tasks import _unregister_task
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from services.errors import ProcessError
from services.process.ends import hear_ends
from services.process.signals import catch_ignored
from services.text.sanitize import sanitize

T = TypeVar("T")

GRACE_S = 5.0
"""Between SIGTERM and SIGKILL."""
LINGER_S = 1.0
"""How long a pipe may stay open after the child that had it is gone."""
KILL_WAIT_S = 2.0
"""How long SIGKILL may take before the child is left to the kernel."""
_PIPES_S = 0.5
"""How long a start that was called off may take to end by itself."""
_TURNS: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
"""By loop; one lives while somebody waits for it."""


class _ChildProtocol(asyncio.SubprocessProtocol):
    """Passes output on as it comes and says when the child and its pipes are gone."""

    def __init__(self, sink: Callable[[int, bytes], None], outputs: Iterable[int]) -> None:
        self._sink = sink
        self._open = set(outputs)
        self.notify: Callable[[], None] = lambda: None
        self.exited = asyncio.Event()
        self.drained = asyncio.Event()
        self.gone = asyncio.Event()
        self.writable = asyncio.Event()
        self.writable.set()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._sink(fd, data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 0:
            self.writable.set()
        self._open.discard(fd)
        if not self._open:
            self.drained.set()
            self.notify()

    def process_exited(self) -> None:
        self.exited.set()
        self.notify()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()


def is_on_path(program: str, env: Mapping[str, str] | None) -> bool:
    """Whether a program is there; the system calls one that is not forbidden, too.

    It does so where a folder of the PATH may not be searched.
    """
    if os.sep in program:
        return True
    folders = os.get_exec_path(None if env is None else dict(env))
    return any(os.access(f"{folder}/{program}", os.F_OK) for folder in folders)


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        pass


def _group_alive(group: int) -> bool:
    """Whether anything but zombies is left of a process group."""
    import psutil

    try:
        os.killpg(group, 0)
    except OSError:
        return False
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                return True
        except (OSError, psutil.Error):
            continue
    return False


async def wait_for_event(event: asyncio.Event, seconds: float | None) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def run_to_completion(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end even when cancelled; the cancellation is raised afterwards."""
    task = asyncio.ensure_future(work)
    _unregister_task(task)  # a loop that closes calls off every task it knows of
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
        except Exception:  # noqa: S110  raised again below
            pass
    if cancelled is not None:
        if not task.cancelled():
            task.exception()
        raise cancelled
    return task.result()


class ChildProcess:
    """One running child process and its process group."""

    def __init__(self, transport: asyncio.SubprocessTransport, child: _ChildProtocol) -> None:
        self.transport = transport
        self.child = child
        self.group = transport.get_pid()

    @property
    def code(self) -> int | None:
        return self.transport.get_returncode()

    async def _group_gone(self) -> None:
        await self.child.exited.wait()
        while await self._is_group_alive():  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    async def _is_group_alive(self) -> bool:
        try:
            return await asyncio.to_thread(_group_alive, self.group)
        except RuntimeError:  # no thread can be started, and an end is never put off
            return _group_alive(self.group)

    async def end(self) -> None:
        """SIGTERM, the grace, then SIGKILL, for the whole group; bounded."""
        _signal_group(self.group, signal.SIGTERM)
        _signal_group(self.group, signal.SIGCONT)
        try:
            async with asyncio.timeout(GRACE_S):
                await self._group_gone()
        except TimeoutError:
            _signal_group(self.group, signal.SIGKILL)
            await wait_for_event(self.child.exited, KILL_WAIT_S)
        await wait_for_event(self.child.drained, LINGER_S)

    async def release(self) -> None:
        """Close what is left of the pipes and wait for it."""
        self.transport.close()
        if self.child.exited.is_set():
            await self.child.gone.wait()


async def start(
    argv: Sequence[str],
    sink: Callable[[int, bytes], None],
    *,
    cwd: str | os.PathLike[str] | None,
    env: Mapping[str, str] | None,
    stdin: int,
    stderr: int,
) -> ChildProcess:
    if not argv:
        raise ProcessError("There is no command to run.")
    name = sanitize(Path(argv[0]).name or argv[0], 60)
    outputs = (1, 2) if stderr == subprocess.PIPE else (1,)
    catch_ignored()
    hear_ends()
    await _turn_to_start()
    starting = asyncio.ensure_future(
        asyncio.get_running_loop().subprocess_exec(
            lambda: _ChildProtocol(sink, outputs),
            *argv,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=cwd,
            env=None if env is None else dict(env),
            start_new_session=True,
        )
    )
    try:
        transport, child = await asyncio.shield(starting)
    except asyncio.CancelledError:
        # It may have begun: nothing that was started stays behind.
        await run_to_completion(_end_started(starting))
        raise
    except (FileNotFoundError, PermissionError) as error:
        if isinstance(error, PermissionError) and is_on_path(argv[0], env):
            raise ProcessError(f"{name} may not be run by this user.") from error
        if cwd is not None and not Path(cwd).is_dir():
            place = sanitize(str(cwd), 120)
            raise ProcessError(f"{name} cannot start: there is no folder {place}.") from error
        raise ProcessError(
            f"{name} is not installed or not on the PATH.", advice=f"Install {name}."
        ) from error
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "its arguments cannot be passed on"
        raise ProcessError(
            f"{name} cannot start: {sanitize(why or type(error).__name__)}."
        ) from error
    return ChildProcess(transport, child)


async def _turn_to_start() -> None:
    """Wait until no other child is begun in this turn of the loop.

    Starting holds the loop until the child runs, tens of milliseconds on a busy machine: a burst of
    them in one turn would be a panel that hears no key and counts its looks as late.
    """
    turn = _TURNS.setdefault(id(asyncio.get_running_loop()), asyncio.Lock())
    async with turn:
        await asyncio.sleep(0)


async def _end_started(
    starting: asyncio.Task[tuple[asyncio.SubprocessTransport, _ChildProtocol]],
) -> None:
    while not starting.done():
        # A loop that closes calls off this too: it has killed the child and waits for its pipes,
        # which nobody opens any more (Python 3.11). Once more ends that.
        called_off = starting.cancelling() > 0
        await asyncio.wait((starting,), timeout=_PIPES_S)
        if called_off:
            starting.cancel()
    if starting.cancelled() or starting.exception() is not None:
        return
    transport, child = starting.result()
    running = ChildProcess(transport, child)
    await running.end()
    await running.release()
