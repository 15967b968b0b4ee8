"""Byte streams of the far side: shells, and the input and output of commands."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress

from services.clock import Clock
from services.errors import ShellError, WakedeckError, unforeseen
from services.models import ShellState
from services.terminal.exec.requests import (
    ExecEvent,
    ExecOutput,
    ExecRequest,
    ExecResult,
    ExecStream,
)
from services.terminal.session.detach import Detacher
from services.terminal.session.input_queue import InputQueue
from services.terminal.transport.base import CloseReason, Transport
from services.text.redact import redact_line
from services.wire.credit import Credit, Receipt
from services.wire.failures import failed
from services.wire.messages import (
    Item,
    Message,
    ShellData,
    ShellEnded,
    ShellOpen,
    ShellWindow,
)

PIECE = 32 << 10
"""Bytes of one message at most: what another tab may have to wait for."""
Send = Callable[[Message], Awaitable[None]]
_LOG = logging.getLogger(__name__)


class InputStream:
    """What the near side sends on one stream, bounded by its window."""

    def __init__(self, id: int, send: Send) -> None:
        self._id = id
        self._send = send
        self._pieces: deque[bytes] = deque()
        self._receipt = Receipt()
        self._ended = False
        self._changed = asyncio.Event()

    def add(self, data: bytes, end: bool) -> bool:
        """Take in what came; False where it is more than was allowed."""
        kept = self._receipt.arrived(len(data)) or not data
        if data and kept:
            self._pieces.append(data)
        self._ended = self._ended or end or not kept
        self._changed.set()
        return kept

    async def pieces(self) -> AsyncIterator[bytes]:
        """Each piece; the next is allowed once this one was used."""
        while True:
            while self._pieces:
                data = self._pieces.popleft()
                yield data
                await self.used(len(data))
            if self._ended:
                return
            self._changed.clear()
            await self._changed.wait()

    async def used(self, size: int) -> None:
        """Let as much more come."""
        if due := self._receipt.consumed(size):
            await self._send(ShellWindow(self._id, due))


class OutputStream:
    """What is sent to the near side on one stream, as far as its window allows."""

    def __init__(self, id: int, send: Send) -> None:
        self.credit = Credit()
        self._id = id
        self._send = send

    async def write(self, data: bytes, stream: str = "") -> bool:
        """Send it in pieces; False once the stream is closed."""
        rest = memoryview(data)
        while rest:
            size = await self.credit.take(min(len(rest), PIECE))
            if not size:
                return False
            await self._send(ShellData(self._id, bytes(rest[:size]), stream))
            rest = rest[size:]
        return True


class ServedShell:
    """One shell of a sandbox here, for the near side; `run` once."""

    def __init__(self, id: int, transport: Transport, clock: Clock, send: Send) -> None:
        self._id = id
        self._transport = transport
        self._send = send
        self._clock = clock
        self.input = InputStream(id, send)
        self.output = OutputStream(id, send)
        self._close = asyncio.Event()

    def close(self) -> None:
        """Leave it: an idle shell is asked to end, a busy one is left to its server."""
        self._close.set()

    async def resize(self, columns: int, lines: int) -> None:
        """Tell the size."""
        await self._transport.resize(max(2, min(columns, 1000)), max(1, min(lines, 1000)))

    async def run(self, columns: int, lines: int) -> None:
        """Open it and serve it to its end, which is told."""
        try:
            await self._transport.open(max(2, min(columns, 1000)), max(1, min(lines, 1000)))
            await self._send(ShellOpen(self._id, notice=redact_line(self._transport.notice)))
            await self._send(_ended(self._id, await self._serve()))
        except WakedeckError as error:
            await self._send(failed(self._id, error))
        except Exception as error:
            await self._send(failed(self._id, ShellError(unforeseen("a shell", error).sentence)))
        finally:
            self.output.credit.close()
            await self._transport.close()

    async def _serve(self) -> CloseReason:
        keys = InputQueue(self._transport, self._clock, lambda _blocked: None)
        detacher = Detacher(keys)
        reading = asyncio.create_task(self._read(detacher))
        leaving = asyncio.create_task(self._leave(detacher))
        others = [asyncio.create_task(self._type()), asyncio.create_task(keys.send_keys())]
        try:
            await asyncio.wait((reading, leaving), return_when=asyncio.FIRST_COMPLETED)
            return leaving.result() if leaving.done() else reading.result()
        finally:
            for task in (reading, leaving, *others):
                task.cancel()
            await asyncio.gather(reading, leaving, *others, return_exceptions=True)

    async def _read(self, detacher: Detacher) -> CloseReason:
        while not isinstance(got := await self._transport.read(), CloseReason):
            detacher.feed(got)
            if not await self.output.write(got):
                return CloseReason(ShellState.DETACHED, "the other side is gone")
        return got

    async def _type(self) -> None:
        async for data in self.input.pieces():
            await self._transport.write(data)
            await self._transport.acknowledge()

    async def _leave(self, detacher: Detacher) -> CloseReason:
        await self._close.wait()
        detacher.requested.set()
        return await detacher.run()


def _ended(id: int, reason: CloseReason) -> ShellEnded:
    return ShellEnded(
        id=id,
        state=reason.state.value,
        reason=redact_line(reason.reason),
        code=reason.code,
        retry=reason.retry.value,
        tries=reason.tries,
        resumes=reason.resumes,
    )


class ServedCommand:
    """The streams of one `exec`: its input, its output, and the wish that it stops."""

    def __init__(self, id: int, send: Send) -> None:
        self.stop = asyncio.Event()
        self.input = InputStream(id, send)
        self.output = OutputStream(id, send)
        self._id = id
        self._send = send

    def close(self) -> None:
        """Have it end early; its code is still told."""
        self.stop.set()

    async def run(self, start: Callable[[], AsyncIterator[ExecEvent]]) -> None:
        """Run it to its end; its result is told as an item.

        Raises:
            WakedeckError: it could not be run.
        """
        try:
            async with aclosing(start()) as events:  # type: ignore[type-var]
                async for event in events:
                    if isinstance(event, ExecOutput):
                        stderr = event.stream is ExecStream.STDERR
                        await self.output.write(event.data, "stderr" if stderr else "")
                    elif isinstance(event, ExecResult):
                        said = {"code": event.code, "reason": redact_line(event.reason)}
                        await self._send(Item(self._id, said))
        finally:
            self.output.credit.close()
            with suppress(RuntimeError):
                self.stop.set()

    def request(self, plain: ExecRequest, has_input: bool) -> ExecRequest:
        """The request with the streams of this command."""
        return ExecRequest(
            plain.argv,
            plain.choice,
            plain.timeout_s,
            self.input.pieces() if has_input else None,
            self.stop,
        )
