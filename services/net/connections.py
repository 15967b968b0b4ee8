"""Connections for httpx that are not lost where whoever asked is cancelled.

httpcore and anyio drop a socket that has just connected, or is in the middle of its TLS handshake,
when the request is cancelled: nobody closes it. Here an opening always comes to its end, and what
nobody waits for any more is closed then. A request cancelled twice loses a connection in use: that
one is closed with the transport. What opens while the transport closes is closed as well.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpcore

if TYPE_CHECKING:
    import httpx

_GRACE_S = 0.5
_AT_ONCE = 100
"""Connections to one server: a watch holds one for each namespace."""


def transport_for(
    context: ssl.SSLContext, backend: httpcore.AsyncNetworkBackend | None = None
) -> httpx.AsyncHTTPTransport:
    """A transport for httpx; `context` is for the server, `backend` connects to it."""
    import httpx

    transport = httpx.AsyncHTTPTransport(verify=context, trust_env=False)
    transport._pool = _Pool(context, _Openings(backend or httpcore.AnyIOBackend()))
    return transport


class _Pool(httpcore.AsyncConnectionPool):
    """A pool whose connections are all closed with it, those that were abandoned too."""

    def __init__(self, context: ssl.SSLContext, openings: _Openings) -> None:
        super().__init__(
            ssl_context=context,
            max_connections=_AT_ONCE,
            network_backend=openings,
            keepalive_expiry=5.0,
        )
        self._openings = openings

    async def aclose(self) -> None:
        await super().aclose()
        await self._openings.close()


class _Openings(httpcore.AsyncNetworkBackend):
    """Opens connections through `inner`, to the end."""

    def __init__(self, inner: httpcore.AsyncNetworkBackend) -> None:
        self._inner = inner
        self._abandoned: set[asyncio.Task[None]] = set()
        self._open: set[_Connection] = set()
        self._closed = False

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        opening = self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        return await self.finish(opening)

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        opening = self._inner.connect_unix_socket(path, timeout, socket_options)
        return await self.finish(opening)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)

    async def finish(
        self, opening: Coroutine[Any, Any, httpcore.AsyncNetworkStream]
    ) -> _Connection:
        """What `opening` gives; where this is cancelled it is let end, and closed."""
        task = asyncio.ensure_future(opening)
        try:
            connection = _Connection(self, await asyncio.shield(task))
        except asyncio.CancelledError:
            closing = asyncio.ensure_future(_close_when_open(task))
            self._abandoned.add(closing)
            closing.add_done_callback(self._abandoned.discard)
            raise
        if self._closed:
            await connection.aclose()
            raise httpcore.ConnectError("the transport was closed meanwhile")
        self._open.add(connection)
        return connection

    def closed(self, connection: _Connection) -> None:
        """This one is closed, or another has taken its place."""
        self._open.discard(connection)

    async def close(self) -> None:
        """Close what is open, and what opens later; wait for what was abandoned, not long."""
        self._closed = True
        for connection in tuple(self._open):
            await connection.aclose()
        if self._abandoned:
            _, late = await asyncio.wait(self._abandoned, timeout=_GRACE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


class _Connection(httpcore.AsyncNetworkStream):
    """One connection; what `start_tls` gives takes its place."""

    def __init__(self, openings: _Openings, stream: httpcore.AsyncNetworkStream) -> None:
        self._openings = openings
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()
        self._openings.closed(self)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self._openings.closed(self)
        return await self._openings.finish(self._secured(ssl_context, server_hostname, timeout))

    async def _secured(
        self, context: ssl.SSLContext, name: str | None, timeout: float | None
    ) -> httpcore.AsyncNetworkStream:
        try:
            return await self._stream.start_tls(context, name, timeout)
        except BaseException:
            await self._stream.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


async def _close_when_open(task: asyncio.Task[httpcore.AsyncNetworkStream]) -> None:
    with suppress(httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProxyError, OSError):
        await (await task).aclose()
