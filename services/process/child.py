"""One child process: started in a session of its own, ended with its process group."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from asyncio.tasks import _unregister_task
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from services.errors import ProcessError
from services.process.ends import ExitWatch, reap
from services.process.signals import catch_ignored
from services.text.sanitize import sanitize

T = TypeVar("T")

GRACE_S = 5.0
"""Between SIGTERM and SIGKILL."""
LINGER_S = 1.0
"""How long a pipe may stay open after the child that had it is gone."""
KILL_WAIT_S = 2.0
"""How long SIGKILL may take before the child is left to the kernel."""
_TURNS: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
"""By loop; one lives while somebody waits for it."""


class _Child:
    """Passes output on as it comes and says when the child and its pipes are gone."""

    def __init__(self, sink: Callable[[int, bytes], None], pipes: Iterable[int]) -> None:
        self.sink = sink
        self.open = set(pipes)
        self.notify: Callable[[], None] = lambda: None
        self.exited = asyncio.Event()
        self.drained = asyncio.Event()
        self.gone = asyncio.Event()
        self.writable = asyncio.Event()
        self.writable.set()

    def exit(self) -> None:
        self.exited.set()
        self.notify()

    def lose(self, pipe: int) -> None:
        self.open.discard(pipe)
        if pipe == 0:
            self.writable.set()
        if not self.open - {0}:
            self.drained.set()
            self.notify()
        if not self.open:
            self.gone.set()


class _Pipe(asyncio.Protocol):
    """One end of ours: 0 takes the child's input, 1 and 2 give its output."""

    def __init__(self, child: _Child, number: int) -> None:
        self._child = child
        self._number = number

    def data_received(self, data: bytes) -> None:
        self._child.sink(self._number, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._child.lose(self._number)

    def pause_writing(self) -> None:
        self._child.writable.clear()

    def resume_writing(self) -> None:
        self._child.writable.set()


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
    """Whether it is set within that time; what was set as the time ran out counts."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


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

    def __init__(
        self, process: subprocess.Popen[bytes], sink: Callable[[int, bytes], None]
    ) -> None:
        files = enumerate((process.stdin, process.stdout, process.stderr))
        self._files = {number: file for number, file in files if file is not None}
        self._process = process
        self._pipes: dict[int, asyncio.BaseTransport] = {}
        self.child = _Child(sink, self._files)
        self.group = process.pid
        ExitWatch(process.pid, partial(reap, process.pid, self._ended))

    @property
    def code(self) -> int | None:
        return self._process.returncode

    def pipe(self, number: int) -> asyncio.BaseTransport | None:
        """Our end of its stdin, stdout or stderr."""
        return self._pipes.get(number)

    async def connect(self) -> None:
        """Open our ends; output is passed on from here on."""
        loop = asyncio.get_running_loop()
        for number, file in self._files.items():
            connect = loop.connect_read_pipe if number else loop.connect_write_pipe
            protocol = partial(_Pipe, self.child, number)
            self._pipes[number], _ = await connect(protocol, file)
            # Until all are open: whoever starts a child takes what comes once it has it. Before
            # this turn of the loop nothing was read; in `connection_made` 3.11.3 would forget it.
            if number:
                self._pipes[number].pause_reading()  # type: ignore[attr-defined]
        for number, pipe in self._pipes.items():
            if number:
                pipe.resume_reading()  # type: ignore[attr-defined]

    def _ended(self, code: int) -> None:
        self._process.returncode = code
        self.child.exit()

    async def _group_gone(self, seconds: float) -> bool:
        """Whether it was within that time."""
        try:
            async with asyncio.timeout(seconds):
                await self.child.exited.wait()
                while await self._is_group_alive():  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        except TimeoutError:
            return False
        return True

    async def _is_group_alive(self) -> bool:
        try:
            return await asyncio.to_thread(_group_alive, self.group)
        except RuntimeError:  # no thread can be started, and an end is never put off
            return _group_alive(self.group)

    async def end(self) -> None:
        """SIGTERM, the grace, then SIGKILL, for the whole group; bounded.

        Nothing is sent once the child has ended by itself: its number may be another's by now.
        """
        if not self.child.exited.is_set():
            _signal_group(self.group, signal.SIGTERM)
            _signal_group(self.group, signal.SIGCONT)
            if not await self._group_gone(GRACE_S):
                _signal_group(self.group, signal.SIGKILL)
                await self._group_gone(KILL_WAIT_S)
        await wait_for_event(self.child.drained, LINGER_S)

    async def release(self) -> None:
        """Close what is left of the pipes and wait for it; nothing it leads goes on without us."""
        if not self.child.exited.is_set():
            _signal_group(self.group, signal.SIGKILL)
        for number in tuple(self.child.open):
            pipe = self._pipes.get(number)
            if pipe is None:
                self._files[number].close()
                self.child.lose(number)
            elif isinstance(pipe, asyncio.WriteTransport):
                # What is left was not taken; one that closes with nothing left is lost already.
                if not pipe.is_closing() or pipe.get_write_buffer_size():
                    pipe.abort()
            else:
                pipe.close()
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
    catch_ignored()
    await _turn_to_start()
    try:
        process = subprocess.Popen(  # noqa: ASYNC220  asyncio would do it here, too
            argv,
            bufsize=0,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=cwd,
            env=None if env is None else dict(env),
            start_new_session=True,
        )
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
        raise _cannot_start(name, error) from error
    running = ChildProcess(process, sink)
    try:
        await running.connect()
    except BaseException as error:
        # Nothing that was started stays behind.
        await run_to_completion(_end_started(running))
        if isinstance(error, OSError):  # the kernel has no room for its pipes
            raise _cannot_start(name, error) from error
        raise
    return running


def _cannot_start(name: str, error: OSError | ValueError) -> ProcessError:
    why = error.strerror if isinstance(error, OSError) else "its arguments cannot be passed on"
    return ProcessError(f"{name} cannot start: {sanitize(why or type(error).__name__)}.")


async def _turn_to_start() -> None:
    """Wait until no other child is begun in this turn of the loop.

    Starting holds the loop until the child runs, tens of milliseconds on a busy machine: a burst of
    them in one turn would be a panel that hears no key and counts its looks as late.
    """
    turn = _TURNS.setdefault(id(asyncio.get_running_loop()), asyncio.Lock())
    async with turn:
        await asyncio.sleep(0)


async def _end_started(running: ChildProcess) -> None:
    running.child.drained.set()  # nobody reads it any more
    await running.end()
    await running.release()
