"""How a pod stands, whoever told of it, and what follows: its row and what may be tried with it."""

from __future__ import annotations

from dataclasses import dataclass

from services.models import (
    Capability,
    Facts,
    GatewayId,
    Sandbox,
    SandboxId,
    SandboxState,
    Verdict,
    VerdictKind,
)
from services.text.sanitize import plain


@dataclass(frozen=True, slots=True)
class Standing:
    """The judgement of one pod."""

    state: SandboxState
    reason: str
    no_shell: str = ""
    """Why no shell can be had; empty where one can."""


def row(
    id: SandboxId, name: str, standing: Standing, front: GatewayId, now: float, evidence: Facts
) -> Sandbox:
    """What is shown of it."""
    return Sandbox(
        id,
        plain(name, 253),
        standing.state,
        standing.reason,
        now,
        gateway=front,
        evidence=evidence,
        asleep_by_design=standing.state is SandboxState.ASLEEP,
        unavailable=refusals(standing),
    )


def refusals(standing: Standing) -> tuple[tuple[Capability, str], ...]:
    """What cannot be done with a pod now, each with the reason."""
    if not standing.no_shell:
        return ()
    return ((Capability.SHELL, standing.no_shell), (Capability.EXEC, standing.no_shell))


def verdict(standing: Standing, advice: str) -> Verdict:
    """What an attempt may do with a pod that a platform starts, and nobody else."""
    if not standing.no_shell:
        return Verdict(VerdictKind.READY, standing.reason)
    if standing.state is SandboxState.SETTLING:
        return Verdict(VerdictKind.SETTLING, standing.reason)
    return Verdict(VerdictKind.TERMINAL, standing.reason or standing.no_shell, advice=advice)
