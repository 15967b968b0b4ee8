"""Maps probe results to rows of gateways and sandboxes; pure."""

from __future__ import annotations

from dataclasses import replace

from services.models import (
    BY_HAND,
    Capability,
    Facts,
    Gateway,
    GatewayId,
    GatewayState,
    Sandbox,
    SandboxId,
    SandboxState,
)
from services.sources.openshell import life_words, phases
from services.sources.openshell.cli_version import Toolset
from services.sources.openshell.client import GatewayProbe
from services.sources.openshell.forwards import ForwardList, Owners
from services.sources.openshell.gateway_status import GatewayStatus
from services.sources.openshell.nemoclaw_registry import (
    NemoclawEntry,
    NemoclawRegistry,
    RegistryStatus,
)
from services.sources.openshell.nemoclaw_verbs import by_hand
from services.sources.openshell.policy import RULES
from services.sources.openshell.records import (
    DEFAULT_WORKSPACE,
    Forward,
    SandboxRow,
    Target,
    safe_name,
)
from services.sources.openshell.start_plan import StartPlan

_ACTS = (Capability.WAKE, Capability.RECONNECT, Capability.SHELL, Capability.EXEC, Capability.LOGS)


def target_of(gateway: str, row: SandboxRow) -> Target:
    """Which sandbox a row tells of."""
    return Target(gateway, row.name, row.workspace or DEFAULT_WORKSPACE)


def gateway(
    source: str,
    probe: GatewayProbe,
    plan: StartPlan,
    tools: Toolset,
    listed: NemoclawRegistry,
    now: float,
) -> Gateway:
    """One gateway with the evidence for its state."""
    known, judged = probe.registration, probe.judgement
    ready = judged.status is GatewayStatus.HEALTHY
    reason = _cause(judged.reason, known.name)
    soon = probe.bundle.soon(now)
    if ready and probe.problem:
        reason = f"Reachable, but {probe.problem}."
    elif ready and soon:
        reason = f"It answers, but {soon}."
    elif ready and probe.health:
        reason = f"It answers, but calls itself {probe.health}."
    facts = [
        ("standing", judged.status.value),
        ("registered", _registered(known.kind, known.source, known.active)),
        ("authentication", ", ".join(part for part in (known.auth, judged.auth) if part)),
        ("gateway version", judged.version),
        ("health", probe.health),
        *((f"{one.owner} certificate", one.left(now)) for one in probe.bundle.files),
        ("reasons", f"not to be had: {probe.grpc_problem}" if probe.grpc_problem else ""),
        ("openshell", _version(tools)),
        *(
            ("NemoClaw", f"{name} is being created")
            for gateway, name in listed.reserved
            if gateway == known.name
        ),
        (BY_HAND, f"openshell -g {known.name} gateway upgrade-check --to 0.2")
        if tools.upgrade_check and safe_name(known.name)
        else (BY_HAND, ""),
        ("openshell says", judged.notice),
        ("whole answer", judged.said),
        ("advice", judged.advice),
    ]
    if not ready and judged.status.startable:
        facts.append(("start", " ".join(_shown(plan)) if plan.possible else plan.advice))
    if listed.problem:
        facts.append(("NemoClaw", f"{listed.status.value}: {listed.problem}"))
    if listed.replaced:
        facts.append(("NemoClaw", listed.replaced))
    if listed.status in (RegistryStatus.EMPTY, RegistryStatus.ABSENT):
        facts.append(("NemoClaw", listed.status.value))
    return Gateway(
        GatewayId(source, known.name),
        known.name,
        GatewayState.UNKNOWN if ready and probe.problem else judged.state,
        reason,
        now,
        address=known.endpoint,
        latency_s=probe.took_s if ready else None,
        evidence=_filled(facts),
    )


def _version(tools: Toolset) -> str:
    newer = ", newer than this panel knows" if tools.unknown_line else ""
    return f"{tools.version_text or 'version unknown'} ({tools.generation.value}{newer})"


def _cause(reason: str, name: str) -> str:
    """The cause alone: the row already says of which gateway, and that it is down."""
    for known in (f"The gateway {name} is down: ", f"The gateway {name} "):
        if reason.startswith(known):
            rest = reason[len(known) :]
            return rest[:1].upper() + rest[1:]
    return reason


def _shown(plan: StartPlan) -> tuple[str, ...]:
    return ("openshell", *plan.argv) if plan.by_cli else plan.argv


def _registered(*parts: str | bool) -> str:
    kind, source, active = parts
    words = [str(word) for word in (kind, source) if word]
    return ", ".join([*words, "active" if active else "not the active one"])


def _filled(facts: list[tuple[str, str]]) -> Facts:
    return tuple((name, said) for name, said in facts if said)


