"""Every look at the same time, and the configuration that would show what they found."""

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
from services.doctor.findings import Block, Finding
from services.errors import WakedeckError
from services.text.redact import redact
from services.text.sanitize import plain

LIMIT_S = 8.0
"""No look is waited for longer."""
Look = Callable[[Mapping[str, str]], Awaitable[Finding]]
LOOKS: tuple[tuple[str, str, Look], ...] = (
    ("nanoclaw", "NanoClaw", detectors.nanoclaw),
    ("openshell", "OpenShell, NemoClaw", detectors.openshell),
    ("vellum", "Vellum", detectors.vellum),
    ("kubernetes", "Kubernetes", detectors.kubernetes),
    ("centml", "CentML", detectors.centml),
    ("argocd", "Argo CD", detectors.argocd),
)
"""Kind, name and look of every system; the embedded world is always there."""


async def examine(
    environ: Mapping[str, str], looks: Sequence[tuple[str, str, Look]] = LOOKS
) -> tuple[Finding, ...]:
    """What is here, in the order of `looks`; a look that fails or hangs is a finding as well."""
    return tuple(await asyncio.gather(*(_one(environ, *look) for look in looks)))


async def _one(environ: Mapping[str, str], kind: str, system: str, look: Look) -> Finding:
    try:
        async with asyncio.timeout(LIMIT_S):
            return _harmless(await look(environ))
    except TimeoutError:
        return Finding(kind, system, problem=f"The look took longer than {LIMIT_S:g} s.")
    except WakedeckError as error:
        return Finding(kind, system, problem=error.sentence)
    except OSError as error:
        return Finding(kind, system, problem=error.strerror or type(error).__name__)


def _harmless(finding: Finding) -> Finding:
    """Whatever a file or a tool said, without control characters and secrets."""

    def tidy(text: str) -> str:
        return redact(plain(text, 400))

    return replace(
        finding,
        found=tuple(map(tidy, finding.found)),
        needs=tuple(replace(need, detail=tidy(need.detail)) for need in finding.needs),
        problem=tidy(finding.problem),
    )


def proposed(findings: Iterable[Finding], configured: Iterable[SourceSettings]) -> str:
    """TOML to add to the file: a table for all that was found and is not configured; may be empty.

    Names already in use are not taken again.
    """
    taken = {one.key for one in configured}
    known = [(one.kind, asdict(one.table)) for one in configured]
    blocks: list[str] = []
    for finding in findings:
        for block in finding.blocks:
            if not any(_same(block, kind, values) for kind, values in known):
                name = _free(block.name, taken)
                taken.add(name)
                blocks.append(source_block(name, block.kind, block.values))
    return "\n".join(blocks)


def _same(block: Block, kind: str, values: Mapping[str, Any]) -> bool:
    # An empty value stands for what would be found by itself.
    return kind == block.kind and all(
        values.get(name) in (value, "") for name, value in block.values.items()
    )


def _free(wish: str, taken: set[str]) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]", "-", wish)[:60] or "source"
    number = 1
    while (free := name if number == 1 else f"{name}-{number}") in taken:
        number += 1
    return free
