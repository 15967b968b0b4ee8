"""Runs one remote command: input, output, deadline, Ctrl-C, exit code.

Each system has its own `CommandTransport`; this is what they share. Memory is bounded:
nothing is read before the last output was taken, nothing is sent before the peer took the last.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Coroutine
from typing import Any, Protocol, TypeVar

from services.clock import SystemClock
from services.errors import ShellError
from services.terminal.exec.remote_pid import KILL_LIMIT_S
from services.terminal.exec.requests import ExecEvent, ExecRequest, ExecResult
from services.terminal.transport.keepalive import watch_keepalive

T = TypeVar("T")

STATUS_S = 2.0
"""How long the status of a command that was stopped may take to arrive."""


class CommandTransport(Protocol):
    """One command's connection; used once, by `run_command`."""

    @property
    def place(self) -> str:
        """Where a command may be left running, as in "the pod"."""

    @property
    def input_delays_pongs(self) -> bool:
        """Whether a peer that is stuck on input nobody reads answers no ping meanwhile."""

    async def begin(self, argv: tuple[str, ...], *, stdin: bool) -> None:
        """Start it.

        Raises:
            ShellError, RefusedError: it could not be started, or takes no `stdin` there.
        """

    async def read(self) -> ExecEvent:
        """The next output, or how it ended; cancelling loses nothing.

        Raises:
            ShellError: it was not started after all.
        """

    async def write(self, data: bytes) -> None:
        """Send input once there is room; silently nothing where nobody takes it any more."""

    async def end_input(self) -> None:
        """Say that there is no more."""

    async def ping(self) -> bool:
        """As `Transport.ping`."""

    async def stop(self) -> bool:
        """Have it end, politely at first. True where it is known to be gone. Called once."""

    async def close(self) -> None:
        """Drop the connection; bounded, never raises."""


async def run_command(
    wire: CommandTransport, request: ExecRequest
) -> AsyncGenerator[ExecEvent, None]:
    """Yield its output and, last, its result; closing the generator early stops the command.

    Raises:
        ShellError, RefusedError: it was not started.
    """
    watch = _CommandSupervisor(wire, request)
    tasks = [asyncio.create_task(watch.enforce_deadline(), name="exec deadline")]
    try:
        await watch.run_or_give_up(wire.begin(request.argv, stdin=request.stdin is not None))
        watch.started = watch.early_result is None
        if watch.started:
            tasks.append(asyncio.create_task(watch.watch_connection(), name="exec keepalive"))
            if request.stdin is not None:
                sending = watch.send_input(request.stdin)
                tasks.append(asyncio.create_task(sending, name="exec input"))
        while True:
            event = await watch.run_or_give_up(wire.read())
            if event is None:
                assert watch.early_result is not None
                yield watch.early_result
                return
            watch.record_activity()
            if isinstance(event, ExecResult):
                watch.ended = True
                yield watch.final_result(event)
                return
            yield event
    finally:
        stopping = watch.stopping
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            if watch.started and not watch.ended and not stopping:
                await watch.stop()
        finally:
            await wire.close()


class _CommandSupervisor:
    """Deadline, keepalive, input and stop of one command."""

    def __init__(self, wire: CommandTransport, request: ExecRequest) -> None:
        self._wire = wire
        self._request = request
        self._clock = SystemClock()
        self._waiting: asyncio.Timeout | None = None
        self._sending = False
        self._last_received_at = self._clock.monotonic()
        loop = asyncio.get_running_loop()
        late = request.timeout_s
        self._deadline = None if late is None else loop.time() + late
        self._timeout_reason = ""
        self.early_result: ExecResult | None = None
        self.started = False
        self.ended = False
        self.stopping = False

    async def run_or_give_up(self, work: Coroutine[Any, Any, T]) -> T | None:
        """What it came to; None once there is nothing to wait for."""
        if self.early_result is not None:
            work.close()
            return None
        try:
            async with asyncio.timeout(None) as self._waiting:
                return await work
        except TimeoutError:
            if not self._gave_up():
                raise
            return None
        finally:
            self._waiting = None

    def _gave_up(self) -> bool:
        return self.early_result is not None

    def record_activity(self) -> None:
        """Note that something was received, for the keepalive."""
        self._last_received_at = self._clock.monotonic()

    def final_result(self, result: ExecResult) -> ExecResult:
        """The result, with the exit code unknown if the deadline ended the command."""
        if not self._timeout_reason:
            return result
        how = "it was stopped" if result.code is None else f"it was stopped ({result.code})"
        return ExecResult(None, f"{self._timeout_reason}; {how}")

    async def enforce_deadline(self) -> None:
        """Stop it at the deadline or at the operator's word, and give up where it does not end."""
        try:
            async with asyncio.timeout_at(self._deadline):
                await self._request.stop.wait()
            why = "it was interrupted"
        except TimeoutError:
            why = self._timeout_reason = f"no status within {self._request.timeout_s:g} s"
        if not self.started:
            self._give_up(f"{why}, before it began")
            return
        self.stopping = True
        gone = await self.stop()
        await asyncio.sleep(STATUS_S)
        left = "it was ended" if gone else f"it may still run in {self._wire.place}"
        self._give_up(f"{why}; {left}")

    async def stop(self) -> bool:
        """Have it end; False where nobody knows whether it did."""
        try:
            async with asyncio.timeout(KILL_LIMIT_S):
                return await self._wire.stop()
        except (TimeoutError, ShellError):
            return False

    async def watch_connection(self) -> None:
        """Give up a dead connection; one that waits for us, or for its input, is not."""
        lost = await watch_keepalive(
            self._wire,
            self._clock,
            lambda: self._last_received_at,
            lambda: self._waiting is None or (self._sending and self._wire.input_delays_pongs),
        )
        left = f"; it may still run in {self._wire.place}" if self.started else ""
        self._give_up(f"{lost.reason}{left}")

    async def send_input(self, stdin: AsyncIterable[bytes]) -> None:
        """Send the input and its end; one that cannot be read stops the command."""
        try:
            async for data in stdin:
                self._sending = True
                await self._wire.write(data)
                self._sending = False
            await self._wire.end_input()
        except OSError as error:
            self._give_up(f"its input could not be read: {error.strerror or 'unknown why'}")

    def _give_up(self, reason: str) -> None:
        if self.early_result is None:
            self.early_result = ExecResult(None, reason)
            self._expire()

    def _expire(self) -> None:
        if self._waiting is not None and not self._waiting.expired():
            self._waiting.reschedule(asyncio.get_running_loop().time())
