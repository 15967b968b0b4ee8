"""One child's life: started in a session of its own, and ended with whatever it started."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from services.errors import ProcessError
from services.process.signals import catch_ignored
from services.text.sanitize import plain

T = TypeVar("T")

GRACE_S = 5.0
"""Between SIGTERM and SIGKILL."""
LINGER_S = 1.0
"""How long a pipe may stay open after the child that had it is gone."""
GIVE_UP_S = 2.0
"""How long SIGKILL may take before the child is left to the kernel."""


class _Child(asyncio.SubprocessProtocol):
    """Passes output on as it comes and says when the child and its pipes are gone."""

    def __init__(self, sink: Callable[[int, bytes], None], outputs: Iterable[int]) -> None:
        self._sink = sink
        self._open = set(outputs)
        self.notify: Callable[[], None] = lambda: None
        self.exited = asyncio.Event()
        self.drained = asyncio.Event()
        self.gone = asyncio.Event()
        self.takes_input = asyncio.Event()
        self.takes_input.set()

    def pause_writing(self) -> None:
        self.takes_input.clear()

    def resume_writing(self) -> None:
        self.takes_input.set()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._sink(fd, data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 0:
            self.takes_input.set()
        self._open.discard(fd)
        if not self._open:
            self.drained.set()
            self.notify()

    def process_exited(self) -> None:
        self.exited.set()
        self.notify()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        pass


def _group_lives(group: int) -> bool:
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


async def within(event: asyncio.Event, seconds: float | None) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Finish `work` whatever is asked of the caller meanwhile; then obey."""
    task = asyncio.ensure_future(work)
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


class Running:
    """One child from its start to its end."""

    def __init__(self, transport: asyncio.SubprocessTransport, child: _Child) -> None:
        self.transport = transport
        self.child = child
        self.group = transport.get_pid()

    @property
    def code(self) -> int | None:
        return self.transport.get_returncode()

    async def _group_gone(self) -> None:
        await self.child.exited.wait()
        while await asyncio.to_thread(_group_lives, self.group):  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    async def end(self) -> None:
        """SIGTERM, the grace, then SIGKILL, for the whole group; bounded."""
        _signal_group(self.group, signal.SIGTERM)
        _signal_group(self.group, signal.SIGCONT)
        try:
            async with asyncio.timeout(GRACE_S):
                await self._group_gone()
        except TimeoutError:
            _signal_group(self.group, signal.SIGKILL)
            await within(self.child.exited, GIVE_UP_S)
        await within(self.child.drained, LINGER_S)

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
) -> Running:
    if not argv:
        raise ProcessError("There is no command to run.")
    name = plain(Path(argv[0]).name or argv[0], 60)
    outputs = (1, 2) if stderr == subprocess.PIPE else (1,)
    catch_ignored()
    starting = asyncio.ensure_future(
        asyncio.get_running_loop().subprocess_exec(
            lambda: _Child(sink, outputs),
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
        await uninterrupted(_undo(starting))
        raise
    except FileNotFoundError as error:
        if cwd is not None and not Path(cwd).is_dir():
            place = plain(str(cwd), 120)
            raise ProcessError(f"{name} cannot start: there is no folder {place}.") from error
        raise ProcessError(
            f"{name} is not installed or not on the PATH.", advice=f"Install {name}."
        ) from error
    except PermissionError as error:
        raise ProcessError(f"{name} may not be run by this user.") from error
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "its arguments cannot be passed on"
        raise ProcessError(f"{name} cannot start: {plain(why or type(error).__name__)}.") from error
    return Running(transport, child)


async def _undo(
    starting: asyncio.Future[tuple[asyncio.SubprocessTransport, _Child]],
) -> None:
    try:
        transport, child = await starting
    except (OSError, ValueError):
        return
    running = Running(transport, child)
    await running.end()
    await running.release()
