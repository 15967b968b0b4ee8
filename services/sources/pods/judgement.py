"""The judgement of a pod, and the row and verdict that follow, whichever API it came from."""

from __future__ import annotations

from dataclasses import dataclass

from services.models import Capability, Facts, GatewayId, Sandbox, SandboxId, SandboxState
from services.sources.protocol.verdict import Verdict, VerdictKind
from services.text.sanitize import sanitize


@dataclass(frozen=True, slots=True)
class PodJudgement:
    """The judgement of one pod."""

    state: SandboxState
    reason: str
    no_shell: str = ""
    """Why no shell can be had; empty where one can."""


def row(
    id: SandboxId, name: str, judgement: PodJudgement, front: GatewayId, now: float, evidence: Facts
) -> Sandbox:
    """What is shown of it."""
    return Sandbox(
        id,
        sanitize(name, 253),
        judgement.state,
        judgement.reason,
        now,
        gateway=front,
        evidence=evidence,
        asleep_by_design=judgement.state is SandboxState.ASLEEP,
        unavailable=refusals(judgement),
    )


def refusals(judgement: PodJudgement) -> tuple[tuple[Capability, str], ...]:
    """What cannot be done with a pod now, each with the reason."""
    if not judgement.no_shell:
        return ()
    return ((Capability.SHELL, judgement.no_shell), (Capability.EXEC, judgement.no_shell))


def verdict(judgement: PodJudgement, advice: str) -> Verdict:
    """What an attempt may do with a pod that a platform starts, and nobody else."""
    if not judgement.no_shell:
        return Verdict(VerdictKind.READY, judgement.reason)
    if judgement.state is SandboxState.SETTLING:
        return Verdict(VerdictKind.SETTLING, judgement.reason)
    return Verdict(VerdictKind.TERMINAL, judgement.reason or judgement.no_shell, advice=advice)
