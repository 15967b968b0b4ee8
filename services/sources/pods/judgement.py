"""The judgement of a pod, in plain words, and the row and verdict that follow, whatever API."""

from __future__ import annotations

from services.lazy_dataclass import dataclass
from services.models import Capability, Facts, GatewayId, Sandbox, SandboxId, SandboxState
from services.sources.protocol.verdict import Verdict, VerdictKind
from services.text.sanitize import sanitize

_WORDS: dict[str, tuple[SandboxState, str]] = {
    "ContainerCreating": (SandboxState.SETTLING, "its containers are being created"),
    "PodInitializing": (SandboxState.SETTLING, "its init containers run"),
    "Pulling": (SandboxState.SETTLING, "its image is being pulled"),
    "ScalingUp": (SandboxState.SETTLING, "it is being scaled up"),
    "Initializing": (SandboxState.SETTLING, "it is starting"),
    "Terminating": (SandboxState.SETTLING, "it is being deleted"),
    "CrashLoopBackOff": (SandboxState.BROKEN, "it crashes again and again"),
    "ImagePullBackOff": (SandboxState.BROKEN, "its image cannot be pulled"),
    "ErrImagePull": (SandboxState.BROKEN, "its image cannot be pulled"),
    "InvalidImageName": (SandboxState.BROKEN, "the name of its image is not valid"),
    "ErrImageNeverPull": (
        SandboxState.BROKEN,
        "its image is not on the node and may not be pulled",
    ),
    "CreateContainerConfigError": (
        SandboxState.BROKEN,
        "its configuration names something that is not there (a ConfigMap, a Secret, a key)",
    ),
    "CreateContainerError": (SandboxState.BROKEN, "the container cannot be created"),
    "RunContainerError": (SandboxState.BROKEN, "the container cannot be started"),
    "ProgressDeadlineExceeded": (SandboxState.BROKEN, "its rollout did not finish in time"),
    "OOMKilled": (SandboxState.BROKEN, "it used more memory than it may"),
    "Error": (SandboxState.BROKEN, "it ended with an error"),
    "Failed": (SandboxState.BROKEN, "it failed"),
    "Evicted": (SandboxState.BROKEN, "its node ran short and evicted it"),
    "DeadlineExceeded": (SandboxState.BROKEN, "it ran longer than it may"),
    "OutOfcpu": (SandboxState.BROKEN, "its node had not enough CPU for it"),
    "OutOfmemory": (SandboxState.BROKEN, "its node had not enough memory for it"),
    "OutOfpods": (SandboxState.BROKEN, "its node takes no more pods"),
    "NodeAffinity": (SandboxState.BROKEN, "its node is not one it may run on"),
    "Preempting": (SandboxState.BROKEN, "it gave way to a more important pod"),
    "Preempted": (SandboxState.BROKEN, "it gave way to a more important pod"),
    "NodeShutdown": (SandboxState.BROKEN, "its node was shut down"),
    "Shutdown": (SandboxState.BROKEN, "its node was shut down"),
    "Terminated": (SandboxState.BROKEN, "its node was shut down"),
    "UnexpectedAdmissionError": (SandboxState.BROKEN, "its node refused it"),
    "ImageInspectError": (SandboxState.BROKEN, "its image on the node cannot be read"),
    "RegistryUnavailable": (SandboxState.BROKEN, "the registry of its image does not answer"),
    "SignatureValidationFailed": (SandboxState.BROKEN, "the signature of its image is not valid"),
    "PostStartHookError": (SandboxState.BROKEN, "its start hook failed"),
    "NodeLost": (SandboxState.UNKNOWN, "its node does not answer"),
    "Unschedulable": (SandboxState.STUCK, "no node can take it"),
    "SchedulingGated": (SandboxState.SETTLING, "it is held back on purpose (a scheduling gate)"),
    "NotReady": (SandboxState.STUCK, "it runs and is not ready"),
    "Completed": (SandboxState.ASLEEP, "it has finished"),
    "Succeeded": (SandboxState.ASLEEP, "it has finished"),
    "Running": (SandboxState.READY, ""),
    "Pending": (SandboxState.SETTLING, "it waits to be started"),
    "Unknown": (SandboxState.UNKNOWN, "its node does not answer"),
}
NO_WAKE = (Capability.WAKE, "its platform starts it, not this panel")
_STARTING = frozenset({"ContainerCreating", "PodInitializing"})


def known(said: str) -> bool:
    """Whether there are words for it."""
    return said in _WORDS


def words_for(said: str) -> tuple[SandboxState, str]:
    """State and plain words for a reason a platform names; an unknown one is shown as it is."""
    known = _WORDS.get(said)
    if known is not None:
        state, words = known
        return state, f"{said}: {words}" if words else ""
    return SandboxState.UNKNOWN, f"{sanitize(said, 80)} (a state this panel does not know)"


def waiting_words(said: str) -> tuple[SandboxState, str]:
    """The same for why a container waits: all but the two steps of a start are failures."""
    if said in _STARTING or (known(said) and _WORDS[said][0] is SandboxState.BROKEN):
        return words_for(said)
    return SandboxState.BROKEN, f"{sanitize(said, 80)}: the container cannot run"


@dataclass(frozen=True, slots=True)
class PodJudgement:
    """The judgement of one pod."""

    state: SandboxState
    reason: str
    no_shell: str = ""
    """Why no shell can be had; empty where one can."""
    told_at: float | None = None
    """When it came to be so, where its node says (epoch)."""


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
        needs=(front,),
        evidence=evidence,
        told_at=judgement.told_at,
        asleep_by_design=judgement.state is SandboxState.ASLEEP,
        unavailable=(NO_WAKE, *refusals(judgement)),
    )


def refusals(judgement: PodJudgement) -> tuple[tuple[Capability, str], ...]:
    """What cannot be done with a pod now, each with the reason."""
    if not judgement.no_shell:
        return ()
    return ((Capability.SHELL, judgement.no_shell), (Capability.EXEC, judgement.no_shell))


def verdict(judgement: PodJudgement, advice: str, *, strict: bool = False) -> Verdict:
    """What an attempt may do with a pod that a platform starts, and nobody else.

    With `strict`, a shell does not make a pod ready that is broken or of which nothing is known.
    """
    state, usable = judgement.state, not judgement.no_shell
    if strict:
        settled = state in (SandboxState.STUCK, SandboxState.SETTLING)
        usable = state is SandboxState.READY or (usable and settled)
    if usable:
        return Verdict(VerdictKind.READY, judgement.reason)
    if state is SandboxState.SETTLING:
        return Verdict(VerdictKind.SETTLING, judgement.reason)
    if strict and state is SandboxState.UNKNOWN:
        return Verdict(VerdictKind.UNKNOWN, judgement.reason, advice=advice)
    return Verdict(VerdictKind.TERMINAL, judgement.reason or judgement.no_shell, advice=advice)
