"""What a message is, from the facts of its row: a table for each direction.

SQL computes the date tests, so that offsets and odd spellings are judged as the host judges them.
"""

from __future__ import annotations

from enum import IntEnum

from services.lazy_dataclass import dataclass
from services.models import InLabel, OutLabel

SCRIPT_ERROR = "script-skip:error"
"""The acknowledgement of a task whose own script failed before the agent saw it."""
ECHO = "session-echo"
"""Channel of a copy of what happened in a sister session: context, and nobody's message."""
UNKNOWN_STATUS = "?"
"""Stands for a status of a row that nobody here has a meaning for."""
KNOWN_ACKS = ("processing", "completed", "failed")
KNOWN_DELIVERIES = ("", "delivered", "failed")
_MESSAGE_KINDS = ("chat", "chat-sdk", "task", "webhook")


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
    """The acknowledgement's own word; empty without a row."""
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
    addressed: bool = True
    """It names where it goes."""
    unreadable: bool = False
    """Its time is none to the host, which therefore never sends it."""


def inbound_label(facts: InboundFacts, *, alive: bool | None) -> InLabel:
    """The first row that holds (upstream/nanoclaw: Inbound labels); unknown life counts as life."""
    match facts.status:
        case "failed":
            skipped = facts.ack == SCRIPT_ERROR
            return InLabel.SCRIPT_FAILED if skipped else InLabel.FAILED
        case "cancelled":
            return InLabel.CANCELLED
        case "?":
            return InLabel.UNKNOWN_STATUS
        case "paused":
            return InLabel.PAUSED
        case "completed":
            cancelled = facts.abandoned and not facts.ack
            return InLabel.CANCELLED if cancelled else InLabel.COMPLETED
    if facts.ack in ("completed", "failed"):
        return InLabel.UNSYNCED
    if facts.ack == "processing":
        return InLabel.ORPHAN if alive is False else InLabel.PROCESSING
    if facts.ack:
        return InLabel.SCRIPT_UNSYNCED if facts.ack == SCRIPT_ERROR else InLabel.UNKNOWN_ACK
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
    if facts.delivery not in KNOWN_DELIVERIES:
        return OutLabel.UNKNOWN_STATUS
    if facts.kind == TASK_LOG and facts.delivery != "failed":
        return OutLabel.LOGGED if facts.delivery else OutLabel.UNLOGGED
    if not facts.delivery:
        if facts.unreadable:
            return OutLabel.NEVER_SENT
        return OutLabel.DEFERRED if facts.deferred else OutLabel.UNDELIVERED
    if facts.delivery == "failed":
        return OutLabel.FAILED
    if facts.kind == "system":
        return OutLabel.APPLIED
    if facts.channel == "agent":
        return OutLabel.ROUTED
    if facts.kind in ("chat", "chat-sdk") and not facts.addressed and not facts.confirmed:
        return OutLabel.DROPPED
    if facts.kind not in _MESSAGE_KINDS and not facts.addressed and not facts.confirmed:
        return OutLabel.UNKNOWN_KIND
    confirmed = facts.confirmed or facts.channel == "cli"
    return OutLabel.DELIVERED if confirmed else OutLabel.UNCONFIRMED


TASK_LOG = "task_log"
"""Kind of a row that the host writes to a task's run log and sends to nobody."""


def is_deferred(deliver_after: str | None, now_text: str) -> bool:
    """The older host's test, as text: an ISO instant of today is later than any time today."""
    return deliver_after is not None and deliver_after > now_text
