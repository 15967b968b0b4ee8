"""Runs every detector at once; builds configuration for what was found."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from msgspec.structs import asdict

from services.config.settings import SourceSettings
from services.config.template import source_block
from services.doctor import detectors
from services.doctor.findings import ConfigBlock, Finding
from services.errors import WakedeckError, unforeseen
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