def sandbox(
    source: str,
    name: str,
    row: SandboxRow,
    ports: tuple[Forward, ...],
    more: Facts,
    tools: Toolset,
    now: float,
    entry: NemoclawEntry | None = None,
) -> Sandbox:
    """One listed sandbox of the gateway `name`; `ports` are its own, `entry` is NemoClaw's."""
    target = target_of(name, row)
    state, reason = phases.state_of(row, now), phases.reason_of(row, now)
    unavailable: tuple[tuple[Capability, str], ...] = ()
    if not safe_name(row.name) or not safe_name(target.workspace):
        reason = "Its name cannot be passed on safely, so nothing can be done to it from here."
        unavailable = tuple((act, "its name cannot be passed on safely") for act in _ACTS)
        state = SandboxState.UNKNOWN
    elif row.phase != "Ready":
        why = f"it is not ready (phase: {row.phase})"
        unavailable = ((Capability.SHELL, why), (Capability.EXEC, why))
        rule = phases.start_rule(row, tools)
        if not rule.allowed and not rule.needless:
            unavailable += ((Capability.WAKE, rule.refusal),)
    by_design = row.phase in ("Stopped", "Completed")
    if entry is not None and entry.stopped:
        if phases.held(row):
            state, reason, by_design = SandboxState.ASLEEP, "Stopped by you; wake starts it.", True
        elif state is SandboxState.READY:
            reason = f"{reason} NemoClaw still notes it as stopped.".strip()
    dead = [one for one in ports if not one.alive]
    if dead and state is SandboxState.READY:
        reason = f"Forwarded port {dead[0].port} is dead; reconnect repairs it. {reason}".strip()
    elif state is SandboxState.READY and (rules := dict(more).get(RULES)):
        reason = f"Network rules wait for a decision: {rules}. {reason}".strip()
    facts = [
        *(fact for fact in more if fact[0] == RULES),
        ("phase", phases.phase_text(row)),
        ("why", row.why),
        ("workspace", target.workspace),
        ("created", _created(row.created)),
        ("id", row.id),
        ("exit code", "" if row.exit_code is None else str(row.exit_code)),
        *(("forward", f"{one.place} ({'running' if one.alive else 'dead'})") for one in ports),
        *(("label", f"{key}={said}") for key, said in row.labels),
        *((f"condition {one.kind}", _condition(one)) for one in row.conditions),
        ("policy version", row.policy_version),
        *life_words.facts(row, now),
        *(fact for fact in more if fact[0] != RULES),
        *(() if entry is None else registered(entry)),
    ]
    return Sandbox(
        SandboxId(source, target.native),
        row.name,
        state,
        reason,
        now,
        gateway=GatewayId(source, name),
        needs=(GatewayId(source, name),),
        evidence=_filled(facts),
        asleep_by_design=by_design,
        unavailable=unavailable,
        until=phases.until(row, now),
        needs_me=life_words.needs_person(row) or _decision(more),
    )


def _decision(more: Facts) -> str:
    """That network rules wait for a person; empty where none does."""
    return f"Network rules: {rules}." if (rules := dict(more).get(RULES)) else ""


def _created(told: str) -> str:
    """An instant of creation with its zone; 0.0 leaves that out and means UTC."""
    return f"{told} UTC" if told and told[-1].isdigit() and "T" not in told else told


def _condition(one: object) -> str:
    parts = [getattr(one, field) for field in ("status", "reason", "message")]
    return ", ".join(part for part in parts if part)


def unseen(
    source: str, target: Target, known: Facts, state: GatewayState, reason: str, now: float
) -> Sandbox:
    """A sandbox that is known by name alone; `known` says from where."""
    silent = state is not GatewayState.READY
    return Sandbox(
        SandboxId(source, target.native),
        target.name,
        SandboxState.UNKNOWN if silent else SandboxState.ABSENT,
        f"Not seen yet: {reason}" if silent else "NemoClaw lists it, its gateway has none.",
        now,
        gateway=GatewayId(source, target.gateway),
        needs=(GatewayId(source, target.gateway),),
        evidence=known,
    )


def with_forwards(front: Gateway, ports: ForwardList, owners: Owners) -> Gateway:
    """A gateway with what is to say of forwards that lead to no sandbox beyond doubt."""
    told = [
        ("forward", f"{one.place} of {one.sandbox}, gateway not known")
        for one in ports.rows
        if owners.unassigned(one)
    ]
    if ports.problem:
        told.append(("forwards", ports.problem))
    return replace(front, evidence=(*front.evidence, *told)) if told else front


def registered(entry: NemoclawEntry) -> Facts:
    """What NemoClaw's register says of a sandbox."""
    default = ", its default sandbox" if entry.default else ""
    return (("NemoClaw", f"registered{default}"), *entry.facts, *by_hand(entry))
