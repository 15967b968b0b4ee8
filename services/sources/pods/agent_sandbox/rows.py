"""Sandboxes and pools of a cluster as rows: what is shown of each, and by which names it is found.

See upstream/agent-sandbox: Rows.
"""

from __future__ import annotations

from collections.abc import Iterable

from services.errors import NotFoundError
from services.lazy_dataclass import dataclass
from services.models import (
    Capability,
    Event,
    Facts,
    Gateway,
    GatewayId,
    GatewayState,
    Sandbox,
    SandboxId,
    SandboxState,
    Severity,
)
from services.sources.pods import evidence as pod_evidence
from services.sources.pods.agent_sandbox.judge import time_left
from services.sources.pods.agent_sandbox.judgement import SandboxJudgement
from services.sources.pods.agent_sandbox.records import SandboxResource, WarmPool
from services.sources.pods.pod import Pod
from services.text.format import duration
from services.text.sanitize import sanitize

_KIND = "sandbox"
_CONDITIONS = 8

_PAST_S = 86_400.0
_MOST_PAST = 50
_PAST_SEVERITY = {
    SandboxState.READY: Severity.BETTER,
    SandboxState.ASLEEP: Severity.INFO,
    SandboxState.DOWN: Severity.WORSE,
    SandboxState.STUCK: Severity.WORSE,
    SandboxState.BROKEN: Severity.WORSE,
}
"""States that are told; what is on its way is not worth a line of history."""


def native_id(key: str) -> str:
    """`NAMESPACE/sandbox/NAME` of a `NAMESPACE/NAME`: a pod of that name is another row."""
    namespace, _, name = key.partition("/")
    return f"{namespace}/{_KIND}/{name}"


def sandbox_key(id: SandboxId) -> tuple[str, str] | None:
    """Namespace and name of a sandbox; None where the id is that of a pod."""
    parts = id.native_id.split("/")
    if len(parts) != 3 or parts[1] != _KIND or not all(parts):
        return None
    return parts[0], parts[2]


def required_key(id: SandboxId) -> tuple[str, str]:
    """The same.

    Raises:
        NotFoundError: that is no sandbox's id.
    """
    found = sandbox_key(id)
    if found is None:
        raise NotFoundError(f"There is no sandbox {sanitize(id.native_id, 100)!r}.")
    return found


@dataclass(frozen=True, slots=True)
class Placed:
    """One sandbox with what belongs to it."""

    sandbox: SandboxResource
    pod: Pod | None
    """Its backing one."""
    pods: tuple[str, ...]
    """Names of all it owns."""
    claim: str = ""
    """The claim that has it, where that has another name."""


def to_row(
    placed: Placed,
    judgement: SandboxJudgement,
    *,
    source: str,
    front: GatewayId,
    controller: GatewayId,
    now: float,
) -> Sandbox:
    """What is shown of it; `front` is its way in, `controller` what keeps it up."""
    resource = placed.sandbox
    name = sanitize(resource.metadata.name, 253)
    claim = sanitize(placed.claim, 253)
    left = time_left(resource, now)
    reason = judgement.reason
    if left is not None and judgement.state is not SandboxState.BROKEN:
        ends = f"its life ends in {duration(left)}"
        reason = f"{reason}; {ends}" if reason else ends
    return Sandbox(
        SandboxId(source, native_id(resource.key)),
        f"{claim} → {name}" if claim else name,
        judgement.state,
        reason,
        now,
        gateway=controller,
        needs=(front,),
        evidence=_evidence(placed, left),
        asleep_by_design=judgement.state is SandboxState.ASLEEP,
        unavailable=_refusals(resource, judgement),
        since=judgement.since,
        until=judgement.until,
        told_at=judgement.since,
        aliases=_aliases(placed),
        stock=bool(resource.pool),
    )


def _aliases(placed: Placed) -> tuple[str, ...]:
    """What an operator may type for it: its own name, its claim's, and its pods'."""
    metadata = placed.sandbox.metadata
    names = (metadata.name, placed.claim, placed.sandbox.pod_name, *placed.pods)
    known = tuple(dict.fromkeys(name for name in names if name))
    return (*known, *(f"{metadata.namespace}/{name}" for name in known))


