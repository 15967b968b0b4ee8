"""What a message is, from the facts of its row: a table for each direction.

SQL computes the date tests, so that offsets and odd spellings are judged as the host judges them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from services.models import InLabel, OutLabel


class DueState(IntEnum):
    """What SQLite makes of a `process_after`."""

    DUE = 0
    """Not set, or past."""
    NEVER = 1
    """Set, and no date to SQLite."""
    LATER = 2


@dataclass(frozen=True, slots=True)
class InboundFacts:
    """What decides the label of one messages_in row."""

    status: str = "pending"
    due_state: DueState = DueState.DUE
    retried: bool = False
    """`tries > 0`."""
    system: bool = False
    """`kind = 'system'`."""
    on_wake: bool = False
    wakes: bool = True
    """`trigger <> 0`."""
    ack: str = ""
    """`processing`, `completed`, `failed`; empty without a row."""
    abandoned: bool = False
    """A completed task that is the last of its series."""


@dataclass(frozen=True, slots=True)
class OutboundFacts:
    """What decides the label of one messages_out row."""

    kind: str
    channel: str
    delivery: str = ""
    """`delivered.status`; empty without a row."""
    confirmed: bool = False
    """The platform returned an id."""
    deferred: bool = False


def inbound_label(facts: InboundFacts, *, alive: bool | None) -> InLabel:
    """The first row that holds (upstream/nanoclaw: Inbound labels); unknown life counts as life."""
    match facts.status:
        case "failed":
            return InLabel.FAILED
        case "paused":
            return InLabel.PAUSED
        case "completed":
            cancelled = facts.abandoned and not facts.ack
            return InLabel.CANCELLED if cancelled else InLabel.COMPLETED
    if facts.ack in ("completed", "failed"):
        return InLabel.UNSYNCED
    if facts.ack == "processing":
        return InLabel.ORPHAN if alive is False else InLabel.PROCESSING
    if facts.due_state is DueState.NEVER:
        return InLabel.NEVER_DUE
    if facts.due_state is DueState.LATER:
        return InLabel.BACKOFF if facts.retried else InLabel.SCHEDULED
    if facts.system:
        return InLabel.WAITING
    if facts.on_wake:
        return InLabel.HELD
    return InLabel.DUE if facts.wakes else InLabel.CONTEXT


def outbound_label(facts: OutboundFacts) -> OutLabel:
    """The row that holds (upstream/nanoclaw: Outbound labels)."""
    if not facts.delivery:
        return OutLabel.DEFERRED if facts.deferred else OutLabel.UNDELIVERED
    if facts.delivery == "failed":
        return OutLabel.FAILED
    if facts.kind == "system":
        return OutLabel.APPLIED
    if facts.channel == "agent":
        return OutLabel.ROUTED
    confirmed = facts.confirmed or facts.channel == "cli"
    return OutLabel.DELIVERED if confirmed else OutLabel.UNCONFIRMED


def is_deferred(deliver_after: str | None, now_text: str) -> bool:
    """The host's own test, as text: an ISO instant of today counts as later than any time today."""
    return deliver_after is not None and deliver_after > now_text
