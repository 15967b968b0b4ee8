"""One assistant as rows of the panel: state, reason and the evidence behind them."""

from __future__ import annotations

from datetime import UTC, datetime

from services.lazy_dataclass import dataclass
from services.models import (
    Capability,
    Facts,
    Gateway,
    GatewayId,
    GatewayState,
    Sandbox,
    SandboxId,
    SandboxState,
)
from services.sources.vellum import messages
from services.sources.vellum.credential import Credential, CredentialState
from services.sources.vellum.evidence import AssistantEvidence
from services.sources.vellum.http_probe import HttpReply
from services.sources.vellum.judge import RESTART, AssistantJudgement, Remedy
from services.sources.vellum.layout import HOST
from services.sources.vellum.limits import DRAIN_S, WATCH_S, YOUNG_S
from services.sources.vellum.pid_files import PidFile
from services.sources.vellum.registry import AssistantEntry, AssistantRegistry
from services.text.sanitize import sanitize

NO_SHELL = (
    "a local assistant has no inside of its own: its commands run on this machine, so use a "
    "terminal here"
)
NO_SHELL_DOCKER = "the panel opens no shell there; use `vellum ssh` in a terminal"
NO_SHELL_REMOTE = "it runs elsewhere; use `vellum ssh` or `vellum terminal`"
NO_QUEUE = "Vellum keeps no message queue that can be read from outside"
NO_LOGS = "its log files are not a documented interface; look in its instance folder"


@dataclass(frozen=True, slots=True)
class AssistantRows:
    """The two rows of an assistant."""

    gateway: Gateway
    sandbox: Sandbox


def to_rows(
    source: str,
    registry: AssistantRegistry,
    entry: AssistantEntry,
    seen: AssistantEvidence,
    judged: AssistantJudgement,
) -> AssistantRows:
    """Rows from evidence; nothing here is secret or moves from look to look without news."""
    front = GatewayId(source, entry.id)
    ready = seen.ready or seen.health
    gateway = Gateway(
        front,
        f"{entry.name} gateway",
        judged.gateway or GatewayState.UNKNOWN,
        messages.shared(seen) if judged.gateway is GatewayState.READY else judged.reason,
        seen.now,
        address=f"{HOST}:{entry.gateway_port}" if entry.local and entry.gateway_port else "",
        latency_s=None if ready is None else ready.latency_s,
        evidence=_gateway_facts(registry, entry, seen, judged),
    )
    sandbox = Sandbox(
        SandboxId(source, entry.id),
        entry.name,
        judged.sandbox or SandboxState.UNKNOWN,
        judged.reason,
        seen.now,
        gateway=front,
        needs=(front,) if entry.local else (),
        asleep_by_design=judged.sandbox is SandboxState.ASLEEP and seen.lived,
        until=_lapses(seen, judged),
        evidence=_sandbox_facts(registry, entry, seen, judged),
        unavailable=_unavailable(entry, seen),
    )
    return AssistantRows(gateway, sandbox)


def _lapses(seen: AssistantEvidence, judged: AssistantJudgement) -> float | None:
    """When the clock alone makes another judgement of this one."""
    match judged.row:
        case 7 if seen.gateway_s is not None:
            return seen.now + max(0.0, YOUNG_S - seen.gateway_s)
        case 12 if judged.remedy is Remedy.SETTLING:
            return seen.now + max(0.0, DRAIN_S - seen.draining_s)
        case 16 if judged.remedy is Remedy.SETTLING:
            return seen.now + max(0.0, YOUNG_S - seen.unready_s)
        case 36 if seen.watched_s is not None:
            return seen.now + max(0.0, WATCH_S - seen.watched_s)
    return None


def _unavailable(
    entry: AssistantEntry, seen: AssistantEvidence
) -> tuple[tuple[Capability, str], ...]:
    if entry.cloud == "local":
        reason = NO_SHELL
    elif entry.cloud == "docker":
        reason = NO_SHELL_DOCKER
    else:
        reason = NO_SHELL_REMOTE
    missing = [(Capability.SHELL, reason), (Capability.EXEC, reason)]
    if entry.cloud == "paired":
        missing.append((Capability.WAKE, "it runs on another machine"))
    elif not entry.local:
        reason = f"its lifecycle is managed elsewhere (cloud {entry.cloud})"
        missing += [(Capability.WAKE, reason), (Capability.RECONNECT, reason)]
    elif seen.key_refusal:
        reason = messages.no_verb(seen)
        missing += [(Capability.WAKE, reason), (Capability.RECONNECT, reason)]
    return tuple(missing)


