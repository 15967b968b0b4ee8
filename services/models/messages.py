"""Messages of the two queue files, with derived labels."""

from __future__ import annotations

from enum import Enum

from services.lazy_dataclass import dataclass
from services.models.rows import Counts, SandboxId


class Direction(Enum):
    """Which queue file a message lives in."""

    IN = "in"
    OUT = "out"


class InLabel(Enum):
    """What an inbound message is, derived (upstream/nanoclaw: Inbound labels)."""

    FAILED = "failed"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    UNSYNCED = "completed, not yet synced"
    SCRIPT_FAILED = "script failed"
    SCRIPT_UNSYNCED = "script failed, not yet synced"
    UNKNOWN_STATUS = "unknown status"
    UNKNOWN_ACK = "unknown acknowledgement"
    PROCESSING = "processing"
    ORPHAN = "orphan claim"
    NEVER_DUE = "never due"
    BACKOFF = "backoff"
    SCHEDULED = "scheduled"
    WAITING = "waiting response"
    HELD = "held for next start"
    CONTEXT = "context only"
    DUE = "due"


class OutLabel(Enum):
    """What an outbound message is, derived (upstream/nanoclaw: Outbound labels)."""

    FAILED = "failed"
    APPLIED = "applied"
    ROUTED = "routed to agent"
    DELIVERED = "delivered"
    UNCONFIRMED = "unconfirmed"
    DEFERRED = "deferred"
    UNDELIVERED = "undelivered"
    LOGGED = "written to the run log"
    UNLOGGED = "not yet in the run log"
    DROPPED = "dropped, no address"
    NEVER_SENT = "never sent, unreadable time"
    UNKNOWN_STATUS = "unknown delivery status"
    UNKNOWN_KIND = "unknown kind"


@dataclass(frozen=True, slots=True)
class Message:
    """One row of messages_in or messages_out."""

    direction: Direction
    id: str
    seq: int | None
    label: InLabel | OutLabel
    kind: str
    at: float | None
    """The row's timestamp, or None where it cannot be parsed."""
    text: str
    """A bounded, harmless preview of the content."""
    size: int
    """Length of the whole content in characters."""
    channel: str = ""
    reply_to: str | None = None
    tries: int = 0
    due_at: float | None = None  # scheduled, backoff, deferred
    since: float | None = None
    """When it entered its label, where the files say so."""
    note: str = ""
    """The other system's own word where the label has none for it."""


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """Counts by label and a page of messages, newest last, of one sandbox."""

    sandbox: SandboxId
    observed_at: float
    messages: tuple[Message, ...]
    """Both directions merged: by time, then inbound first, then seq.

    See upstream/nanoclaw: Order of messages.
    """
    inbound: Counts
    outbound: Counts
    problem: str = ""  # why it could not be refreshed: the rows are the last good ones
    stale: bool = False
