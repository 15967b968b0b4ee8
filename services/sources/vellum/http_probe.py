"""One request, one fresh connection, bounded; every failure is a value.

See upstream/vellum: Probe ladder.

Proxies of the environment are ignored and no redirect is followed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from services.files.bounded import UnfitError, parse_json
from services.net.http import load_client
from services.process.identity import ProcessId
from services.sources.vellum.layout import HOST
from services.sources.vellum.limits import BODY_BYTES
from services.text.sanitize import sanitize

_BEFORE_HEADERS = "http11.send_request_headers.started"
"""What is told when a connection stands and nothing has been sent on it."""


class HttpOutcome(Enum):
    """How one request came back."""

    REFUSED = "refused"
    TIMEOUT = "no answer in time"
    CLOSED = "closed without an answer"
    GARBLED = "not HTTP, or too much of it"
    UNPROVEN = "nothing was sent: who listens there is not its gateway"
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class HttpReply:
    """One answer; `body` only where it is a JSON object."""

    answer: HttpOutcome
    status: int = 0
    body: Mapping[str, object] | None = None
    latency_s: float | None = None
    retry_after: str = ""

    @property
    def word(self) -> str:
        """The body's own status word."""
        said = (self.body or {}).get("status")
        return said if isinstance(said, str) else ""


async def get(url: str, limit_s: float) -> HttpReply:
    """GET a whole address."""
    return await _ask("GET", url, limit_s, {})


async def local(port: int, path: str, limit_s: float) -> HttpReply:
    """GET a path of a port on this machine."""
    return await _ask("GET", f"http://{HOST}:{port}{path}", limit_s, {})


async def is_not_http(port: int, limit_s: float) -> bool:
    """Whether what listens says something by itself or to a request, and not as HTTP would."""
    writer = None
    try:
        async with asyncio.timeout(limit_s):
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(f"GET /healthz HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            said = await reader.read(5)
    except (TimeoutError, OSError):
        return False
    finally:
        if writer is not None:
            writer.close()
    return bool(said) and not b"HTTP/".startswith(said)


def origin(port: int) -> str:
    """What the gateway takes for a caller on its own machine."""
    return f"http://{HOST}:{port}"


Proof = Callable[[], ProcessId | None]
"""Which process proves to be the gateway that listens now; None where none does."""


async def mint(port: int, bearer: str, limit_s: float, proof: Proof) -> HttpReply:
    """Ask the gateway for a token of its own: proof that the credential works.

    What it gives is dropped: the reply keeps no body of a success. The bearer is sent only where
    the same process proves to be the gateway before the connection is made and after.
    """
    before = await asyncio.to_thread(proof)
    if before is None:
        return HttpReply(HttpOutcome.UNPROVEN)

    async def guard(event: str, _: object) -> None:
        if event == _BEFORE_HEADERS and await asyncio.to_thread(proof) != before:
            raise _UnprovenError

    headers = {"Origin": origin(port), "Authorization": f"Bearer {bearer}"}
    try:
        reply = await _ask("POST", f"{origin(port)}/auth/token", limit_s, headers, guard)
    except _UnprovenError:
        return HttpReply(HttpOutcome.UNPROVEN)
    if reply.status == 200:
        held = isinstance((reply.body or {}).get("token"), str)
        return HttpReply(reply.answer, 200, {"token": held}, reply.latency_s)
    return reply


class _UnprovenError(Exception):
    """The connection is not one to the gateway."""


async def _ask(
    method: str,
    url: str,
    limit_s: float,
    headers: Mapping[str, str],
    guard: Callable[[str, object], Awaitable[None]] | None = None,
) -> HttpReply:
    await load_client()
    import httpx

    from services.net.connections import transport_for

    context = httpx.create_ssl_context(verify=url.startswith("https:"))
    began = time.monotonic()
    try:
        async with (
            asyncio.timeout(limit_s),
            httpx.AsyncClient(
                transport=transport_for(context),
                trust_env=False,
                follow_redirects=False,
                timeout=limit_s,
            ) as client,
            client.stream(
                method,
                url,
                headers={**headers, "Connection": "close"},
                extensions={} if guard is None else {"trace": guard},
            ) as response,
        ):
            raw = b""
            async for piece in response.aiter_raw():
                raw += piece
                if len(raw) > BODY_BYTES:
                    return HttpReply(HttpOutcome.GARBLED, response.status_code)
            return HttpReply(
                HttpOutcome.ANSWERED,
                response.status_code,
                _object(raw),
                time.monotonic() - began,
                sanitize(response.headers.get("retry-after", ""), 40),
            )
    except httpx.ConnectError:
        return HttpReply(HttpOutcome.REFUSED)
    except (TimeoutError, httpx.TimeoutException):
        return HttpReply(HttpOutcome.TIMEOUT)
    except httpx.RemoteProtocolError as error:
        closed = "disconnected" in str(error) or "closed" in str(error)
        return HttpReply(HttpOutcome.CLOSED if closed else HttpOutcome.GARBLED)
    except (httpx.NetworkError, OSError):
        return HttpReply(HttpOutcome.CLOSED)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return HttpReply(HttpOutcome.GARBLED)


def _object(raw: bytes) -> Mapping[str, object] | None:
    try:
        body = parse_json(raw)
    except UnfitError:
        return None
    return body if isinstance(body, dict) else None
