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


class ProbeOutcome(Enum):
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
class ProbeReply:
    """One answer, with what its body said."""

    answer: ProbeOutcome
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


async def get(port: int, path: str, limit_s: float, token: str = "") -> ProbeReply:
    """GET one path over a connection of its own; every failure is an `ProbeOutcome`."""
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
                        return ProbeReply(ProbeOutcome.FOREIGN, response.status_code)
            finally:
                await response.aclose()
            return _read(response.status_code, raw, time.monotonic() - started)
    except httpx.ConnectError:
        return ProbeReply(ProbeOutcome.REFUSED)
    except (TimeoutError, httpx.TimeoutException):
        return ProbeReply(ProbeOutcome.SILENT)
    except httpx.RemoteProtocolError as error:
        silent = "disconnected" in str(error)
        return ProbeReply(ProbeOutcome.SILENT if silent else ProbeOutcome.FOREIGN)
    except (httpx.HTTPError, httpx.InvalidURL, OSError):
        return ProbeReply(ProbeOutcome.SILENT)


def _read(status: int, raw: bytes, took: float) -> ProbeReply:
    try:
        body = json.loads(raw)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return ProbeReply(ProbeOutcome.FOREIGN, status, None, took)
    if status in (401, 403):
        return ProbeReply(ProbeOutcome.DENIED, status, body, took)
    if status == 503:
        return ProbeReply(ProbeOutcome.UNAVAILABLE, status, body, took)
    if status == 200:
        return ProbeReply(ProbeOutcome.OK, status, body, took)
    return ProbeReply(ProbeOutcome.FOREIGN, status, body, took)


@dataclass(frozen=True, slots=True)
class GatewayEvidence:
    """What a ladder of probes learned; later rungs are None where an earlier one decided."""

    port: int
    health: ProbeReply
    ready: ProbeReply | None = None
    members: ProbeReply | None = None


async def probe_gateway(port: int, token: str) -> GatewayEvidence:
    """Health, then readiness, then one authenticated question."""
    health = await get(port, "/healthz", HEALTH_S)
    if health.answer is not ProbeOutcome.OK or health.word != "ok":
        if health.answer is ProbeOutcome.OK:
            health = ProbeReply(ProbeOutcome.FOREIGN, health.status, health.body, health.latency_s)
        return GatewayEvidence(port, health)
    ready = await get(port, "/readyz", READY_S)
    if ready.answer is not ProbeOutcome.OK:
        return GatewayEvidence(port, health, ready)
    members = await get(port, "/sandboxes", MEMBERS_S, token)
    return GatewayEvidence(port, health, ready, members)
