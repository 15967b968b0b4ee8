"""What each configured host and each program of the operator's says when it is asked once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.clock import Clock
from services.config.settings import Settings
from services.config.sources import ExternalTable, RemoteTable
from services.errors import WakedeckError
from services.models import GatewayState
from services.sources.protocol.source import OpenSource
from services.sources.registry import open_sources

LIMIT_S = 12.0


@dataclass(frozen=True, slots=True)
class HostReport:
    """One host: whether it is connected, and what it said or why it did not."""

    key: str
    connected: bool
    said: str
    facts: tuple[tuple[str, str], ...] = ()


async def examine_hosts(settings: Settings, clock: Clock) -> tuple[HostReport, ...]:
    """Every remote and external source, asked at once, each with its limit."""
    far = tuple(
        one for one in settings.sources if isinstance(one.table, RemoteTable | ExternalTable)
    )
    opened: Sequence[OpenSource] = (
        open_sources(replace(settings, sources=far), clock) if far else ()
    )
    return tuple(await asyncio.gather(*map(_examine, opened)))


async def _examine(source: OpenSource) -> HostReport:
    key = source.info.key
    try:
        async with asyncio.timeout(LIMIT_S):
            seen = await source.observer.observe()
    except TimeoutError:
        return HostReport(key, False, f"no answer within {LIMIT_S:g} s")
    except WakedeckError as error:
        return HostReport(key, False, f"{error.sentence} {error.advice}".strip())
    finally:
        await source.observer.close()
    way = next(one for one in seen.gateways if one.id.native_id == key)
    facts = tuple((name, value) for name, value in way.evidence if name != "reached by")
    if way.state is not GatewayState.READY:
        return HostReport(key, False, way.reason, facts)
    latency = "" if way.latency_s is None else f", {way.latency_s * 1000:.0f} ms"
    product = dict(facts).get("answers", "")
    said = f"connected, {product}{latency}. {way.reason}".strip()
    return HostReport(key, True, said, facts)
