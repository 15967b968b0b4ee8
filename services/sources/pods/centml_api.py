"""Deployments of the CentML platform as its status answers tell them.

See upstream/pods: CentML deployments; upstream/pods: Choosing a pod.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.errors import UnavailableError
from services.lazy_dataclass import dataclass
from services.models import Facts, SandboxState
from services.sources.pods.judgement import PodJudgement, words_for
from services.text.sanitize import sanitize

RUNNING = "Running"
_BY_ITSELF = {
    "paused": (SandboxState.ASLEEP, "paused by its owner"),
    "deleted": (SandboxState.ABSENT, "deleted"),
}


_SERVICE: dict[str, tuple[SandboxState, str]] = {
    "Healthy": (SandboxState.READY, ""),
    "Missing": (SandboxState.SETTLING, "Missing: nothing of it is there yet"),
    "CleanedUp": (SandboxState.ASLEEP, "CleanedUp: it has finished and was removed"),
    "ScaledToZero": (SandboxState.ASLEEP, "ScaledToZero: nobody asked for it for a while"),
    "Progressing": (SandboxState.SETTLING, "Progressing: it is being rolled out"),
    "Paused": (SandboxState.ASLEEP, "Paused: its rollout is held"),
    "Unknown": (SandboxState.UNKNOWN, "Unknown: the platform does not know its state"),
    "Degraded": (SandboxState.STUCK, "Degraded: its rollout failed in part"),
}
"""What the platform calls a service, a revision or a rollout, beside the words of pods."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision of a deployment."""

    number: int | None
    status: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class PodInfo:
    """One pod of a deployment; the status is whatever the platform says."""

    name: str
    status: str
    error: str = ""
    component: str = ""
    revision: int | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment as last told."""

    id: int
    name: str
    status: str
    kind: str = ""
    endpoint: str = ""
    pods: tuple[PodInfo, ...] | None = None
    """None where the platform told no pod list (v2)."""
    errors: tuple[str, ...] = ()
    service: str = ""
    """The platform's word for the whole (v2)."""
    rollout: str = ""
    revisions: tuple[Revision, ...] = ()

    @property
    def current(self) -> Revision | None:
        """The newest revision; None where none is told."""
        return max(self.revisions, key=lambda one: one.number or 0, default=None)

    @property
    def running(self) -> tuple[str, ...]:
        """Names of the pods a shell can be had in, in the order of the answer."""
        return tuple(one.name for one in self.pods or () if one.status == RUNNING and one.name)


def read_list(value: Any) -> tuple[tuple[tuple[int, str], ...], int]:
    """(id, name) of every deployment of a list answer, and how many entries have no id.

    Raises:
        UnavailableError: that is none.
    """
    results = value.get("results") if isinstance(value, dict) else None
    if not isinstance(results, list):
        raise UnavailableError("The platform answered with something else than deployments.")
    found = tuple(
        (one["id"], sanitize(str(one.get("name") or ""), 100))
        for one in results
        if isinstance(one, dict)
        and isinstance(one.get("id"), int)
        and not isinstance(one["id"], bool)
    )
    return found, len(results) - len(found)


def read_status(id: int, name: str, value: Any) -> Deployment:
    """A status answer, v3 or v2; values nobody foresaw are kept as text.

    Raises:
        UnavailableError: that is none.
    """
    if not isinstance(value, dict):
        raise UnavailableError(f"The platform gave no status of deployment {id}.")
    told = value.get("revision_pod_details_list")
    pods: list[PodInfo] = []
    revisions: list[Revision] = []
    for one in told if isinstance(told, list) else []:
        if not isinstance(one, dict):
            continue
        number = _number(one)
        revisions.append(
            Revision(number, _text(one, "revision_status"), _text(one, "error_message"))
        )
        details = one.get("pod_details_list")
        found = details if isinstance(details, list) else []
        pods += [_pod(each, number) for each in found if isinstance(each, dict)]
    return Deployment(
        id,
        name,
        _text(value, "status"),
        _text(value, "type"),
        _text(value, "endpoint_url"),
        tuple(pods) if "revision_pod_details_list" in value else None,
        _errors(_text(value, "error_message"), revisions),
        _text(value, "service_status"),
        _text(value, "rollout_status"),
        tuple(revisions),
    )


