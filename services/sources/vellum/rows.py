"""One assistant as rows of the panel: state, reason and the evidence behind them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

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
from services.sources.vellum.credential import Credential, Standing
from services.sources.vellum.evidence import Evidence
from services.sources.vellum.http_probe import Reply
from services.sources.vellum.judge import RESTART, Judgement, Means
from services.sources.vellum.layout import HOST
from services.sources.vellum.pid_files import PidFile
from services.sources.vellum.registry import Entry, Registry
from services.text.sanitize import plain

NO_SHELL = (
    "a local assistant has no inside of its own: its commands run on this machine, so use a "
    "terminal here"
)
NO_SHELL_DOCKER = "the panel opens no shell there; use `vellum ssh` in a terminal"
NO_SHELL_REMOTE = "it runs elsewhere; use `vellum ssh` or `vellum terminal`"
NO_QUEUE = "Vellum keeps no message queue that can be read from outside"
NO_LOGS = "its log files are not a documented interface; look in its instance folder"


@dataclass(frozen=True, slots=True)
class Portrait:
    """The two rows of an assistant."""

    gateway: Gateway
    sandbox: Sandbox


def draw(
    source: str, registry: Registry, entry: Entry, seen: Evidence, judged: Judgement
) -> Portrait:
    """Rows from evidence; nothing here is secret or moves from look to look without news."""
    front = GatewayId(source, entry.id)
    ready = seen.ready or seen.health
    gateway = Gateway(
        front,
        f"{entry.name} gateway",
        judged.gateway or GatewayState.UNKNOWN,
        judged.reason if judged.gateway is not GatewayState.READY else "",
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
        evidence=_sandbox_facts(registry, entry, seen, judged),
        unavailable=_unavailable(entry),
    )
    return Portrait(gateway, sandbox)


def _unavailable(entry: Entry) -> tuple[tuple[Capability, str], ...]:
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
    return tuple(missing)


def _gateway_facts(registry: Registry, entry: Entry, seen: Evidence, judged: Judgement) -> Facts:
    rows = [
        ("registry", plain(registry.path, 200)),
        ("environment", seen.environment),
        ("cloud", entry.cloud),
    ]
    if registry.dropped:
        rows.append(("unusable entries", str(registry.dropped)))
    if entry.local:
        rows += [
            ("gateway port", "not recorded" if seen.port is None else str(seen.port)),
            ("gateway process", _process(seen.gateway)),
            ("healthz", _reply(seen.health)),
            ("readyz", _reply(seen.ready)),
        ]
    if seen.daemon is not None:
        rows.append((f"assistant readyz, port {seen.daemon_port}", _reply(seen.daemon)))
    rows.append(("judged by", _rule(judged)))
    return tuple(rows)


def _sandbox_facts(registry: Registry, entry: Entry, seen: Evidence, judged: Judgement) -> Facts:
    rows = [("a wake would", wake_would(entry, seen, judged))]
    if entry.local:
        port = "not recorded" if seen.daemon_port is None else str(seen.daemon_port)
        rows += [
            ("credential", standing(seen.credential)),
            ("assistant process", _process(seen.assistant)),
            ("assistant port", port),
        ]
    rows += [("assistant id", entry.id), ("environment", seen.environment)]
    if registry.active == entry.id:
        rows.append(("active", "yes"))
    return (*rows, ("judged by", _rule(judged)))


def standing(credential: Credential) -> str:
    """A credential's state and its ends, never the token."""
    words = [credential.standing.value]
    if credential.access_until is not None:
        past = credential.standing in (Standing.EXPIRED, Standing.SPENT)
        words.append(f"access {'ended' if past else 'until'} {_date(credential.access_until)}")
    if credential.refresh_until is not None:
        past = credential.standing is Standing.SPENT
        words.append(f"renewal {'ended' if past else 'until'} {_date(credential.refresh_until)}")
    return ", ".join(words)


def wake_would(entry: Entry, seen: Evidence, judged: Judgement) -> str:
    """What pressing Wake does now."""
    if not entry.local:
        return "not be possible from here"
    match judged.means:
        case Means.REPAIRABLE if seen.tool:
            return f"fail: vellum cannot be run, {seen.tool}"
        case Means.REPAIRABLE if judged.gateway is GatewayState.READY and judged.row == 18:
            return "find it serving; Reconnect tries to copy a credential of another environment"
        case Means.REPAIRABLE:
            return f"run `vellum wake {plain(entry.id, 80)}` and see by probing whether it serves"
        case Means.SETTLING:
            return "wait: it settles by itself, and waking does not make that faster"
        case Means.CONFIRM if judged.confirmable == RESTART:
            return "not help; it offers a restart, which asks first"
        case Means.TERMINAL:
            return "not help"
    return "find it serving and do nothing"


def _process(file: PidFile) -> str:
    words = file.state.value if file.pid is None else f"pid {file.pid}, {file.state.value}"
    return words if file.written_at is None else f"{words}, recorded {_date(file.written_at)}"


def _reply(reply: Reply | None) -> str:
    if reply is None:
        return "not asked"
    if not reply.status:
        return reply.answer.value
    word = plain(reply.word, 40)
    return f"{reply.status} {word}".strip()


def _rule(judged: Judgement) -> str:
    return f"row {judged.row}: {judged.means.value}" if judged.row else "every probe is good"


def _date(at: float) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return "an unreadable date"