def _gateway_facts(
    registry: AssistantRegistry,
    entry: AssistantEntry,
    seen: AssistantEvidence,
    judged: AssistantJudgement,
) -> Facts:
    rows = [
        ("registry", sanitize(registry.path, 200)),
        ("environment", seen.environment),
        ("cloud", entry.cloud),
    ]
    if registry.dropped:
        rows.append(("unusable entries", str(registry.dropped)))
    if entry.local:
        rows += [
            ("gateway port", "not recorded" if seen.port is None else str(seen.port)),
            ("gateway process", _process(seen.gateway)),
            ("listens", seen.listener.label or seen.listener.holder.value),
            ("healthz", _reply(seen.health)),
            ("readyz", _reply(seen.ready)),
        ]
    if seen.daemon is not None:
        rows.append((f"assistant readyz, port {seen.daemon_port}", _reply(seen.daemon)))
    rows.append(("judged by", _rule(judged)))
    return tuple(rows)


def _sandbox_facts(
    registry: AssistantRegistry,
    entry: AssistantEntry,
    seen: AssistantEvidence,
    judged: AssistantJudgement,
) -> Facts:
    rows = [("a wake would", wake_effect(entry, seen, judged))]
    if entry.local:
        port = "not recorded" if seen.daemon_port is None else str(seen.daemon_port)
        rows += [
            ("credential", credential_fact(seen.credential)),
            ("assistant process", _process(seen.assistant)),
            ("assistant port", port),
        ]
    rows += [("assistant id", entry.id), ("environment", seen.environment)]
    if registry.active == entry.id:
        rows.append(("active", "yes"))
    return (*rows, ("judged by", _rule(judged)))


def credential_fact(credential: Credential) -> str:
    """A credential's state and its ends, never the token."""
    words = [credential.state.value]
    if credential.access_until is not None:
        past = credential.state in (CredentialState.EXPIRED, CredentialState.SPENT)
        words.append(f"access {'ended' if past else 'until'} {_date(credential.access_until)}")
    if credential.refresh_until is not None:
        past = credential.state is CredentialState.SPENT
        words.append(f"renewal {'ended' if past else 'until'} {_date(credential.refresh_until)}")
    return ", ".join(words)


def wake_effect(entry: AssistantEntry, seen: AssistantEvidence, judged: AssistantJudgement) -> str:
    """What pressing Wake does now."""
    if not entry.local:
        return "not be possible from here"
    match judged.remedy:
        case Remedy.REPAIRABLE if seen.tool:
            return f"fail: vellum cannot be run, {seen.tool}"
        case Remedy.REPAIRABLE if judged.gateway is GatewayState.READY and judged.row in (18, 37):
            return "find it serving; Reconnect tries to copy a credential of another environment"
        case Remedy.REPAIRABLE:
            return (
                f"run `vellum wake {sanitize(entry.id, 80)}` and see by probing whether it serves"
            )
        case Remedy.SETTLING:
            return "wait: it settles by itself, and waking does not make that faster"
        case Remedy.CONFIRM if judged.confirmable == RESTART:
            return "not help; it offers a restart, which asks first"
        case Remedy.TERMINAL:
            return "not help"
    return "find it serving and do nothing"


def _process(file: PidFile) -> str:
    words = file.state.value if file.pid is None else f"pid {file.pid}, {file.state.value}"
    return words if file.written_at is None else f"{words}, recorded {_date(file.written_at)}"


def _reply(reply: HttpReply | None) -> str:
    if reply is None:
        return "not asked"
    if not reply.status:
        return reply.answer.value
    word = sanitize(reply.word, 40)
    return f"{reply.status} {word}".strip()


def _rule(judged: AssistantJudgement) -> str:
    return f"row {judged.row}: {judged.remedy.value}" if judged.row else "every probe is good"


def _date(at: float) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return "an unreadable date"
