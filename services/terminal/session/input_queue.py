"""Input queue of a shell: keys are sent before pastes, pastes in pieces.

See upstream/terminal: Sending.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from services.clock import Clock
from services.terminal.session.cut_points import unfinished_character
from services.terminal.transport.base import Transport

PIECE_BYTES = 4096
"""One piece of a paste; the next waits until the peer has taken it."""
BLOCKED_S = 2.0
"""No sign that input was taken for this long: the remote is not reading."""
_MOST_REPLY_BYTES = 64 * 1024
_UNACKNOWLEDGED_PAUSE_S = 0.05
INTERRUPT = b"\x03"


class InputQueue:
    """Two queues (keys and replies, pastes) into one transport."""

    def __init__(self, transport: Transport, clock: Clock, on_blocked: Callable[[bool], None]):
        self._transport = transport
        self._clock = clock
        self._on_blocked = on_blocked
        self._keys = bytearray()
        self._bulk = bytearray()
        self._keys_ready = asyncio.Event()
        self._paste_ready = asyncio.Event()
        self._writing = asyncio.Lock()
        self._outstanding = 0

    @property
    def unsent_paste_bytes(self) -> int:
        """Bytes of pastes that are not sent yet."""
        return len(self._bulk)

    @property
    def outstanding(self) -> bool:
        """Whether something was sent that the peer may not have taken."""
        return self._outstanding > 0

    def type(self, data: bytes) -> None:
        """Send keys before any paste; Ctrl-C drops what is left of a paste."""
        if INTERRUPT in data:
            self.drop_paste()
        self._keys += data
        self._keys_ready.set()

    def reply(self, data: bytes) -> None:
        """Send what the emulator answers; dropped where the remote asks faster than it reads."""
        if len(self._keys) + len(data) <= _MOST_REPLY_BYTES:
            self._keys += data
            self._keys_ready.set()

    def paste(self, data: bytes) -> None:
        """Queue behind what is already being pasted."""
        self._bulk += data
        if self._bulk:
            self._paste_ready.set()

    def drop_paste(self) -> None:
        """Forget what is not sent yet."""
        self._bulk.clear()
        self._paste_ready.clear()

    async def send_keys(self) -> None:
        """Send the first lane until cancelled."""
        while True:
            await self._keys_ready.wait()
            self._keys_ready.clear()
            async with self._exclusive_write():
                # Taken under the lock, so that what was typed meanwhile goes along.
                data = bytes(self._keys)
                self._keys.clear()
                await self._transport.write(data)

    async def send_pastes(self) -> None:
        """Send the second lane until cancelled, at most one piece ahead of the peer."""
        while True:
            await self._paste_ready.wait()
            async with self._reporting_blocked():
                async with self._writing:
                    piece = self._next_piece()
                    if piece:
                        await self._transport.write(piece)
                if piece and not await self._transport.acknowledge():
                    await self._clock.sleep(_UNACKNOWLEDGED_PAUSE_S)

    def _next_piece(self) -> bytes:
        piece = bytes(self._bulk[:PIECE_BYTES])
        if len(self._bulk) > len(piece):
            piece = piece[: len(piece) - unfinished_character(piece)]
        del self._bulk[: len(piece)]
        if not self._bulk:
            self._paste_ready.clear()
        return piece

    @asynccontextmanager
    async def _exclusive_write(self) -> AsyncIterator[None]:
        async with self._reporting_blocked(), self._writing:
            yield

    @asynccontextmanager
    async def _reporting_blocked(self) -> AsyncIterator[None]:
        """Say that the remote is not reading while the inside takes too long."""
        loop = asyncio.get_running_loop()
        self._outstanding += 1
        timer = loop.call_later(BLOCKED_S, self._on_blocked, True)
        try:
            yield
        finally:
            timer.cancel()
            self._outstanding -= 1
            if not self._outstanding:
                self._on_blocked(False)
