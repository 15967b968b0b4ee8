"""A child process on a pseudo terminal of ours, in a session of its own."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from services.errors import ProcessError
from services.process.child import is_on_path, wait_for_event
from services.process.ends import ExitWatch
from services.terminal.transport.pty_spawn import START_LIMIT_S, set_iutf8, set_size, spawn
from services.text.sanitize import sanitize

READ_BYTES = 16 * 1024
GRACE_S = 0.5
_KILL_WAIT_S = 2.0
_LINGER_S = 0.1
_POLL_S = 0.02
_INTERRUPTS = (termios.VINTR, termios.VQUIT, termios.VSUSP)


class PtyProcess:
    """One child; made by `start`, ended by `terminate`. `read` has one caller at a time."""

    def __init__(self, child: subprocess.Popen[bytes], master: int, slave: str) -> None:
        self.pid = child.pid
        self._child = child
        self._master: int | None = master
        self._slave = slave
        self._loop = asyncio.get_running_loop()
        self._pending = bytearray()
        self._drained = asyncio.Event()
        self._drained.set()
        self._readable = asyncio.Event()
        self._exit = ExitWatch(child.pid)
        self._terminate_lock = asyncio.Lock()
        self._code: int | None = None

    @classmethod
    async def start(
        cls,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        columns: int,
        lines: int,
        cwd: Path | None = None,
        stdout: int | None = None,
    ) -> PtyProcess:
        """Run `argv`, looked up on the PATH of `env`, on a terminal of that size.

        `stdout` is a handle that takes its stdout instead; it stays the caller's.

        Raises:
            ProcessError: it could not be run; the sentence says why.
        """
        name = sanitize(argv[0], 80)
        with contextlib.ExitStack() as open_handles:
            try:
                master, slave = os.openpty()
                open_handles.callback(os.close, slave)
                keep_master = open_handles.enter_context(contextlib.ExitStack())
                keep_master.callback(os.close, master)
                os.set_blocking(master, False)
                set_size(master, columns, lines)
                set_iutf8(slave)
                terminal = os.ttyname(slave)
                child = await spawn(argv, cwd, env, slave, stdout)
            except TimeoutError as error:
                raise ProcessError(f"{name} did not start in {START_LIMIT_S:g} s") from error
            except OSError as error:
                said = (error.strerror or "it failed").lower()
                if isinstance(error, PermissionError) and not is_on_path(argv[0], env):
                    said = os.strerror(errno.ENOENT).lower()
                raise ProcessError(f"cannot run {name}: {said}") from error
            process = cls(child, master, terminal)
            keep_master.pop_all()
            return process

    @property
    def alive(self) -> bool:
        """Whether the child still runs."""
        return not self._exit.ended.is_set()

    @property
    def pending(self) -> int:
        """Bytes written that the terminal has not taken yet."""
        return len(self._pending)

    async def read(self, limit: int = READ_BYTES) -> bytes:
        """What it printed, `limit` bytes at most; empty once there will be no more."""
        while (master := self._master) is not None:
            try:
                data = _read_available(master, limit)
            except OSError:
                return b""
            if data is not None:
                return data
            if self._exit.ended.is_set() and not await self._wait_readable(_LINGER_S):
                return b""
            await self._wait_readable(None)
        return b""

    async def _wait_readable(self, seconds: float | None) -> bool:
        """Wait for output, the end of the child or of this terminal."""
        if self._master is None:
            return False
        self._readable.clear()
        self._loop.add_reader(self._master, self._readable.set)
        waits = [asyncio.ensure_future(self._readable.wait())]
        if seconds is None:
            waits.append(asyncio.ensure_future(self._exit.ended.wait()))
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            if self._master is not None:
                self._loop.remove_reader(self._master)
        return self._readable.is_set()

    def write(self, data: bytes) -> None:
        """Queue input; an interrupt key overtakes and drops what was not read yet.

        That is what the line discipline does with the key once it sees it; but it does not look
        at it while its buffer is full, which would leave no way to stop a program that never reads.
        """
        if self._master is None:
            return
        interrupt = self._last_interrupt(data)
        if interrupt >= 0:
            self._pending.clear()
            self._drop_unread()
            data = data[interrupt:]
        self._pending += data
        self._flush()

    async def drain(self) -> None:
        """Wait until the terminal has taken everything written."""
        await self._drained.wait()

    def resize(self, columns: int, lines: int) -> None:
        """Set the size; the foreground program hears SIGWINCH."""
        if self._master is not None:
            with contextlib.suppress(OSError):
                set_size(self._master, columns, lines)

    async def terminate(self, grace_s: float = GRACE_S) -> int:
        """End everything still in the terminal's session and reap the child; idempotent.

        Returns the exit code, 128 + n where signal n ended it.
        """
        async with self._terminate_lock:
            if self._code is None:
                try:
                    self._hang_up()
                    await self._wait_session_exit(grace_s)
                    self._signal_session(signal.SIGKILL)
                    await self._wait_session_exit(_KILL_WAIT_S)
                finally:
                    self._code = self._reap()
            return self._code

    async def wait(self, seconds: float) -> bool:
        """Whether the child has ended within that many seconds."""
        return await wait_for_event(self._exit.ended, seconds)

    def _last_interrupt(self, data: bytes) -> int:
        assert self._master is not None
        try:
            attributes = termios.tcgetattr(self._master)
        except termios.error:
            return -1
        if not attributes[3] & termios.ISIG or attributes[3] & termios.NOFLSH:
            return -1
        keys = [attributes[6][index] for index in _INTERRUPTS]
        return max(data.rfind(key) for key in keys if isinstance(key, bytes) and key != b"\0")

    def _drop_unread(self) -> None:
        assert self._master is not None
        with contextlib.suppress(OSError, termios.error):
            termios.tcflush(self._master, termios.TCOFLUSH)
            slave = os.open(self._slave, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                termios.tcflush(slave, termios.TCIFLUSH)
            finally:
                os.close(slave)

    def _flush(self) -> None:
        master = self._master
        if master is None:
            return
        try:
            while self._pending:
                del self._pending[: os.write(master, self._pending)]
        except BlockingIOError:
            self._drained.clear()
            self._loop.add_writer(master, self._flush)
            return
        except OSError:
            self._pending.clear()
        self._loop.remove_writer(master)
        self._drained.set()

    def _hang_up(self) -> None:
        self._signal_session(signal.SIGHUP)
        self._signal_session(signal.SIGCONT)
        master, self._master = self._master, None
        if master is not None:
            self._loop.remove_reader(master)
            self._loop.remove_writer(master)
            os.close(master)
        self._pending.clear()
        self._drained.set()
        self._readable.set()

    def _session_members(self) -> list[int]:
        """Who else lives in the child's session. Its id stays taken until the child is reaped."""
        found = []
        for pid in psutil.pids():
            with contextlib.suppress(OSError, psutil.Error):
                if (
                    pid != self.pid
                    and os.getsid(pid) == self.pid
                    and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
                ):
                    found.append(pid)
        return found

    def _signal_session(self, number: signal.Signals) -> None:
        for pid in (self.pid, *self._session_members()):
            with contextlib.suppress(OSError):
                os.kill(pid, number)

    async def _wait_session_exit(self, seconds: float) -> None:
        deadline = self._loop.time() + seconds
        await wait_for_event(self._exit.ended, seconds)
        while self._session_members():
            if self._loop.time() >= deadline:
                return
            await asyncio.sleep(_POLL_S)

    def _reap(self) -> int:
        self._signal_session(signal.SIGKILL)
        self._exit.close()
        try:
            code = self._child.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL
        return 128 - code if code < 0 else code


def _read_available(master: int, limit: int) -> bytes | None:
    """What is there now; None if nothing is.

    Raises:
        OSError: there will be no more.
    """
    parts: list[bytes] = []
    room = limit
    while room > 0:
        try:
            part = os.read(master, room)
        except BlockingIOError:
            break
        except OSError:
            if parts:
                break
            raise
        if not part:
            if parts:
                break
            raise OSError("end of the terminal")
        parts.append(part)
        room -= len(part)
    return b"".join(parts) if parts else None
