"""One command through the command-line client of another system, such as `docker exec`."""

from __future__ import annotations

import asyncio
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from services.errors import ProcessError, ShellError
from services.models import Retry
from services.process.child import LINGER_S, ChildProcess, run_to_completion, start, wait_for_event
from services.process.run import run
from services.terminal.exec.remote_pid import (
    KILL_LIMIT_S,
    PidPreamble,
    RemoteProcess,
    kill_command,
    wrap_command,
)
from services.terminal.exec.requests import ExecEvent, ExecOutput, ExecResult, ExecStream

_PAUSE_BYTES, _RESUME_BYTES = 256 * 1024, 64 * 1024
_STDERR_TAIL_BYTES = 4096
_PREAMBLE_LIMIT_S = 2.0

ResultClassifier = Callable[[int, str, bool], ExecResult]
"""(exit status, end of stderr, whether the command itself began) → how it ended."""


class ChildCommand:
    """A `CommandTransport` over a CLI client; a second client kills the command."""

    input_delays_pongs = True

    def __init__(
        self,
        client: Callable[[Sequence[str], bool], Sequence[str]],
        classify: ResultClassifier,
        *,
        place: str,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """`client` gives the client's whole argv for a command, with or without input."""
        self.place = place
        self._client = client
        self._classify = classify
        self._env = env
        self._running: ChildProcess | None = None
        self._preamble = PidPreamble()
        self._events: deque[ExecOutput] = deque()
        self._buffered_bytes = 0
        self._paused = False
        self._stderr_tail = b""
        self._changed = asyncio.Event()
        self._pid_known = asyncio.Event()

    async def begin(self, argv: tuple[str, ...], *, stdin: bool) -> None:
        """Start the client.

        Raises:
            ShellError: it is not there, or cannot be run.
        """
        try:
            self._running = await start(
                self._client(wrap_command(argv), stdin),
                self._take,
                cwd=None,
                env=self._env,
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        except ProcessError as error:
            raise ShellError(error.sentence, retry=Retry.NO, advice=error.advice) from error
        self._running.child.notify = self._changed.set

    def _take(self, fd: int, data: bytes) -> None:
        if fd == 1:
            data = self._preamble.feed(data)
            self._buffer_output(ExecOutput(data))
            if self._preamble.remote is not None:
                self._pid_known.set()
        else:
            self._stderr_tail = (self._stderr_tail + data)[-_STDERR_TAIL_BYTES:]
            self._buffer_output(ExecOutput(data, ExecStream.STDERR))

    def _buffer_output(self, output: ExecOutput) -> None:
        self._changed.set()
        if output.data:
            self._events.append(output)
            self._buffered_bytes += len(output.data)
        if self._buffered_bytes > _PAUSE_BYTES and not self._paused:
            self._paused = True
            self._for_each_pipe(lambda pipe: pipe.pause_reading())

    def _for_each_pipe(self, act: Callable[[asyncio.ReadTransport], None]) -> None:
        for number in (1, 2):
            pipe = self._opened().pipe(number)
            if isinstance(pipe, asyncio.ReadTransport) and not pipe.is_closing():
                act(pipe)

    async def read(self) -> ExecEvent:
        """The next output, or how it ended.

        Raises:
            ShellError: it was not started.
        """
        child = self._opened().child
        while not self._events:
            self._changed.clear()
            if not child.exited.is_set():
                await self._changed.wait()
            # Somebody else may hold the pipes of a client that is gone: not for long.
            elif child.drained.is_set() or not await wait_for_event(self._changed, LINGER_S):
                self._buffer_output(ExecOutput(self._preamble.flush()))
                if not self._events:
                    return await self._result()
        output = self._events.popleft()
        self._buffered_bytes -= len(output.data)
        if self._paused and self._buffered_bytes < _RESUME_BYTES:
            self._paused = False
            self._for_each_pipe(lambda pipe: pipe.resume_reading())
        return output

    async def _result(self) -> ExecResult:
        code = self._opened().code
        remote = self._preamble.remote
        if code is None or code < 0:
            result = ExecResult(None, "its client was ended before it knew")
        else:
            stderr = self._stderr_tail.decode("utf-8", "replace")
            result = self._classify(code, stderr, remote is not None)
        if result.code is not None:
            return result
        left = f"it may still run in {self.place}"
        if remote is not None:
            gone = await self._end(remote)
            left = f"it was ended in {self.place}" if gone else f"{left} (pid {remote.pid})"
        return ExecResult(None, f"{result.reason}; {left}")

    async def write(self, data: bytes) -> None:
        """Pass input on to the client once it has taken what came before."""
        running = self._opened()
        pipe = running.pipe(0)
        if isinstance(pipe, asyncio.WriteTransport) and not pipe.is_closing():
            pipe.write(data)
            await running.child.writable.wait()

    async def end_input(self) -> None:
        """Close the client's input; what is buffered goes out first."""
        pipe = self._opened().pipe(0)
        if pipe is not None:
            pipe.close()

    async def ping(self) -> bool:
        """The client runs; what is behind it is its own affair."""
        return not self._opened().child.exited.is_set()

    async def stop(self) -> bool:
        """End the command where it runs, then the client."""
        gone = False
        await wait_for_event(self._pid_known, _PREAMBLE_LIMIT_S)
        remote = self._preamble.remote
        if remote is not None:
            gone = await self._end(remote)
        if not gone:
            await self._opened().end()
        return gone

    async def _end(self, remote: RemoteProcess) -> bool:
        with suppress(ProcessError):
            done = await run(
                self._client(kill_command(remote), False), timeout_s=KILL_LIMIT_S, env=self._env
            )
            return done.code == 0
        return False

    async def close(self) -> None:
        """End the client and give back its pipes."""
        if self._running is not None:
            await run_to_completion(_release(self._running))

    def _opened(self) -> ChildProcess:
        if self._running is None:
            raise ShellError("this command was not started")
        return self._running


async def _release(running: ChildProcess) -> None:
    if not running.child.exited.is_set():
        await running.end()
    await running.release()
