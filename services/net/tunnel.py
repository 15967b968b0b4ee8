"""Connections through a proxy, for httpx: TLS to the server is spoken inside, whatever the proxy.

httpx's own proxies ignore the name a certificate must bear, leave sockets open when a proxy says
no, and say neither which proxy nor which of two connections failed.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Iterable
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import httpcore
from python_socks import ProxyConnectionError, ProxyError, ProxyType
from python_socks.async_.asyncio.v2 import Proxy as ProxyClient

from services.net.failures import network_cause
from services.net.proxies import Proxy

T = TypeVar("T")


class ProxyBackend(httpcore.AsyncNetworkBackend):
    """Opens connections through `proxy`."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        parts = urlsplit(self._proxy.url)
        client = ProxyClient(
            ProxyType.SOCKS5 if parts.scheme == "socks5h" else ProxyType.HTTP,
            parts.hostname or "",
            parts.port or 0,
            unquote(parts.username) if parts.username is not None else None,
            unquote(parts.password) if parts.password is not None else None,
            rdns=True,
            proxy_ssl=ssl.create_default_context() if self._proxy.secure else None,
        )
        try:
            return _Stream(await client.connect(host, port, timeout=timeout))
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(error) from error
        except ssl.SSLError as error:
            raise httpcore.ProxyError(f"TLS to the proxy failed, {error.reason}") from error
        except ProxyConnectionError as error:
            raise httpcore.ConnectError(error) from error
        except (ProxyError, OSError, EOFError, ValueError) as error:
            cut = isinstance(error, EOFError)
            said = "it cut the connection" if cut else str(network_cause(error))
            raise httpcore.ProxyError(said) from error

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.UnsupportedProtocol("no proxy is on the way to a Unix socket")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Stream(httpcore.AsyncNetworkStream):
    """One connection, as httpcore wants it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        reading = self._stream.read(max_bytes)
        return await _limited(reading, timeout, httpcore.ReadTimeout, httpcore.ReadError)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        writing = self._stream.write(buffer)
        await _limited(writing, timeout, httpcore.WriteTimeout, httpcore.WriteError)

    async def aclose(self) -> None:
        await self._stream.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        securing = self._stream.start_tls(server_hostname or "", ssl_context)
        try:
            inner = await _limited(
                securing, timeout, httpcore.ConnectTimeout, httpcore.ConnectError
            )
        except BaseException:
            await self.aclose()
            raise
        return _Stream(inner)

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return self._stream.reader.at_eof()
        return self._stream.writer.get_extra_info(info)


async def _limited(
    doing: Awaitable[T],
    limit_s: float | None,
    late: type[httpcore.TimeoutException],
    broken: type[httpcore.NetworkError],
) -> T:
    try:
        async with asyncio.timeout(limit_s):
            return await doing
    except TimeoutError as error:
        raise late(error) from error
    except OSError as error:
        raise broken(error) from error
