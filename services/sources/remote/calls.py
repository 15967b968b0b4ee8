"""Calls and byte streams to a far side, as the near side sees them: bounded by their windows."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from services.errors import DeadlineError, UnavailableError, WakedeckError
from services.wire.credit import Credit, Receipt
from services.wire.failures import error_of
from services.wire.messages import (
    Cancel,
    Done,
    Failed,
    Item,
    Message,
    ShellClose,
    ShellData,
    ShellEnded,
    ShellOpen,
    ShellWindow,
    encoded_size,
)

Send = Callable[[Message], None]
LARGEST_ANSWER = 8 << 20
"""Bytes of the items of one answer that are kept."""
_PIECE = 16 << 10
END = (Done, Failed, ShellEnded)


class FarStream:
    """One call, command or shell: what arrived on it, and what may be sent."""

    def __init__(self, id: int, send: Send, forget: Callable[[int], None], who: str) -> None:
        self.id = id
        self.credit = Credit()
        self._send = send
        self._forget = forget
        self._who = who
        self._arrived: deque[Message] = deque()
        self._receipt = Receipt()
        self._changed = asyncio.Event()
        self._lost: WakedeckError | None = None
        self._opened = False
        self._over = False

    @property
    def over(self) -> bool:
        """Whether its last message came, or the link is gone."""
        return self._over or self._lost is not None

    def arrived(self, message: Message) -> bool:
        """Take in what came; False where it is more than was allowed.

        What counts nothing in the window is kept once, or not at all.
        """
        if isinstance(message, ShellData) and not message.data:
            return True
        if isinstance(message, ShellOpen):
            if self._opened:
                return True
            self._opened = True
        kept = self._receipt.arrived(_size(message))
        if kept and not self._over:
            self._arrived.append(message)
        if isinstance(message, END):
            self._over = True
            self.credit.close()
            self._forget(self.id)
        self._changed.set()
        return kept

    def lose(self, error: WakedeckError) -> None:
        """The link is gone."""
        self._lost = error
        self.credit.close()
        self._changed.set()

    async def next(self) -> Message:
        """The next message; what was used is granted back.

        Raises:
            WakedeckError: the link is gone.
        """
        while not self._arrived:
            if self._lost is not None:
                raise self._lost
            if self._over:
                raise UnavailableError(f"{self._who} has said all it had to say.")
            self._changed.clear()
            await self._changed.wait()
        message = self._arrived.popleft()
        due = self._receipt.consumed(_size(message))
        if due and not self.over:
            self._send(ShellWindow(self.id, due))
        return message

    async def items(self) -> AsyncGenerator[object]:
        """The items of a call; leaving early cancels it.

        Raises:
            WakedeckError: as the far side says, or the link is gone.
        """

        try:
            while not isinstance(message := await self.next(), Done):
                if isinstance(message, Failed):
                    raise error_of(message, self._who)
                if isinstance(message, Item):
                    yield message.value
        finally:
            self.cancel()

    async def write(self, data: bytes) -> None:
        """Send bytes as far as the far side takes them; nothing once it is over."""
        rest = memoryview(data)
        while rest:
            size = await self.credit.take(min(len(rest), _PIECE))
            if not size:
                return
            self._send(ShellData(self.id, bytes(rest[:size])))
            rest = rest[size:]

    def end_input(self) -> None:
        """No more bytes follow."""
        if not self.over:
            self._send(ShellData(self.id, end=True))

    def ask_to_end(self) -> None:
        """Leave the shell; have the command stop."""
        if not self.over:
            self._send(ShellClose(self.id))

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        if not self.over:
            self._send(Cancel(self.id))
            self._forget(self.id)
            self._over = True
            self.credit.close()


async def whole_answer(call: FarStream, seconds: float, who: str) -> list[object]:
    """All items of a call; what goes beyond the largest answer is cut off, and the call left.

    Raises:
        WakedeckError: as the far side says, it was too slow, or the link is gone.
    """
    kept: list[object] = []
    left = LARGEST_ANSWER
    try:
        async with asyncio.timeout(seconds), aclosing(call.items()) as items:
            async for item in items:
                left -= encoded_size(item)
                if left < 0:
                    break
                kept.append(item)
    except TimeoutError:
        raise DeadlineError(f"{who} did not answer within {seconds:g} s.") from None
    return kept


def _size(message: Message) -> int:
    """What a message counts in its window."""
    if isinstance(message, ShellData):
        return len(message.data)
    return encoded_size(message.value) if isinstance(message, Item) else 0
