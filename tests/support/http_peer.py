"""An HTTP and WebSocket server for tests: raw enough to misbehave, whole enough for kubectl."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Upgrade
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked; header names are lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    certificate: Mapping[str, Any] | None = None
    """The client's certificate, where it showed one."""

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    def one(self, name: str, default: str = "") -> str:
        return self.query.get(name, [default])[0]

    @property
    def upgrades(self) -> bool:
        return self.headers.get("upgrade", "").lower() == "websocket"


class Exchange:
    """One request and the means to answer it, by the rules or against them."""

    def __init__(
        self, request: Request, head: bytes, reader: asyncio.StreamReader, writer: Writer
    ) -> None:
        self.request = request
        self.reader = reader
        self.writer = writer
        self.head = head

    async def answer(
        self,
        status: int,
        body: bytes | str = b"",
        headers: Mapping[str, str] | None = None,
        kind: str = "text/plain",
    ) -> None:
        """A whole response."""
        data = body.encode() if isinstance(body, str) else body
        lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(data)}"]
        if data:
            lines.append(f"Content-Type: {kind}")
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
        await self.writer.drain()

    async def json(self, status: int, value: object) -> None:
        """A JSON response."""
        await self.answer(status, json.dumps(value), kind="application/json")

    async def begin(self, kind: str = "application/json") -> None:
        """Start a chunked response."""
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.writer.write(head.encode())
        await self.writer.drain()

    async def chunk(self, data: bytes) -> None:
        """A part of it; an empty one ends it."""
        self.writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await self.writer.drain()

    async def accept(self, *known: str) -> WebSocket:
        """Upgrade, with the first name of the client's that is known."""
        offered = [
            name.strip()
            for name in self.request.headers.get("sec-websocket-protocol", "").split(",")
        ]
        chosen = next((name for name in offered if name in known), None)

        def select(_: ServerProtocol, __: object) -> Subprotocol | None:
            return None if chosen is None else Subprotocol(chosen)

        protocol = ServerProtocol(select_subprotocol=select, max_size=32 << 20)
        protocol.receive_data(self.head)
        (asked,) = protocol.events_received()
        assert isinstance(asked, Upgrade)
        protocol.send_response(protocol.accept(asked))
        opened = WebSocket(protocol, self.reader, self.writer, chosen)
        await opened.flush()
        return opened

    def abort(self) -> None:
        """Cut with a reset."""
        reset(self.writer)


Writer = asyncio.StreamWriter


def reset(writer: Writer) -> None:
    """Close so that the other side sees a reset."""
    raw = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class WebSocket:
    """The server's end, frame by frame as the Go server reads: no message is put together."""

    def __init__(
        self,
        protocol: ServerProtocol,
        reader: asyncio.StreamReader,
        writer: Writer,
        subprotocol: str | None,
    ) -> None:
        self.subprotocol = subprotocol
        self.close_code: int | None = None
        """The client's, once it came."""
        self.deaf = False
        """Whether pings go without an answer."""
        self.pings = 0
        self._protocol = protocol
        self._reader = reader
        self._writer = writer

    async def flush(self) -> None:
        """Send what the protocol wants sent."""
        for data in self._protocol.data_to_send():
            if self._writer.is_closing():
                return
            if data:
                self._writer.write(data)
            elif self._writer.can_write_eof():
                self._writer.write_eof()
            else:
                # TLS knows no half-closed connection.
                self._writer.close()
        await self._writer.drain()

    async def frames(self) -> AsyncIterator[Frame]:
        """Data frames until the client is gone."""
        while True:
            for event in self._protocol.events_received():
                assert isinstance(event, Frame)
                if event.opcode is Opcode.PING:
                    self.pings += 1
                elif event.opcode is Opcode.CLOSE:
                    self.close_code = self._protocol.close_code
                elif event.opcode is not Opcode.PONG:
                    yield event
            if not self.deaf:
                with contextlib.suppress(ConnectionError):
                    await self.flush()
            try:
                data = await self._reader.read(1 << 16)
            except ConnectionError:
                return
            if not data:
                return
            self._protocol.receive_data(data)

    async def send(self, data: str | bytes) -> None:
        """One message in one frame."""
        try:
            if isinstance(data, str):
                self._protocol.send_text(data.encode())
            else:
                self._protocol.send_binary(data)
        except InvalidState as error:
            raise ConnectionResetError("the client is gone") from error
        await self.flush()

    async def ping(self) -> None:
        """As servers do."""
        self._protocol.send_ping(b"ping")
        await self.flush()

    async def close(self, code: int | None = 1000, reason: str = "") -> None:
        """The closing handshake's first half."""
        with contextlib.suppress(InvalidState):
            self._protocol.send_close(code, reason)
        await self.flush()

    async def drop(self) -> None:
        """End the connection without a close frame."""
        self._writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self._writer.wait_closed()

    def reset(self) -> None:
        """Cut it."""
        reset(self._writer)


Handler = Callable[[Exchange], Awaitable[None]]


class HttpPeer:
    """One server on loopback; every request goes to `handle`."""

    def __init__(self, handle: Handler) -> None:
        self.requests: list[Request] = []
        self.port = 0
        self.failures: list[BaseException] = []
        self._handle = handle
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        """One connection, as long as it is kept alive."""
        task = asyncio.current_task()
        assert task is not None
        task.set_name("peer connection")
        self._tasks.add(task)
        try:
            while True:
                exchange = await self._next(reader, writer)
                if exchange is None:
                    return
                self.requests.append(exchange.request)
                await self._handle(exchange)
                if exchange.request.upgrades or writer.is_closing():
                    return
        except (ConnectionError, asyncio.CancelledError, ssl.SSLError):
            pass
        except Exception as error:
            self.failures.append(error)
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _next(self, reader: asyncio.StreamReader, writer: Writer) -> Exchange | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers: dict[str, str] = {}
        for name, _, value in (line.partition(":") for line in lines if line):
            # One that stands there several times is one list.
            before = headers.get(name.strip().lower())
            headers[name.strip().lower()] = (
                f"{before}, {value.strip()}" if before else value.strip()
            )
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        session = writer.get_extra_info("ssl_object")
        certificate = None if session is None else session.getpeercert()
        return Exchange(Request(method, target, headers, body, certificate), head, reader, writer)

    async def close(self) -> None:
        """End every connection."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def http_peer(
    handle: Handler, tls: ssl.SSLContext | None = None, port: int = 0, host: str = "127.0.0.1"
) -> AsyncIterator[HttpPeer]:
    """One that listens; at the end it is closed and nothing went wrong in it."""
    peer = HttpPeer(handle)
    server = await asyncio.start_server(peer.serve, host, port, ssl=tls)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        await peer.close()
        await server.wait_closed()
    assert not peer.failures, peer.failures
