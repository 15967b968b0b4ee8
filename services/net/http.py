"""HTTP to one server: bounded answers, and every failure a sentence."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from services.errors import DeadlineError, UnavailableError
from services.files.bounded import LISTS, UnfitError, parse_json
from services.net.failures import classify_network_error, is_loopback, message_of, network_cause
from services.net.headers import Pairs, pairs
from services.net.proxies import Proxy, proxy_for
from services.text.redact import redact_line
from services.text.sanitize import sanitize

if TYPE_CHECKING:
    import httpx

LARGEST = LISTS.size
_SMALL = 1 << 16
"""Bytes that are decoded without a thread."""
CONNECT_S = 4.0
ANSWER_S = 5.0
_SECRET = frozenset({"authorization", "cookie"})
Query = tuple[tuple[str, str], ...]


class ApiError(UnavailableError):
    """The server answered with an error: `status` is its HTTP code, `said` its own words."""

    def __init__(
        self, sentence: str, status: int, said: str = "", *, advice: str = "", body: bytes = b""
    ) -> None:
        super().__init__(sentence, advice=advice)
        self.status = status
        self.said = said
        self.body = body
        """The answer itself, its first 16 KiB: for machines, never shown."""


class OtherTypeError(UnavailableError):
    """The server answered with something of another type than was asked for."""


_CLIENT = ("httpx", "services.net.connections", "anyio._backends._asyncio")


async def load_client() -> None:
    """Import what requests are made with: a slow machine takes longer than some limits allow."""
    if not all(name in sys.modules for name in _CLIENT):
        for name in _CLIENT:
            await asyncio.to_thread(import_module, name)


class Http:
    """Requests to one server; the connection is made with the first and kept."""

    def __init__(
        self,
        base: str,
        address: str,
        headers: Callable[[], Mapping[str, str] | Pairs],
        *,
        context: Callable[[], ssl.SSLContext | None] = lambda: None,
        generation: Callable[[], int] = lambda: 0,
        proxy: str = "",
        tls_name: str = "",
    ) -> None:
        """`headers` and `context` are asked anew for each request and connection.

        `proxy` is a URL, empty for what the environment says.
        """
        self.address = address
        self._base = base
        self._headers = headers
        self._context = context
        self._generation = generation
        self._named_proxy = proxy
        self._proxy: Proxy | None = None
        self._tls_name = tls_name
        self._client: httpx.AsyncClient | None = None
        self._made_for = -1
        self._outdated: list[httpx.AsyncClient] = []
        self._closed = False

    async def get(
        self,
        path: str,
        query: Query = (),
        limit_s: float = ANSWER_S,
        *,
        method: str = "GET",
        only: str = "",
    ) -> bytes:
        """The body of a success, 200 to 204. `only` is the one media type that is an answer.

        Raises:
            OtherTypeError: it is of another type, whatever its status.
            ApiError: another status.
            UnavailableError: no answer, or one above 64 MiB.
        """
        body = bytearray()
        async with self._send(method, path, query, limit_s, only=only) as parts:
            async for part in parts:
                body += part
                if len(body) > LARGEST:
                    raise UnavailableError(f"{self.address} answered with more than 64 MiB.")
        return bytes(body)

    async def json(
        self, path: str, query: Query = (), limit_s: float = ANSWER_S, *, method: str = "GET"
    ) -> Any:
        """The same, decoded.

        Raises:
            UnavailableError: also where that is not JSON.
        """
        body = await self.get(path, query, limit_s, method=method)
        try:
            if len(body) > _SMALL:
                return await asyncio.to_thread(parse_json, body, LISTS)
            return parse_json(body)
        except UnfitError as error:
            raise UnavailableError(f"{self.address} answered with something else than JSON.") from (
                error
            )

    @asynccontextmanager
    async def stream(
        self, path: str, query: Query = (), silence_s: float = ANSWER_S, *, method: str = "GET"
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The body of a success as it comes, cut anywhere; `silence_s` without a part is a failure.

        Raises:
            ApiError: another status.
            UnavailableError: no answer, or it broke off.
        """
        async with self._send(method, path, query, silence_s) as parts:
            yield parts

    @asynccontextmanager
    async def _send(
        self,
        method: str,
        path: str,
        query: Query,
        silence_s: float,
        content: tuple[str, bytes] | None = None,
        only: str = "",
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The same for any method; `content` is the type and the bytes of a body."""
        await load_client()
        import httpx

        extensions = {"sni_hostname": self._tls_name} if self._tls_name else {}
        limits = httpx.Timeout(ANSWER_S, connect=CONNECT_S, read=silence_s)
        headers = pairs(self._headers())
        typed = () if content is None else (("Content-Type", content[0]),)
        try:
            async with self._ready().stream(
                method,
                self._base + path,
                params=list(query) or None,
                headers=[*headers, *typed],
                content=None if content is None else content[1],
                timeout=limits,
                extensions=extensions,
            ) as answer:
                kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
                if only and kind != only:
                    raise OtherTypeError(f"{self.address} answered with another type than {only}.")
                if not 200 <= answer.status_code <= 204:
                    body = b""
                    async for part in answer.aiter_bytes():
                        body += part
                        if len(body) > 16_384:
                            break
                    raise self._error(answer.status_code, body, headers)
                yield answer.aiter_bytes()
        except httpx.TimeoutException as error:
            via = f" through the proxy {self._proxy.address}" if self._proxy is not None else ""
            raise DeadlineError(f"{self.address} did not answer in time{via}.") from error
        except httpx.HTTPError as error:
            raise self._failed(error) from error
        except httpx.InvalidURL as error:
            raise UnavailableError(f"{self.address} is not an address.") from error

    async def close(self) -> None:
        """Let go of the connection, for good; idempotent. Whoever still asks is told so."""
        self._closed = True
        clients, self._client = (*self._outdated, self._client), None
        self._outdated.clear()
        for client in clients:
            if client is not None:
                await client.aclose()

    def _ready(self) -> httpx.AsyncClient:
        import httpx

        from services.net.connections import transport_for

        if self._closed:
            raise UnavailableError(f"The connection to {self.address} was closed.")
        if self._client is None or self._made_for != self._generation():
            if self._client is not None:
                # What still streams over it goes on to its end.
                self._outdated.append(self._client)
            self._made_for = self._generation()
            self._proxy = via = proxy_for(self._base, self._named_proxy, os.environ)
            context = self._context() or httpx.create_ssl_context()
            backend = None
            if via is not None:
                from services.net.tunnel import ProxyBackend

                backend = ProxyBackend(via)
            self._client = httpx.AsyncClient(
                transport=transport_for(context, backend), trust_env=False, follow_redirects=False
            )
        return self._client

    def _failed(self, error: Exception) -> UnavailableError:
        import httpx

        via = self._proxy
        if isinstance(error, httpx.ProxyError):
            said = redact_line(str(error), 120)
            place = "on the way" if via is None else via.address
            return UnavailableError(
                f"The proxy {place} did not connect to {self.address}: {said}.",
                advice="The proxy answers; whether it may connect there is its own matter.",
            )
        cause = network_cause(error)
        if not isinstance(cause, OSError):
            return UnavailableError(f"{self.address} broke off its answer.")
        if not isinstance(error, httpx.ConnectError):
            return UnavailableError(f"The connection to {self.address} broke.")
        if via is not None and not isinstance(cause, ssl.SSLError):
            failure = classify_network_error(cause, via.address)
            return UnavailableError(
                f"The proxy on the way to {self.address}: {failure.sentence}.",
                advice="It is named by proxy-url in the kubeconfig, or by the environment.",
            )
        failure = classify_network_error(cause, self.address, secure=self._base.startswith("https"))
        return UnavailableError(f"{failure.sentence}.", advice=failure.advice)

    def _error(self, status: int, body: bytes, headers: Pairs) -> ApiError:
        said = message_of(body)
        for value in (value for name, value in headers if name.lower() in _SECRET):
            for secret in (value, *(part for part in value.split() if len(part) > 6)):
                said = said.replace(secret, "•••")
        said = redact_line(said, 300)
        tail = f": {said}" if said else ""
        return ApiError(f"{self.address} answered {status}{tail}.", status, said, body=body)


class KeptHttp:
    """One `Http`, made when it is first needed: making it can fail, being configured cannot."""

    def __init__(self, make: Callable[[], Http]) -> None:
        self._make = make
        self._http: Http | None = None
        self._closed = False

    def opened(self) -> Http:
        """The one there is; raises what `make` raises, UnavailableError also once it is closed."""
        if self._http is None:
            if self._closed:
                raise UnavailableError("The source was closed.")
            self._http = self._make()
        return self._http

    async def close(self) -> None:
        """Let go of the connection, for good; idempotent."""
        self._closed = True
        if self._http is not None:
            await self._http.close()


def platform_http(
    base: str,
    headers: Callable[[], Mapping[str, str]],
    *,
    allow_plain: bool,
    context: Callable[[], ssl.SSLContext | None] = lambda: None,
) -> Http:
    """GETs of a platform that takes a token.

    Raises:
        UnavailableError: the token would travel to another machine without TLS.
    """
    parts = urlsplit(base)
    host = parts.hostname or ""
    secure = parts.scheme == "https"
    if not secure and not allow_plain and not is_loopback(host):
        raise UnavailableError(
            f"A token would travel to {sanitize(host, 100)} without TLS.",
            advice="Use an https address.",
        )
    address = f"{host}:{parts.port or (443 if secure else 80)}"
    return Http(base, address, headers, context=context)


def context_of(authority: str) -> ssl.SSLContext:
    """TLS that trusts the certificates of a file.

    Raises:
        UnavailableError: it is no certificate file.
    """
    path = Path(authority).expanduser()
    try:
        return ssl.create_default_context(cafile=str(path))
    except (OSError, ssl.SSLError) as error:
        raise UnavailableError(f"The authority {path} is no certificate file.") from error
