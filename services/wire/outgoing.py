"""Records of the board as they travel: what a far side says of its rows, verdicts and steps."""

from __future__ import annotations

from typing import Any

from services.logs.reader import LogRecord
from services.models import (
    Event,
    Gateway,
    LogStream,
    Message,
    QueueSnapshot,
    Sandbox,
    Step,
)
from services.sources.protocol.verdict import Verdict
from services.wire.messages import MOST_ALIASES, EventRow, WireGateway, WireSandbox

LONGEST_REASON = 1000
SAME_LOOK_S = 0.5
"""A row read so shortly before its source's look ended is as old as that look."""
PAGE = 100
"""Messages of a queue in one item."""


def gateway_row(row: Gateway, at: float | None) -> WireGateway:
    """A gateway; `at` is the instant at which its source was last asked."""
    return WireGateway(
        id=row.id.native_id,
        state=row.state.value,
        name=row.name,
        reason=row.reason[:LONGEST_REASON],
        observed_at=_older(row.observed_at, row.stale, at),
        address=row.address,
        latency_s=row.latency_s,
        evidence=list(row.evidence),
        stale=row.stale,
        since=row.since,
        until=row.until,
    )


def sandbox_row(row: Sandbox, at: float | None) -> WireSandbox:
    """A sandbox, as its own source says it is."""
    return WireSandbox(
        id=row.id.native_id,
        state=row.state.value,
        name=row.name,
        reason=row.reason[:LONGEST_REASON],
        observed_at=_older(row.observed_at, row.stale, at),
        gateway="" if row.gateway is None else row.gateway.native_id,
        activity=row.activity.value,
        tool=row.tool,
        evidence=list(row.evidence),
        inbound=list(row.inbound),
        outbound=list(row.outbound),
        asleep_by_design=row.asleep_by_design,
        unavailable={one.value: why for one, why in row.unavailable},
        stale=row.stale,
        needs=[one.native_id for one in row.needs],
        since=row.since,
        until=row.until,
        needs_me=row.needs_me,
        cost_usd=row.cost_usd,
        aliases=list(row.aliases[:MOST_ALIASES]),
        stock=row.stock,
    )


def _older(observed_at: float, stale: bool, at: float | None) -> float | None:
    return observed_at if stale or at is None or observed_at < at - SAME_LOOK_S else None


def event_row(event: Event) -> EventRow:
    """Something that happened there."""
    return EventRow(
        at=event.at,
        text=event.text,
        severity=event.severity.value,
        subject=event.subject,
        kind=event.kind,
        before=event.before,
        after=event.after,
    )


def verdict_value(verdict: Verdict) -> dict[str, Any]:
    """A verdict as an item."""
    said: dict[str, Any] = {"kind": verdict.kind.value, "reason": verdict.reason}
    for name in ("wakeable", "advice", "confirmable", "over"):
        if value := getattr(verdict, name):
            said[name] = value
    return {"verdict": said}


def step_value(step: Step) -> dict[str, Any]:
    """A step as an item."""
    said: dict[str, Any] = {"name": step.name, "state": step.state.value}
    for name in (
        *("started_at", "ended_at", "limit_s", "detail", "critical", "transient"),
        *("best_effort", "outcome"),
    ):
        if (value := getattr(step, name)) not in (None, "", False):
            said[name] = value
    return {"step": said}


def queue_values(snapshot: QueueSnapshot) -> list[dict[str, Any]]:
    """A queue as items: the counts with the first messages, then pages of more."""
    rows = [_message_value(one) for one in snapshot.messages]
    head: dict[str, Any] = {
        "observed_at": snapshot.observed_at,
        "inbound": list(snapshot.inbound),
        "outbound": list(snapshot.outbound),
        "problem": snapshot.problem,
        "stale": snapshot.stale,
        "messages": rows[:PAGE],
    }
    return [head] + [
        {"messages": rows[first : first + PAGE]} for first in range(PAGE, len(rows), PAGE)
    ]


def _message_value(message: Message) -> dict[str, Any]:
    said: dict[str, Any] = {
        "direction": message.direction.value,
        "id": message.id,
        "label": message.label.value,
        "kind": message.kind,
        "text": message.text,
        "size": message.size,
    }
    for name in ("seq", "at", "channel", "reply_to", "tries", "due_at", "since", "note"):
        if (value := getattr(message, name)) not in (None, "", 0):
            said[name] = value
    return said


def streams_value(streams: tuple[LogStream, ...]) -> dict[str, Any]:
    """The streams of a log as an item."""
    return {"streams": [(one.name, one.title) for one in streams]}


def record_value(record: LogRecord) -> dict[str, Any]:
    """A record of a log as an item."""
    said: dict[str, Any] = {"text": record.text[:100_000]}
    for name in ("at", "key", "note"):
        if (value := getattr(record, name)) not in (None, "", False):
            said[name] = value
    return said
