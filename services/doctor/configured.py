"""How each configured source stands: opened as the panel opens it, asked once, in its own words."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from services.board.shown import CLOSED, way_reason
from services.clock import Clock
from services.config.settings import Settings
from services.errors import WakedeckError
from services.lazy_dataclass import dataclass
from services.models import Facts, Gateway, GatewayState, Observation
from services.sources.protocol.source import OpenSource
from services.sources.registry import open_sources
from services.text.format import plural
from services.text.redact import redact_line

LIMIT_S = 10.0
"""No source is waited for longer."""


@dataclass(frozen=True, slots=True)
class ConfiguredSource:
    """One source of the configuration, as it answered."""

    key: str
    kind: str
    works: bool
    """Whether it answered, all its lists are known and nothing in front of its rows is closed."""
    told: tuple[str, ...]
    """What is wrong with it, a sentence each, or else what it shows."""
    facts: Facts = ()
    """What another machine or program says of itself; nothing for other sources."""


async def ask_configured(settings: Settings, clock: Clock) -> tuple[ConfiguredSource, ...]:
    """Ask every source at once; what goes wrong in one is that one's answer."""
    return tuple(await asyncio.gather(*map(_ask, open_sources(settings, clock))))


async def _ask(source: OpenSource) -> ConfiguredSource:
    wrong: Sequence[str]
    seen, facts = "", Facts()
    try:
        async with asyncio.timeout(LIMIT_S):
            observation = await source.observer.observe()
        wrong = _trouble(observation, source.lifecycle is not None)
        seen = _summary(observation)
        facts = _own_facts(source.info.key, observation)
    except TimeoutError:
        wrong = [f"No answer within {LIMIT_S:g} s."]
    except WakedeckError as error:
        wrong = [f"{error.sentence} {error.advice}".strip()]
    finally:
        await source.actor.close()
        await source.observer.close()
    told = tuple(redact_line(one) for one in (wrong or [seen]))
    return ConfiguredSource(source.info.key, source.info.kind, not wrong, told, facts)


def _own_facts(key: str, observation: Observation) -> Facts:
    """The evidence of the link itself, where a source has one: a row of the source's own name."""
    return tuple(
        (name, redact_line(value))
        for gateway in observation.gateways
        if gateway.id.native_id == key
        for name, value in gateway.evidence
        if name != "reached by"
    )


def _trouble(observation: Observation, starts_with_panel: bool) -> list[str]:
    """What the rows of its gateways and lists say is wrong."""
    told = [
        way_reason(gateway)
        for gateway in observation.gateways
        if gateway.state in CLOSED and not (starts_with_panel and _not_started(gateway))
    ]
    for gateway_id, unknown in observation.unknown:
        place = "" if gateway_id is None else f" of {gateway_id.native_id}"
        told.append(f"The sandboxes{place} are not known: {unknown.reason}")
    return told


def _not_started(gateway: Gateway) -> bool:
    """A world of the panel's own that is not running is started by the panel."""
    return gateway.state is GatewayState.ABSENT


def _summary(observation: Observation) -> str:
    gateways = [one for one in observation.gateways if one.state is not GatewayState.ABSENT]
    if not gateways and not observation.sandboxes:
        return "nothing runs yet" if observation.gateways else "no sandboxes there now"
    rows, count = len(observation.sandboxes), len(gateways)
    return f"{rows} {'sandbox' if rows == 1 else 'sandboxes'}, {plural(count, 'gateway')}"
