"""The probes of a gateway over HTTP: three GETs without a credential.

An answer counts only as JSON with the expected words: the gateway's web app answers every other
path with 200. See upstream/openclaw: Probes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from services.agents.openclaw.fields import names, number, seconds, table, text
from services.files.bounded import UnfitError, parse_json
from services.text.sanitize import sanitize

PROBE_S = 2.0
"""Seconds for one answer."""
PATHS = ("/healthz", "/startupz", "/readyz")
FULL, HALF = 0.9, 0.5
"""Shares: of processors that leave nothing over, and of one by which a thread is held up itself."""
ASK_S = 5.0
"""Seconds for all of them; less than a poll may take."""
AGAIN_S = 0.3
"""Seconds before a port that refused is tried again."""


class Reach(Enum):
    """How far a question came."""

    ANSWERED = "answered"
    REFUSED = "refused"
    SILENT = "silent"
    FAILED = "failed"
    """Neither: no name, no route, no TLS, or a broken connection."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of one GET."""

    reach: Reach
    status: int = 0
    json: bool = False
    """Whether it calls itself JSON."""
    body: bytes = b""
    problem: str = ""
    """A sentence, where nothing was answered."""


Carrier = Callable[[str, float], Awaitable[Reply]]
"""Carries a GET of a path to the gateway, within so many seconds; never raises for its failure."""


class HealthWord(Enum):
    """What `/healthz` says."""

    LIVE = "live"
    OTHER = "something else"
    """Not an OpenClaw gateway's answer."""
    UNKNOWN = "unknown"
    """The shape of one, with a word that is not known here."""


@dataclass(frozen=True, slots=True)
class EventLoop:
    """How late the gateway's event loop is."""

    degraded: bool = False
    delay_ms: float = 0.0
    """Of the slowest hundredth."""
    host_busy: float | None = None
    """Share of the host's processors in use, 0 to 1."""
    own_busy: float | None = None
    """Share of one processor that the loop's own thread got, 0 to 1."""

    @property
    def starved(self) -> bool:
        """Whether it is late for want of a processor, which others have."""
        busy, own = self.host_busy, self.own_busy
        return busy is not None and own is not None and busy >= FULL and own < HALF


@dataclass(frozen=True, slots=True)
class Startup:
    """What `/startupz` says."""

    word: str
    """`started`, `starting`, `draining`, or a word that is not known here."""
    waits_for: str = ""
    version: str = ""
    uptime_s: float | None = None


@dataclass(frozen=True, slots=True)
class Readiness:
    """What `/readyz` says."""

    ready: bool
    failing: tuple[str, ...] = ()
    suppressed: tuple[str, ...] = ()
    """Channels that are held back after crashes."""
    event_loop: EventLoop = EventLoop()


@dataclass(frozen=True, slots=True)
class Answers:
    """What the probes of one look learned."""

    reach: Reach
    problem: str = ""
    health: HealthWord | None = None
    word: str = ""
    """What it said of its health, where that is not known here."""
    startup: Startup | None = None
    """None also where a release before 2026.8.1 has no such path."""
    readiness: Readiness | None = None
    latency_s: float | None = None
    silent: bool = False
    """It answered that it lives, and not in time whether it is ready."""


async def ask(
    carrier: Carrier,
    monotonic: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    *,
    suspended: bool = False,
) -> Answers:
    """Ask a gateway how it is; read-only. Silence and refusal are believed at the second.

    The silence of a process that is `suspended` is believed at once.
    """
    health, startup, readiness = PATHS
    first = began = monotonic()
    reply = await carrier(health, PROBE_S)
    if reply.reach is Reach.REFUSED or (reply.reach is Reach.SILENT and not suspended):
        if reply.reach is Reach.REFUSED:
            await sleep(AGAIN_S)
        began = monotonic()
        reply = await carrier(health, PROBE_S)
    if reply.reach is not Reach.ANSWERED:
        return Answers(reply.reach, reply.problem)
    latency = monotonic() - began
    said, word = read_health(reply)
    if said is not HealthWord.LIVE:
        return Answers(Reach.ANSWERED, health=said, word=word, latency_s=latency)

    async def twice(path: str) -> Reply:
        reply = await carrier(path, PROBE_S)
        left = min(PROBE_S, first + ASK_S - monotonic())
        return await carrier(path, left) if reply.reach is Reach.SILENT and left > 0 else reply

    started, ready = await asyncio.gather(twice(startup), twice(readiness))
    return Answers(
        Reach.ANSWERED,
        health=said,
        startup=read_startup(started),
        readiness=read_readiness(ready),
        latency_s=latency,
        silent=ready.reach is Reach.SILENT,
    )


def read_health(reply: Reply) -> tuple[HealthWord, str]:
    """What an answer of `/healthz` means, and its word where that is not known."""
    fields = read_json(reply)
    status = fields.get("status")
    if reply.status == 200 and fields.get("ok") is True and status == "live":
        return HealthWord.LIVE, ""
    if isinstance(fields.get("ok"), bool) and isinstance(status, str):
        return HealthWord.UNKNOWN, sanitize(status, 40)
    return HealthWord.OTHER, ""


def read_startup(reply: Reply) -> Startup | None:
    """What an answer of `/startupz` means; None where it is none."""
    fields = read_json(reply)
    ok, word = fields.get("ok"), fields.get("status")
    if not isinstance(ok, bool) or not isinstance(word, str):
        return None
    if ok != (reply.status == 200) or ok != (word == "started"):
        word = f"{word} ({reply.status})"
    return Startup(
        sanitize(word, 40),
        text(fields.get("pendingReason"), 60),
        text(fields.get("version"), 30),
        seconds(fields.get("uptimeMs")),
    )


def read_readiness(reply: Reply) -> Readiness | None:
    """What an answer of `/readyz` means; None where it is none."""
    fields = read_json(reply)
    ready = fields.get("ready")
    if not isinstance(ready, bool) or reply.status not in (200, 503):
        return None
    loop = fields.get("eventLoop")
    return Readiness(
        ready and reply.status == 200,
        names(fields.get("failing")),
        names(fields.get("suppressed")),
        _event_loop(loop) if isinstance(loop, dict) else EventLoop(),
    )


def _event_loop(fields: dict[str, Any]) -> EventLoop:
    parts = fields.get("cpuBreakdown")
    parts = parts if isinstance(parts, dict) else {}
    return EventLoop(
        fields.get("degraded") is True,
        number(fields.get("delayP99Ms")) or 0.0,
        number(parts.get("hostUtilization")),
        number(parts.get("mainThreadCoreRatio")),
    )


def read_json(reply: Reply) -> dict[str, Any]:
    """The table an answer holds; empty where it is none, or does not call itself JSON."""
    if reply.reach is not Reach.ANSWERED or not reply.json:
        return {}
    try:
        value = parse_json(reply.body)
    except UnfitError:
        return {}
    return table(value)
