"""Looks at the embedded gateway over HTTP: liveness, readiness and whether it takes our token.

Every probe is a fresh connection to 127.0.0.1, ignores proxies, follows no redirect and reads at
most 64 KiB (upstream/vellum: Probe ladder).
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from dataclasses import dataclass
from enum import Enum
from functools import cache

from services.sources.local.layout import HOST

HEALTH_S = 1.0
READY_S = 1.5
MEMBERS_S = 1.5
_BODY = 64 * 1024


class Answer(Enum):
    """How one request came back."""

    OK = "ok"
    REFUSED = "refused"
    SILENT = "silent"
    """Accepted, or never answered within the limit."""
    UNAVAILABLE = "unavailable"
    """503."""
    DENIED = "denied"
    """401 or 403."""
    FOREIGN = "foreign"
    """It answers, but not as our gateway would."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, with what its body said."""

    answer: Answer
    status: int = 0
    body: dict[str, object] | None = None
    latency_s: float | None = None

    @property
    def word(self) -> str:
        """The body's own status word, as outside text."""
        said = (self.body or {}).get("status", "")
        return said if isinstance(said, str) else ""


@cache
def _no_tls() -> ssl.SSLContext:
    """Loopback speaks plain HTTP: a context without certificates spares loading them each time."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _load() -> None:
    import httpx  # noqa: F401


async def get(port: int, path: str, limit_s: float, token: str = "") -> Reply:
    """GET one path over a connection of its own; every failure is an `Answer`."""
    if "httpx" not in sys.modules:
        await asyncio.to_thread(_load)
    import httpx

    headers = {"Host": f"{HOST}:{port}", "Connection": "close"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = httpx.Request("GET", f"http://{HOST}:{port}{path}", headers=headers)
    started = time.monotonic()
    try:
        async with (
            asyncio.timeout(limit_s),
            httpx.AsyncHTTPTransport(verify=_no_tls(), trust_env=False) as transport,
        ):
            response = await transport.handle_async_request(request)
            raw = b""
            try:
                async for piece in response.aiter_raw():
                    raw += piece
                    if len(raw) > _BODY:
                        return Reply(Answer.FOREIGN, response.status_code)
            finally:
                await response.aclose()
            return _read(response.status_code, raw, time.monotonic() - started)
    except httpx.ConnectError:
        return Reply(Answer.REFUSED)
    except (TimeoutError, httpx.TimeoutException):
        return Reply(Answer.SILENT)
    except httpx.RemoteProtocolError as error:
        silent = "disconnected" in str(error)
        return Reply(Answer.SILENT if silent else Answer.FOREIGN)
    except (httpx.HTTPError, httpx.InvalidURL, OSError):
        return Reply(Answer.SILENT)


def _read(status: int, raw: bytes, took: float) -> Reply:
    try:
        body = json.loads(raw)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return Reply(Answer.FOREIGN, status, None, took)
    if status in (401, 403):
        return Reply(Answer.DENIED, status, body, took)
    if status == 503:
        return Reply(Answer.UNAVAILABLE, status, body, took)
    if status == 200:
        return Reply(Answer.OK, status, body, took)
    return Reply(Answer.FOREIGN, status, body, took)


@dataclass(frozen=True, slots=True)
class GatewayEvidence:
    """What a ladder of probes learned; later rungs are None where an earlier one decided."""

    port: int
    health: Reply
    ready: Reply | None = None
    members: Reply | None = None


async def climb(port: int, token: str) -> GatewayEvidence:
    """Health, then readiness, then one authenticated question."""
    health = await get(port, "/healthz", HEALTH_S)
    if health.answer is not Answer.OK or health.word != "ok":
        if health.answer is Answer.OK:
            health = Reply(Answer.FOREIGN, health.status, health.body, health.latency_s)
        return GatewayEvidence(port, health)
    ready = await get(port, "/readyz", READY_S)
    if ready.answer is not Answer.OK:
        return GatewayEvidence(port, health, ready)
    members = await get(port, "/sandboxes", MEMBERS_S, token)
    return GatewayEvidence(port, health, ready, members)
