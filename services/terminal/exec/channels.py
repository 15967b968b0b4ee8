"""One command over the channels of Kubernetes: its streams apart, its code from the status."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from services.errors import ShellError
from services.terminal.exec.event_buffer import EventBuffer
from services.terminal.exec.process_keeper import ProcessKeeper, end_cut_off
from services.terminal.exec.remote_pid import GO, PidPreamble, wrap_command
from services.terminal.exec.requests import ExecEvent, ExecResult, ExecStream
from services.terminal.transport.base import CloseReason
from services.terminal.transport.framing import Output
from services.terminal.transport.k8s_channels import ChannelFraming, ExecStatusKind
from services.terminal.transport.websocket import WebSocketTransport

OUTPUTS = ("stdout", "stderr")
_PREAMBLE_LIMIT_S = 2.0

Connect = Callable[
    [tuple[str, ...], tuple[str, ...], ChannelFraming], Awaitable[WebSocketTransport]
]
"""(argv, streams, framing) → an open transport."""


class ChannelCommand:
    """A `CommandTransport` over Kubernetes exec; a second command kills the process."""

    input_delays_pongs = True

    def __init__(
        self, connect: Connect, keeper: ProcessKeeper | None = None, place: str = "the pod"
    ) -> None:
        """With a `keeper` the command says who it is, where the container has a sh to say it."""
        self.place = place
        self._connect = connect
        self._keeper = keeper
        self._argv_candidates: deque[tuple[str, ...]] = deque()
        self._stdin = False
        self._framing = ChannelFraming(terminal=False)
        self._transport: WebSocketTransport | None = None
        self._preamble = PidPreamble()
        self._input_ready = asyncio.Event()
        self._events = EventBuffer(self._receive)

    async def begin(self, argv: tuple[str, ...], *, stdin: bool) -> None:
        """Connect and start it; a v4 server cannot be told where input ends.

        See upstream/pods: Half-close.

        Raises:
            ShellError: not connected, or input for a v4 server.
        """
        self._stdin = stdin
        names = ("sh", "/bin/sh") if self._keeper is not None else ()
        self._argv_candidates = deque(wrap_command(argv, stdin=stdin, sh=sh) for sh in names)
        self._argv_candidates.append(argv)
        await self._start()

    async def _start(self) -> None:
        self._framing, self._preamble = ChannelFraming(terminal=False), PidPreamble()
        streams = ("stdin", *OUTPUTS) if self._stdin else OUTPUTS
        self._transport = await self._connect(
            self._argv_candidates.popleft(), streams, self._framing
        )
        if not self._argv_candidates:
            self._input_ready.set()
        if not self._stdin:
            return
        try:
            self._framing.encode_end_of_input()
        except ShellError:
            # It waits for our word and has done nothing yet.
            await self.stop()
            raise
        if self._argv_candidates:
            await self._transport.write(GO)

    async def read(self) -> ExecEvent:
        """The next output, or how it ended.

        Raises:
            ShellError: it was not started.
        """
        return await self._events.read()

    async def _receive(self) -> None:
        got = await self._opened().receive()
        if not isinstance(got, CloseReason):
            for event in got:
                if isinstance(event, Output):
                    self._handle_output(event)
        elif self._sh_missing(got):
            await self.close()
            await self._start()
        else:
            result = await self._result(got)
            self._events.ended = True
            self._events.emit(self._preamble.flush())
            self._events.finish(result)

    def _handle_output(self, output: Output) -> None:
        if output.stderr:
            self._events.emit(output.data, ExecStream.STDERR)
            return
        known = self._preamble.remote is not None
        data = self._preamble.feed(output.data) if self._argv_candidates else output.data
        if self._preamble.remote is not None and not known:
            # Written down before any output, should this process be killed.
            if self._keeper is not None:
                self._keeper.started(self._preamble.remote)
            self._input_ready.set()
        self._events.emit(data)

    def _sh_missing(self, ending: CloseReason) -> bool:
        """Whether there was nobody to say anything, so that the next way is to be tried."""
        outcome = self._framing.outcome
        if not self._argv_candidates or outcome is None or self._preamble.remote is not None:
            return False
        return outcome.kind is ExecStatusKind.NO_PROGRAM or ending.code in (126, 127)

    async def _result(self, ending: CloseReason) -> ExecResult:
        outcome, remote = self._framing.outcome, self._preamble.remote
        if outcome is None or outcome.kind is ExecStatusKind.UNKNOWN:
            left = await end_cut_off(self._keeper, remote, self.place)
            return ExecResult(None, f"{ending.reason}; {left}")
        if remote is not None and self._keeper is not None:
            self._keeper.ended(remote)
        if outcome.kind is not ExecStatusKind.EXITED:
            self._events.ended = True
            raise ShellError(outcome.ending.reason, retry=outcome.ending.retry)
        return ExecResult(outcome.code)

    async def write(self, data: bytes) -> None:
        """Send input, once there is somebody to read it."""
        await self._input_ready.wait()
        await self._opened().write(data)

    async def end_input(self) -> None:
        """Half-close."""
        await self._input_ready.wait()
        await self._opened().send((self._framing.encode_end_of_input(),))

    async def ping(self) -> bool:
        """A pong."""
        return await self._opened().ping()

    async def stop(self) -> bool:
        """End it by a second command; not where it never said who it is."""
        if self._keeper is None:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(_PREAMBLE_LIMIT_S):
                while not self._start_known():
                    await self._events.receive_unless(self._start_known)
        remote = self._preamble.remote
        return remote is not None and await self._keeper.end(remote)

    def _start_known(self) -> bool:
        return self._events.ended or self._preamble.remote is not None

    async def close(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            await self._transport.close()

    def _opened(self) -> WebSocketTransport:
        if self._transport is None:
            raise ShellError("this command was not started")
        return self._transport
