"""The pipe to the near side: frames in, frames out, no faster than they are taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import BinaryIO

from services.wire.frames import FrameReader
from services.wire.messages import Message, decode, encode

_CHUNK = 1 << 16


class PipeConnection:
    """Messages over two file descriptors, such as the pipes of `ssh`."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        incoming: asyncio.ReadTransport,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._reader = reader
        self._incoming = incoming
        self._writer = writer
        self._lock = asyncio.Lock()

    @classmethod
    async def over(cls, read_from: BinaryIO, write_to: BinaryIO) -> PipeConnection:
        """Over two open files, which it closes at its end.

        Raises:
            ValueError: one is no pipe, socket or terminal.
        """
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        incoming, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), read_from
        )
        out, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, write_to)
        return cls(reader, incoming, asyncio.StreamWriter(out, protocol, None, loop))

    async def send(self, message: Message) -> None:
        """Send it once what was sent before has been taken; nothing where the pipe is gone."""
        data = encode(message)
        async with self._lock:
            if self._writer.is_closing():
                return
            self._writer.write(data)
            try:
                await self._writer.drain()
            except ConnectionError:
                self._writer.close()

    async def messages(self) -> AsyncIterator[Message]:
        """What the near side says, until it is gone; messages nobody here knows are left out.

        Raises:
            WireError: what came is not of the protocol.
        """
        frames = FrameReader()
        while data := await self._reader.read(_CHUNK):
            for payload in frames.feed(data):
                message = decode(payload)
                if not isinstance(message, str):
                    yield message

    def hang_up(self) -> None:
        """Take nothing more: as if the near side were gone."""
        self._incoming.close()

    def close(self) -> None:
        """Say no more."""
        self._writer.close()
