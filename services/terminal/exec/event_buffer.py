"""The events of one command, in order; whoever waits for one takes in the next output."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from services.terminal.exec.requests import ExecEvent, ExecOutput, ExecResult, ExecStream


class EventBuffer:
    """Output that was received and not read yet; cancelling a reader loses nothing."""

    def __init__(self, receive: Callable[[], Awaitable[None]]) -> None:
        """`receive` takes in some output and gives it to `emit`; it runs once at a time."""
        self.ended = False
        """Whether the command's end was received."""
        self._receive = receive
        self._reading = asyncio.Lock()
        self._events: deque[ExecEvent] = deque()

    def __len__(self) -> int:
        return len(self._events)

    def emit(self, data: bytes, stream: ExecStream = ExecStream.STDOUT) -> None:
        """Add output, if it is any."""
        if data:
            self._events.append(ExecOutput(data, stream))

    def finish(self, result: ExecResult) -> None:
        """Add how it ended."""
        self.ended = True
        self._events.append(result)

    async def read(self) -> ExecEvent:
        """The next event."""
        while not self._events:
            await self.receive_unless(lambda: bool(self._events))
        return self._events.popleft()

    async def receive_unless(self, enough: Callable[[], bool]) -> None:
        """Take in some output, unless somebody else just did."""
        async with self._reading:
            if not enough():
                await self._receive()
