"""A TCP proxy that does what networks do: delays, drips, cuts, freezes, swallows a close."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.http_peer import reset

_PIECE = 1 << 16
_DRIP_S = 0.001


class BadWeather:
    """What befalls every connection through it, from now on."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.port = 0
        self.delay_s = 0.0
        """How much later everything arrives, either way."""
        self.piece = _PIECE
        """Most bytes that travel at once; 1 is a drip."""
        self.swallow_close = False
        """Whether the far side's end, its FIN, never arrives."""
        self.carried = 0
        self._frozen = asyncio.Event()
        self._frozen.set()
        self._pairs: list[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends: list[asyncio.StreamWriter] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def freeze(self) -> None:
        """Half-open: both ends live on, nothing arrives any more."""
        self._frozen.clear()

    def thaw(self) -> None:
        """What was held back goes on."""
        self._frozen.set()

    def cut(self) -> None:
        """Reset both ends of every connection."""
        for pair in self._pairs:
            for one in pair:
                reset(one)
        self._pairs.clear()

    def drop(self) -> None:
        """End every connection towards the client without a word of the protocol."""
        for client, server in self._pairs:
            client.close()
            reset(server)
        self._pairs.clear()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection: known from its first instant, so that none is forgotten."""
        task = asyncio.create_task(self._serve(reader, writer), name="peer weather")
        self._tasks.add(task)
        self._ends.append(writer)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ways: list[asyncio.Task[None]] = []
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            reset(writer)
            return
        self._ends.append(back)
        self._pairs.append((writer, back))
        for source, sink, from_server in ((reader, back, False), (there, writer, True)):
            way = self._carry(source, sink, from_server)
            ways.append(asyncio.create_task(way, name="peer weather"))
        try:
            await asyncio.gather(*ways)
        finally:
            for one in ways:
                one.cancel()
            for end in (writer, back):
                end.close()

    async def _carry(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, from_server: bool
    ) -> None:
        with contextlib.suppress(ConnectionError, OSError):
            while data := await source.read(_PIECE):
                for at in range(0, len(data), self.piece):
                    if self.delay_s:
                        await asyncio.sleep(self.delay_s)  # the subject: a slow line
                    await self._frozen.wait()
                    part = data[at : at + self.piece]
                    self.carried += len(part)
                    sink.write(part)
                    await sink.drain()
                    if self.piece < _PIECE:
                        await asyncio.sleep(_DRIP_S)  # the subject: a line that drips
        await self._frozen.wait()
        if from_server and self.swallow_close:
            await asyncio.Event().wait()
        with contextlib.suppress(OSError, RuntimeError):
            if sink.can_write_eof():
                sink.write_eof()

    async def close(self) -> None:
        """End everything."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for end in self._ends:
            reset(end)
        # What was aborted is closed in the loop's next turns.
        for _ in range(3):
            await asyncio.sleep(0)  # a turn of the loop


@asynccontextmanager
async def bad_weather(port: int) -> AsyncIterator[BadWeather]:
    """A proxy in front of a port of loopback; the weather is fair at first."""
    weather = BadWeather(port)
    server = await asyncio.start_server(weather.accept, "127.0.0.1", 0)
    weather.port = server.sockets[0].getsockname()[1]
    try:
        yield weather
    finally:
        server.close()
        await weather.close()
        await server.wait_closed()