def _refusals(
    resource: SandboxResource, judgement: SandboxJudgement
) -> tuple[tuple[Capability, str], ...]:
    found: list[tuple[Capability, str]] = []
    if resource.pool:
        pool = sanitize(resource.pool, 80)
        found.append((Capability.WAKE, f"it is stock of pool {pool}: nobody has claimed it"))
    if judgement.no_shell:
        found.append((Capability.SHELL, judgement.no_shell))
        found.append((Capability.EXEC, judgement.no_shell))
    return tuple(found)


def _evidence(placed: Placed, left: float | None) -> Facts:
    resource, metadata = placed.sandbox, placed.sandbox.metadata
    rows = [
        ("kind", "Sandbox of agent-sandbox"),
        ("wanted", sanitize(resource.mode, 60)),
        ("namespace", sanitize(metadata.namespace, 80)),
        ("created", sanitize(metadata.creation_timestamp or "unknown", 40)),
    ]
    if placed.claim:
        rows.append(("claim", sanitize(placed.claim, 253)))
    if resource.origin:
        rows.append(("origin", sanitize(resource.origin, 200)))
    if resource.spec.shutdown_time:
        policy = sanitize(resource.spec.shutdown_policy or "Retain", 40)
        ends = sanitize(resource.spec.shutdown_time, 40)
        rows.append(("life ends", f"{ends}, then {policy}"))
    if resource.status.service_fqdn:
        rows.append(("service", sanitize(resource.status.service_fqdn, 253)))
    for one in (resource.status.conditions or ())[:_CONDITIONS]:
        old = ", of an earlier wish" if resource.is_outdated(one) else ""
        said = ": ".join(part for part in (one.reason, one.message) if part)
        since = f" since {one.last_transition_time}" if one.last_transition_time else ""
        told = sanitize(f"{one.status}{since}{old}" + (f"; {said}" if said else ""), 300)
        rows.append((sanitize(one.type, 40), told))
    more = [name for name in placed.pods if placed.pod is None or name != placed.pod.metadata.name]
    if placed.pod is not None:
        rows.append(("pod", sanitize(placed.pod.metadata.name, 253)))
        told_above = {"namespace", "created"}
        rows += [row for row in pod_evidence.evidence(placed.pod) if row[0] not in told_above]
    if more:
        rows.append(("more pods", sanitize(", ".join(more), 300)))
    return tuple(rows)


def pool_row(pool: WarmPool, source: str, now: float) -> Gateway:
    """A warm pool's line: its stock is counted there."""
    metadata = pool.metadata
    wanted = 1 if pool.spec.replicas is None else pool.spec.replicas
    ready, there = pool.status.ready_replicas or 0, pool.status.replicas or 0
    full = ready >= wanted
    return Gateway(
        GatewayId(source, f"{metadata.namespace}/pool/{metadata.name}"),
        f"pool {sanitize(metadata.name, 200)}",
        GatewayState.READY if full else GatewayState.SETTLING,
        f"{ready} of {wanted} in stock are ready.",
        now,
        evidence=(
            ("namespace", sanitize(metadata.namespace, 80)),
            ("wanted in stock", str(wanted)),
            ("in stock", str(there)),
            ("ready in stock", str(ready)),
        ),
    )


def past_events(rows: Iterable[Sandbox], now: float) -> tuple[Event, ...]:
    """The last change of each, at the cluster's own time; the newest of a day, oldest first.

    The journal leaves out what it has already.
    """
    told = [
        (row.told_at, row)
        for row in rows
        if row.told_at is not None
        and now - _PAST_S < row.told_at <= now
        and row.state in _PAST_SEVERITY
        and not row.stock
    ]
    told.sort(key=lambda one: (one[0], one[1].id.native_id))
    return tuple(
        Event(
            at,
            _PAST_SEVERITY[row.state],
            row.id.source,
            row.id.native_id,
            "sandbox",
            f"{row.name} is {row.state.value}{f': {row.reason}' if row.reason else ''}",
            after=row.state.value,
            told_at=at,
        )
        for at, row in told[-_MOST_PAST:]
    )
