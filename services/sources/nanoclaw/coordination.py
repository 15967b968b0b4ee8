"""What hosts write down for each other in the central DB (upstream/nanoclaw: Several hosts)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace

from services.lazy_dataclass import dataclass
from services.models import Facts
from services.queues.tables import Record
from services.queues.timestamps import seconds
from services.queues.values import text
from services.text.format import ago, plural, span
from services.text.redact import redact_line
from services.text.sanitize import sanitize

TABLES: Mapping[str, tuple[str, ...]] = {
    "session_claims": ("session_id", "claimed_by", "claimed_at", "stop_intent"),
    "host_instances": ("instance_id", "pid", "started_at", "lease_expires_at", "stopped_at"),
    "delivery_attempts": (
        "message_id",
        "session_id",
        "attempts",
        "next_attempt_at",
        "last_error",
    ),
    "wake_signals": ("id", "session_id", "reason", "created_at", "consumed_at"),
}
PENDING: Mapping[str, str] = {"wake_signals": "consumed_at"}
"""Of these tables only the rows without that instant are read: the others are history."""
_SHOWN = 3
_INTENTS = {"stop": "stop ordered", "respawn_after_stop": "restart ordered"}


@dataclass(frozen=True, slots=True)
class DeliveryRetry:
    """A reply that could not be delivered yet."""

    attempts: int
    next_at: float | None
    error: str
    """As the host has it, not harmless yet."""


@dataclass(frozen=True, slots=True)
class HostLease:
    """One host that has not said that it stopped."""

    started_at: float | None
    until: float | None
    """It is alive where this is ahead: it is renewed all the time."""


@dataclass(frozen=True, slots=True)
class SessionOrders:
    """What is written down for one session."""

    intent: str = ""
    """Why its host ends its container; empty for none."""
    retries: tuple[DeliveryRetry, ...] = ()
    signals: tuple[tuple[float | None, str], ...] = ()
    """When and why a wake was asked for that no host has taken up yet."""


@dataclass(frozen=True, slots=True)
class Coordination:
    """All of it; empty where an install has no such tables."""

    hosts: tuple[HostLease, ...] = ()
    sessions: Mapping[str, SessionOrders] = field(default_factory=dict)


def read(tables: Mapping[str, list[Record]]) -> Coordination:
    """The tables as one value."""
    sessions: dict[str, SessionOrders] = {}

    def orders(row: Record) -> SessionOrders:
        return sessions.get(text(row.get("session_id")), SessionOrders())

    def keep(row: Record, told: SessionOrders) -> None:
        sessions[text(row.get("session_id"))] = told

    for row in tables.get("session_claims", []):
        if intent := text(row.get("stop_intent")):
            keep(row, replace(orders(row), intent=intent))
    for row in tables.get("delivery_attempts", []):
        count, told = row.get("attempts"), orders(row)
        retry = DeliveryRetry(
            count if isinstance(count, int) else 0,
            seconds(row.get("next_attempt_at")),
            text(row.get("last_error")),
        )
        keep(row, replace(told, retries=(*told.retries, retry)))
    for row in tables.get("wake_signals", []):
        if row.get("consumed_at") is None:
            told = orders(row)
            signal = (seconds(row.get("created_at")), text(row.get("reason")))
            keep(row, replace(told, signals=(*told.signals, signal)))
    hosts = tuple(
        HostLease(seconds(row.get("started_at")), seconds(row.get("lease_expires_at")))
        for row in tables.get("host_instances", [])
        if row.get("stopped_at") is None
    )
    return Coordination(hosts, sessions)


def session_facts(told: SessionOrders, now: float) -> Facts:
    """Lines of a session's details."""
    rows: list[tuple[str, str]] = []
    if told.intent:
        rows.append(("host's order", _INTENTS.get(told.intent, sanitize(told.intent, 40))))
    for one in told.retries[:_SHOWN]:
        when = "" if one.next_at is None else f", next in {span(max(0.0, one.next_at - now))}"
        why = f": {redact_line(one.error, 160)}" if one.error else ""
        rows.append(("delivery retried", f"{plural(one.attempts, 'attempt')}{when}{why}"))
    if len(told.retries) > _SHOWN:
        rows.append(("deliveries retried", f"{len(told.retries) - _SHOWN} more"))
    for at, reason in told.signals[-_SHOWN:]:
        when = "" if at is None else f"{ago(now - at)}: "
        rows.append(("wake asked for", f"{when}{sanitize(reason, 80) or 'no reason given'}"))
    return tuple(rows)


def host_facts(told: Coordination, *, up: bool, now: float) -> Facts:
    """Lines of the host's details: a second witness beside its socket."""
    alive = [one for one in told.hosts if one.until is not None and one.until > now]
    if len(alive) > 1:
        return (("disagreement", f"{len(alive)} hosts hold a lease: two on one database"),)
    if not told.hosts:
        return ()
    if not alive:
        lapsed = max((one.until for one in told.hosts if one.until is not None), default=None)
        when = "has no end" if lapsed is None else f"ran out {ago(now - lapsed)}"
        doubt = ", and yet a host answers" if up else ""
        return (("lease", f"{when}{doubt}"),)
    left = span((alive[0].until or now) - now)
    doubt = "" if up else ", and its socket is dead: it died just now, or is blocked"
    return (("lease", f"held for {left} more{doubt}"),)
