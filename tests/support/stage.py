"""The cast of the pictures: sandboxes, gateways, messages and events, all of them invented."""

from __future__ import annotations

from services.models import (
    Activity,
    Direction,
    Event,
    Gateway,
    GatewayId,
    GatewayState,
    InLabel,
    Message,
    OutLabel,
    QueueSnapshot,
    Sandbox,
    SandboxId,
    SandboxState,
    Severity,
)

NOW = 1_789_000_000.0
"""2026-09-10 00:26:40 UTC."""
GATEWAY = GatewayId("local", "gateway")
HOSTILE = "[bold red]not markup[/] \u202eneve\u200bsiht \x1b]52;c;aGk=\x07 \x1b[31mred"


def gateways(state: GatewayState = GatewayState.READY, reason: str = "") -> tuple[Gateway, ...]:
    """The gateway in that state, and the host beside it."""
    latency = 0.0042 if state is GatewayState.READY else None
    return (
        Gateway(
            GATEWAY,
            "gateway",
            state,
            reason,
            NOW,
            address="127.0.0.1:40917",
            latency_s=latency,
            evidence=(("process", "pid 4242, running"), ("healthz", "ok (200)")),
        ),
        Gateway(GatewayId("local", "host"), "host (traffic)", GatewayState.READY, "", NOW),
    )


def sandbox(
    name: str,
    state: SandboxState = SandboxState.READY,
    reason: str = "",
    activity: Activity = Activity.IDLE,
    tool: str = "",
    due: int = 0,
) -> Sandbox:
    """One sandbox of the embedded world."""
    inbound = (("due", due), ("completed", 41)) if due else (("completed", 41),)
    return Sandbox(
        SandboxId("local", name),
        name,
        state,
        reason,
        NOW,
        gateway=GATEWAY,
        activity=activity if state is SandboxState.READY else Activity.NONE,
        tool=tool,
        evidence=(("process", "pid 4243, running"), ("heartbeat", "0 s ago"), ("due", str(due))),
        inbound=inbound,
        outbound=(("delivered", 38), ("undelivered", 1)),
    )


SANDBOXES = (
    sandbox("data-pull", activity=Activity.WORKING, tool="WebFetch", due=2),
    sandbox("inbox-triage", activity=Activity.WORKING, tool="Bash", due=1),
    sandbox("night-watch"),
    sandbox("release-notes", activity=Activity.WORKING, tool="Read"),
)


def _message(
    number: int, direction: Direction, label: InLabel | OutLabel, text: str, kind: str = "chat"
) -> Message:
    return Message(
        direction,
        f"{direction.value}-{number:03d}",
        number,
        label,
        kind,
        NOW - 90 + number * 4,
        text,
        len(text),
        channel="telegram" if direction is Direction.IN else "cli",
        due_at=NOW + 20 if label is InLabel.BACKOFF else None,
        tries=2 if label is InLabel.BACKOFF else 0,
    )


MESSAGES = (
    _message(2, Direction.IN, InLabel.COMPLETED, "Summarise the build that failed last night"),
    _message(3, Direction.OUT, OutLabel.DELIVERED, "Two tests of the importer failed: see below."),
    _message(6, Direction.IN, InLabel.BACKOFF, "Fetch the export again", "task"),
    _message(8, Direction.IN, InLabel.CONTEXT, "(the channel goes on talking)"),
    _message(10, Direction.IN, InLabel.PROCESSING, "Which release notes are still missing?"),
    _message(12, Direction.IN, InLabel.DUE, "Check the queue depth of the importer"),
    _message(15, Direction.OUT, OutLabel.UNDELIVERED, "Three entries have no notes yet."),
    _message(16, Direction.IN, InLabel.DUE, "not markup: [bold red]stop[/] and ‹202E›no tricks"),
)


def queue(name: str = "data-pull", due: int = 2) -> QueueSnapshot:
    """The queue of one sandbox."""
    return QueueSnapshot(
        SandboxId("local", name),
        NOW,
        MESSAGES,
        (("due", due), ("processing", 1), ("backoff", 1), ("context only", 1), ("completed", 41)),
        (("undelivered", 1), ("delivered", 38)),
    )


EVENTS = (
    Event(
        NOW - 3600,
        Severity.WORSE,
        "local",
        "gateway",
        "gateway",
        "gateway is down",
        "ready",
        "down",
    ),
    Event(NOW - 3590, Severity.ACTION, "local", "night-watch", "attempt", "reconnect: asked for"),
    Event(
        NOW - 3588,
        Severity.BETTER,
        "local",
        "gateway",
        "gateway",
        "gateway is ready",
        "down",
        "ready",
    ),
    Event(NOW - 30, Severity.INFO, "local", "data-pull", "sandbox", "data-pull is ready"),
)
