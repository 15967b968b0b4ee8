"""Deployments of the CentML platform as its status answers tell them.

See upstream/pods: CentML deployments; upstream/pods: Choosing a pod.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from services.errors import UnavailableError
from services.models import Facts, SandboxState
from services.sources.pods.judgement import PodJudgement, words_for
from services.text.sanitize import sanitize

RUNNING = "Running"
_BY_ITSELF = {
    "paused": (SandboxState.ASLEEP, "paused by its owner"),
    "deleted": (SandboxState.ABSENT, "deleted"),
}


@dataclass(frozen=True, slots=True)
class PodInfo:
    """One pod of a deployment; the status is whatever the platform says."""

    name: str
    status: str
    error: str = ""
    component: str = ""


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

    @property
    def running(self) -> tuple[str, ...]:
        """Names of the pods a shell can be had in, in the order of the answer."""
        return tuple(one.name for one in self.pods or () if one.status == RUNNING and one.name)


def read_list(value: Any) -> tuple[tuple[int, str], ...]:
    """(id, name) of every deployment of a list answer.

    Raises:
        UnavailableError: that is none.
    """
    results = value.get("results") if isinstance(value, dict) else None
    if not isinstance(results, list):
        raise UnavailableError("The platform answered with something else than deployments.")
    return tuple(
        (one["id"], sanitize(str(one.get("name") or ""), 100))
        for one in results
        if isinstance(one, dict) and isinstance(one.get("id"), int)
    )


def read_status(id: int, name: str, value: Any) -> Deployment:
    """A status answer, v3 or v2; values nobody foresaw are kept as text.

    Raises:
        UnavailableError: that is none.
    """
    if not isinstance(value, dict):
        raise UnavailableError(f"The platform gave no status of deployment {id}.")
    revisions = value.get("revision_pod_details_list")
    pods: list[PodInfo] = []
    errors: list[str] = []
    for revision in revisions if isinstance(revisions, list) else []:
        if not isinstance(revision, dict):
            continue
        if revision.get("error_message"):
            errors.append(sanitize(str(revision["error_message"]), 200))
        details = revision.get("pod_details_list")
        pods += [_pod(one) for one in (details if isinstance(details, list) else []) if _is(one)]
    told = "revision_pod_details_list" in value
    return Deployment(
        id,
        name,
        _text(value, "status"),
        _text(value, "type"),
        _text(value, "endpoint_url"),
        tuple(pods) if told else None,
        tuple(errors),
    )


def _is(value: Any) -> bool:
    return isinstance(value, dict)


def _pod(value: dict[str, Any]) -> PodInfo:
    name = value.get("name")
    return PodInfo(
        name if isinstance(name, str) else "",
        _text(value, "status"),
        _text(value, "error_message"),
        _text(value, "component_type"),
    )


def _text(value: dict[str, Any], key: str) -> str:
    said = value.get(key)
    return "" if said is None else sanitize(str(said), 300)


def judge(deployment: Deployment) -> PodJudgement:
    """What a deployment is, why, and whether a shell can be had in it."""
    by_itself = _BY_ITSELF.get(deployment.status.lower())
    if by_itself is not None:
        return PodJudgement(*by_itself, f"it is {deployment.status.lower()}")
    if deployment.pods is None:
        said = f"deployment {deployment.id} reports no pod list (v2)"
        return PodJudgement(SandboxState.UNKNOWN, said, said)
    if deployment.running:
        others = [one for one in deployment.pods if one.status != RUNNING]
        behind = ", ".join(f"{one.name or 'a pod'} is {one.status}" for one in others[:3])
        return PodJudgement(SandboxState.READY, behind)
    if not deployment.pods:
        said = "; ".join(deployment.errors) or "it has no pods"
        return PodJudgement(SandboxState.ASLEEP, said, "it has no running pod")
    return replace(judge_pod(deployment.pods[0]), no_shell="it has no running pod")


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
    for one in deployment.pods or ():
        component = f" ({one.component})" if one.component else ""
        rows.append(
            (f"pod {sanitize(one.name or 'without a name', 100)}", f"{one.status}{component}")
        )
    rows += [("error", one) for one in deployment.errors]
    return tuple(rows)
