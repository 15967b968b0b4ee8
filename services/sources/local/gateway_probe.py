"""Looks at the embedded gateway over HTTP: liveness, readiness and whether it takes our token.

Every probe is a fresh connection to its socket, of which the other end is proven first; it follows
no redirect and reads at most 64 KiB (upstream/vellum: Probe ladder).
"""

from __future__ import annotations

import asyncio
import re
import socket
import time
from dataclasses import dataclass
from enum import Enum

from services.files.bounded import UnfitError, parse_json
from services.net.unix_sockets import ForeignPeerError
from services.sources.local import door
from services.sources.local.layout import ProcessRecord, World

HEALTH_S = 1.0
READY_S = 1.5
MEMBERS_S = 1.5
_LARGEST = 64 * 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) ")


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


async def get(
    world: World, record: ProcessRecord, path: str, limit_s: float, *, authenticated: bool = False
) -> ProbeReply:
    """GET one path over a proven connection of its own; every failure is a `ProbeOutcome`."""
    started = time.monotonic()
    head = f"GET {path} HTTP/1.1\r\nHost: {door.HOST_HEADER}\r\nConnection: close\r\n"
    try:
        async with asyncio.timeout(limit_s):
            connection = await door.connect_to(record)
            try:
                if authenticated:
                    head += f"Authorization: Bearer {door.token(world)}\r\n"
                raw = await _exchange(connection, f"{head}\r\n".encode())
            finally:
                connection.close()
    except ForeignPeerError:
        return ProbeReply(ProbeOutcome.FOREIGN)
    except (ConnectionRefusedError, FileNotFoundError):
        return ProbeReply(ProbeOutcome.REFUSED)
    except (TimeoutError, OSError):
        return ProbeReply(ProbeOutcome.SILENT)
    if not raw:
        return ProbeReply(ProbeOutcome.SILENT)
    head_read, _, body = raw.partition(b"\r\n\r\n")
    status = _STATUS_LINE.match(head_read)
    if status is None or len(raw) > _LARGEST:
        return ProbeReply(ProbeOutcome.FOREIGN)
    return _read(int(status.group(1)), body, time.monotonic() - started)


async def _exchange(connection: socket.socket, request: bytes) -> bytes:
    """The whole answer. On the bare socket: a stream of asyncio costs three times as much."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, request)
    raw = b""
    while len(raw) <= _LARGEST and (piece := await loop.sock_recv(connection, _LARGEST)):
        raw += piece
    return raw


def _read(status: int, raw: bytes, took: float) -> ProbeReply:
    try:
        body = parse_json(raw)
    except UnfitError:
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

    health: ProbeReply
    ready: ProbeReply | None = None
    members: ProbeReply | None = None


async def probe_gateway(world: World, record: ProcessRecord) -> GatewayEvidence:
    """Health, then readiness, then one authenticated question; `record` was just read."""
    health = await get(world, record, "/healthz", HEALTH_S)
    if health.answer is not ProbeOutcome.OK or health.word != "ok":
        if health.answer is ProbeOutcome.OK:
            health = ProbeReply(ProbeOutcome.FOREIGN, health.status, health.body, health.latency_s)
        return GatewayEvidence(health)
    ready = await get(world, record, "/readyz", READY_S)
    if ready.answer is not ProbeOutcome.OK:
        return GatewayEvidence(health, ready)
    members = await get(world, record, "/sandboxes", MEMBERS_S, authenticated=True)
    return GatewayEvidence(health, ready, members)
