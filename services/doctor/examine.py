"""Asks every detector and every configured source at once; suggests what is not configured."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from msgspec.structs import asdict

from services.board.shown import CLOSED, way_reason
from services.clock import Clock
from services.config.settings import Settings, SourceSettings
from services.config.template import source_block
from services.doctor import detectors
from services.doctor.findings import ConfigBlock, Finding
from services.errors import WakedeckError, unforeseen
from services.models import Facts, Gateway, GatewayState, Observation
from services.sources.protocol.source import OpenSource
from services.sources.registry import open_sources
from services.text.format import plural
from services.text.redact import redact_line

LIMIT_S = 8.0
"""No detector is waited for longer."""
Detector = Callable[[Mapping[str, str]], Awaitable[Finding]]
DETECTORS: tuple[tuple[str, str, Detector], ...] = (
    ("nanoclaw", "NanoClaw", detectors.nanoclaw),
    ("openshell", "OpenShell, NemoClaw", detectors.openshell),
    ("vellum", "Vellum", detectors.vellum),
    ("openclaw", "OpenClaw", detectors.openclaw),
    ("kubernetes", "Kubernetes", detectors.kubernetes),
    ("centml", "CentML", detectors.centml),
    ("argocd", "Argo CD", detectors.argocd),
)
"""Kind, name and detector of every system; the embedded world is always there."""
SOURCE_S = 10.0
"""No source is waited for longer."""


async def examine(
    environ: Mapping[str, str], detectors: Sequence[tuple[str, str, Detector]] = DETECTORS
) -> tuple[Finding, ...]:
    """What is here, in the order of `detectors`; one that fails or hangs is a finding too."""
    return tuple(
        await asyncio.gather(*(_run_detector(environ, *detector) for detector in detectors))
    )


async def _run_detector(
    environ: Mapping[str, str], kind: str, system: str, detector: Detector
) -> Finding:
    try:
        async with asyncio.timeout(LIMIT_S):
            return _redact_finding(await detector(environ))
    except TimeoutError:
        return Finding(kind, system, problem=f"The check took longer than {LIMIT_S:g} s.")
    except WakedeckError as error:
        return Finding(kind, system, problem=error.sentence)
    except OSError as error:
        return Finding(kind, system, problem=error.strerror or type(error).__name__)
    except Exception as error:
        return Finding(kind, system, problem=unforeseen(system, error).sentence)


def _redact_finding(finding: Finding) -> Finding:
    """The finding with its texts sanitized and redacted."""
    return replace(
        finding,
        found=tuple(map(redact_line, finding.found)),
        needs=tuple(replace(need, detail=redact_line(need.detail)) for need in finding.needs),
        problem=redact_line(finding.problem),
    )


def suggested_config(findings: Iterable[Finding], configured: Iterable[SourceSettings]) -> str:
    """TOML to add to the file: a table for all that was found and is not configured; may be empty.

    Names already in use are not taken again.
    """
    taken = {one.key for one in configured}
    known = [(one.kind, asdict(one.table)) for one in configured]
    blocks: list[str] = []
    for finding in findings:
        for block in finding.blocks:
            if not any(_same(block, kind, values) for kind, values in known):
                name = _unused_name(block.name, taken)
                taken.add(name)
                blocks.append(source_block(name, block.kind, block.values))
    return "\n".join(blocks)


def _same(block: ConfigBlock, kind: str, values: Mapping[str, Any]) -> bool:
    # An empty value stands for what would be found by itself.
    return kind == block.kind and all(
        values.get(name) in (value, "") for name, value in block.values.items()
    )


def _unused_name(wanted: str, taken: set[str]) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]", "-", wanted)[:60] or "source"
    number = 1
    while (free := name if number == 1 else f"{name}-{number}") in taken:
        number += 1
    return free


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
        async with asyncio.timeout(SOURCE_S):
            observation = await source.observer.observe()
        wrong = _trouble(observation, source.lifecycle is not None)
        seen = _summary(observation)
        facts = _own_facts(source.info.key, observation)
    except TimeoutError:
        wrong = [f"No answer within {SOURCE_S:g} s."]
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
