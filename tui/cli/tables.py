"""What the command line prints: stable JSON shapes (schema 1) and plain tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from services.board.deltas import Totals
from services.models import Attempt, Event, Gateway, GatewayId, Message, QueueSnapshot, Sandbox
from services.text import signs
from services.text.format import age, counts, latency

SCHEMA = 1


def sandbox_json(sandbox: Sandbox, now: float) -> dict[str, Any]:
    """One row of `sandboxes --json`, as `docs/commands.md` describes it."""
    return {
        "id": str(sandbox.id),
        "name": sandbox.name,
        "source": sandbox.id.source,
        "gateway": None if sandbox.gateway is None else str(sandbox.gateway),
        "state": sandbox.state.value,
        "own_state": (sandbox.own_state or sandbox.state).value,
        "needs": [str(one) for one in sandbox.needs],
        "since": sandbox.since,
        "needs_me": sandbox.needs_me,
        "activity": sandbox.activity.value,
        "tool": sandbox.tool,
        "reason": sandbox.reason,
        "observed_at": sandbox.observed_at,
        "age_s": max(0.0, round(now - sandbox.observed_at, 3)),
        "stale": sandbox.stale,
        "queue": {"in": dict(sandbox.inbound), "out": dict(sandbox.outbound)},
        **({"stock": True} if sandbox.stock else {}),
    }


def gateway_json(gateway: Gateway, now: float) -> dict[str, Any]:
    """One row of `status --json`."""
    return {
        "id": str(gateway.id),
        "name": gateway.name,
        "source": gateway.id.source,
        "state": gateway.state.value,
        "since": gateway.since,
        "reason": gateway.reason,
        "address": gateway.address,
        "latency_s": gateway.latency_s,
        "observed_at": gateway.observed_at,
        "age_s": max(0.0, round(now - gateway.observed_at, 3)),
        "stale": gateway.stale,
    }


def status_totals(totals: Totals) -> dict[str, int] | None:
    """`totals` of `status --json`: null where nothing is known, empty where there is nothing."""
    return totals_json(totals) or (None if totals.lost or totals.unknown_lists else {})


def totals_json(totals: Totals) -> dict[str, int]:
    """Sandboxes by shown state; what is stale is counted as that alone."""
    counted = {state.value: number for state, number in totals.sandboxes}
    if totals.stale_sandboxes:
        counted["stale"] = totals.stale_sandboxes
    return dict(sorted(counted.items()))


def totals_text(totals: Totals) -> str:
    """The totals in a line, the most urgent first."""
    numbers = totals_json(totals)
    words = (sign.word for sign in signs.COUNTED)
    counted = [f"{numbers[word]} {word}" for word in words if word in numbers]
    if totals.needs_me:
        counted.append(f"{totals.needs_me} need you")
    incomplete = bool(totals.lost or totals.unknown_lists)
    if incomplete:
        counted.append("not all are known" if counted else "not known")
    return ", ".join(counted) or "none"


def unknown_json(unknown: Sequence[tuple[str, GatewayId | None, str]]) -> dict[str, Any]:
    """What a shape says beside its lists where they are not complete."""
    if not unknown:
        return {}
    places = [source if gateway is None else str(gateway) for source, gateway, _ in unknown]
    return {
        "known": False,
        "problem": "; ".join(
            f"{place}: {why}" for place, (_, _, why) in zip(places, unknown, strict=True)
        ),
        "unknown": places,
    }


def message_json(message: Message) -> dict[str, Any]:
    """One message of `queues --json`."""
    return {
        "direction": message.direction.value,
        "id": message.id,
        "seq": message.seq,
        "label": message.label.value,
        "kind": message.kind,
        "at": message.at,
        "text": message.text,
        "size": message.size,
        "channel": message.channel,
        "reply_to": message.reply_to,
        "tries": message.tries,
        "due_at": message.due_at,
    }


def queue_json(snapshot: QueueSnapshot, now: float) -> dict[str, Any]:
    """The whole of `queues --json`."""
    return {
        "schema": SCHEMA,
        "sandbox": str(snapshot.sandbox),
        "observed_at": snapshot.observed_at,
        "age_s": max(0.0, round(now - snapshot.observed_at, 3)),
        "stale": snapshot.stale,
        "problem": snapshot.problem,
        **({"known": False} if snapshot.problem else {}),
        "in": dict(snapshot.inbound),
        "out": dict(snapshot.outbound),
        "messages": [message_json(one) for one in snapshot.messages],
    }


def event_json(event: Event) -> dict[str, Any]:
    """One line of `events --json`."""
    return {
        "schema": SCHEMA,
        "at": event.at,
        "severity": event.severity.value,
        "source": event.source,
        "subject": event.subject,
        "kind": event.kind,
        "text": event.text,
        "before": event.before,
        "after": event.after,
    }


def attempt_json(attempt: Attempt) -> dict[str, Any]:
    """The result of `wake --json` and `reconnect --json`."""
    return {
        "schema": SCHEMA,
        "sandbox": str(attempt.sandbox),
        "verb": attempt.verb.value,
        "state": attempt.state.value,
        "started_at": attempt.started_at,
        "ended_at": attempt.ended_at,
        "summary": attempt.summary,
        "advice": attempt.advice,
        "error": attempt.original,
        "last_error": attempt.last,
        "needs_confirmation": attempt.confirmable,
        "agreed": attempt.act,
        "steps": [
            {"name": one.name, "state": one.state.value, "detail": one.detail}
            for one in attempt.steps
        ],
    }


def table(rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows as aligned lines, two blanks between columns, nothing trailing."""
    every = [tuple(row) for row in rows]
    if not every:
        return []
    widths = [max(len(row[at]) for row in every) for at in range(len(every[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in every
    ]


def sandbox_row(sandbox: Sandbox, now: float) -> tuple[str, ...]:
    """One line of `sandboxes`."""
    doing = f"{sandbox.activity.value} {sandbox.tool}".strip()
    seen = age(now, sandbox.observed_at)
    return (
        str(signs.SANDBOXES[sandbox.state]),
        str(sandbox.id),
        doing or "-",
        counts(sandbox.inbound, 2),
        counts(sandbox.outbound, 2),
        f"{seen} stale" if sandbox.stale else seen,
        sandbox.reason,
    )


def gateway_row(gateway: Gateway, now: float) -> tuple[str, ...]:
    """One line of `status`."""
    seen = age(now, gateway.observed_at)
    return (
        str(signs.GATEWAYS[gateway.state]),
        str(gateway.id),
        latency(gateway.latency_s),
        f"{seen} stale" if gateway.stale else seen,
        gateway.reason,
    )
