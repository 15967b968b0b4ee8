"""Credit of one direction of a stream: how much may still be sent before the receiver speaks."""

from __future__ import annotations

import asyncio

from services.wire.messages import WINDOW

MOST = 16 << 20
"""More than this is never on credit, whatever the other side grants."""


class Credit:
    """Bytes that may be sent; senders wait here for more."""

    def __init__(self, window: int = WINDOW) -> None:
        self._window = window
        self._left = window
        self._changed = asyncio.Event()
        self._closed = False

    @property
    def all_taken(self) -> bool:
        """Whether the receiver has taken all that was sent."""
        return self._left >= self._window

    def grant(self, size: int) -> None:
        """The receiver has taken so much."""
        if size > 0:
            self._left = min(self._left + size, max(self._window, MOST))
            self._changed.set()

    def close(self) -> None:
        """Nothing will be granted any more: nobody waits longer."""
        self._closed = True
        self._changed.set()

    async def take(self, wanted: int) -> int:
        """So much of it may be sent now, at least a byte; 0 once it is closed."""
        while self._left <= 0 and not self._closed:
            self._changed.clear()
            await self._changed.wait()
        if self._closed:
            return 0
        size = min(wanted, self._left)
        self._left -= size
        return size

    async def spend(self, size: int) -> bool:
        """Wait until anything may be sent, then owe all of it; False once it is closed."""
        while self._left <= 0 and not self._closed:
            self._changed.clear()
            await self._changed.wait()
        self._left -= size
        return not self._closed

    async def settled(self) -> bool:
        """Wait until the receiver has taken everything; False once it is closed."""
        while not self.all_taken and not self._closed:
            self._changed.clear()
            await self._changed.wait()
        return not self._closed


class Receipt:
    """What one receiver has taken in and not granted back yet."""

    def __init__(self, window: int = WINDOW) -> None:
        self._window = window
        self._held = 0
        self._owed = 0

    def arrived(self, size: int) -> bool:
        """Take note of what came; whether the sender kept to its window.

        One message may begin within the window and end beyond it.
        """
        kept = self._held + self._owed < self._window
        self._held += size
        return kept

    def consumed(self, size: int) -> int:
        """Take note of what was used; the grant that is due now, or 0."""
        self._held -= size
        self._owed += size
        if self._owed * 4 < self._window and self._held:
            return 0
        due, self._owed = self._owed, 0
        return due