def _errors(whole: str, revisions: Sequence[Revision]) -> tuple[str, ...]:
    """What went wrong, each thing once, by its revision where there are several."""
    said = [whole] if whole else []
    for one in revisions:
        if one.error:
            several = len(revisions) > 1 and one.number is not None
            said.append(f"revision {one.number}: {one.error}" if several else one.error)
    return tuple(dict.fromkeys(said))


def _number(value: dict[str, Any]) -> int | None:
    number = value.get("revision_number")
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _pod(value: dict[str, Any], revision: int | None) -> PodInfo:
    name = value.get("name")
    own = _number(value)
    return PodInfo(
        name if isinstance(name, str) else "",
        _text(value, "status"),
        _text(value, "error_message"),
        _text(value, "component_type"),
        revision if own is None else own,
    )


def _text(value: dict[str, Any], key: str) -> str:
    said = value.get(key)
    return "" if said is None else sanitize(str(said), 300)


def judge(deployment: Deployment) -> PodJudgement:
    """What a deployment is, why, and whether a shell can be had in it."""
    by_itself = _BY_ITSELF.get(deployment.status.lower())
    if by_itself is not None:
        return PodJudgement(*by_itself, f"it is {deployment.status.lower()}")
    state, said = _service_words(deployment)
    errors = "; ".join(deployment.errors)
    said = f"{said}; {errors}" if said and errors else said or errors
    if deployment.pods is None:
        no_list = f"deployment {deployment.id} reports no pod list (v2)"
        return PodJudgement(state, said or no_list, no_list)
    if deployment.running:
        others = [one for one in deployment.pods if one.status != RUNNING]
        behind = ", ".join(f"{one.name or 'a pod'} is {one.status}" for one in others[:3])
        if state is SandboxState.UNKNOWN and not said:
            state = SandboxState.READY
        return PodJudgement(state, "; ".join(part for part in (said, behind) if part))
    no_shell = "it has no running pod"
    if not deployment.pods:
        if state in (SandboxState.READY, SandboxState.UNKNOWN) and not said:
            state, said = SandboxState.ASLEEP, "it has no pods"
        elif state is SandboxState.READY:
            state = SandboxState.UNKNOWN
        return PodJudgement(state, said, no_shell)
    first = judge_pod(deployment.pods[0])
    known = first.state is not SandboxState.UNKNOWN or state is SandboxState.READY
    if known or not said:
        parts = (first.reason, *(one for one in deployment.errors if one not in first.reason))
        reason = "; ".join(part for part in parts if part)
        return PodJudgement(first.state, reason, no_shell)
    return PodJudgement(state, said, no_shell)


def _service_words(deployment: Deployment) -> tuple[SandboxState, str]:
    """State and words of the whole: of its service, its newest revision, or its rollout."""
    newest = deployment.current
    word = deployment.service or (newest.status if newest is not None else "")
    word = word or deployment.rollout
    if not word:
        return SandboxState.UNKNOWN, ""
    if word in _SERVICE:
        return _SERVICE[word]
    state, said = words_for(word)
    if newest is not None and len(deployment.revisions) > 1 and newest.number is not None:
        said = f"revision {newest.number} is {said}" if said else said
    return state, said


def judge_pod(pod: PodInfo) -> PodJudgement:
    """The same of one pod."""
    state, said = words_for(pod.status)
    said = f"{said}; {pod.error}" if pod.error and said else said or pod.error
    ready = state is SandboxState.READY
    return PodJudgement(state, said, "" if ready else f"it is {pod.status or 'unknown'}")


def evidence(deployment: Deployment) -> Facts:
    """What the judgement rests on."""
    rows = [
        ("status", deployment.status or "none"),
        ("type", deployment.kind or "unknown"),
        ("endpoint", deployment.endpoint or "none"),
    ]
    if deployment.service:
        rows.append(("service", deployment.service))
    if deployment.rollout:
        rows.append(("rollout", deployment.rollout))
    for each in deployment.revisions:
        number = "" if each.number is None else f" {each.number}"
        rows.append((f"revision{number}", each.status or "unknown"))
    for one in deployment.pods or ():
        component = f" ({one.component})" if one.component else ""
        rows.append(
            (f"pod {sanitize(one.name or 'without a name', 100)}", f"{one.status}{component}")
        )
    rows += [("error", one) for one in deployment.errors]
    return tuple(rows)
