"""Reading `outbound.db`: acknowledgements, the tool in use, what the agent wrote."""

from __future__ import annotations

import json
from collections.abc import Sequence

from services.lazy_dataclass import dataclass
from services.queues.acks import Ack, AckTracker, DeliveryTracker, SentMessage, chunks
from services.queues.bounds import STRIDE, read_bounds
from services.queues.content_heads import rows_with_heads
from services.queues.labels import KNOWN_ACKS
from services.queues.readonly import OpenFile
from services.queues.schema import FileSchema
from services.queues.values import epoch, number, optional, text

_ADDRESSED = "channel_type IS NOT NULL AND platform_id IS NOT NULL"


@dataclass(frozen=True, slots=True)
class OutboundRow:
    """One messages_out row of the page; text as the file has it."""

    id: str
    seq: int | None
    kind: str
    timestamp: str
    deliver_after: str | None
    channel: str
    reply_to: str | None
    head: str
    size: int
    deliver_at: float | None = None
    addressed: bool = True

    @property
    def sent(self) -> SentMessage:
        """What its label depends on."""
        return SentMessage(
            self.kind, self.channel, self.deliver_after, self.deliver_at, self.addressed
        )


@dataclass(frozen=True, slots=True)
class ToolRow:
    """The container_state row; text as the file has it."""

    tool: str
    timeout_ms: object
    started_at: str | None


@dataclass(frozen=True, slots=True)
class AgentReading:
    """What one poll read of the agent's file, beside what is kept."""

    whole: bool
    """False where rows were taken away, or more are left."""
    tool: ToolRow | None
    newest: str | None
    """The timestamp of the newest message."""


def read_acks_of(db: OpenFile, shape: FileSchema, tracker: AckTracker, ids: Sequence[str]) -> None:
    """Begin a long ledger: acknowledgements of the named messages, and every claim.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    if not shape.has("processing_ack"):
        return
    found: list[tuple[int, str, str, str]] = []
    for some in chunks(ids):
        rows = db.fetch(
            """SELECT rowid, message_id, status, status_changed FROM processing_ack
               WHERE message_id IN (SELECT value FROM json_each(?))""",
            (json.dumps(some),),
        )
        found += [(int(r[0]), text(r[1]), text(r[2]), text(r[3])) for r in rows]
    claims = db.fetch(
        f"""SELECT rowid, message_id, status, status_changed FROM processing_ack
            WHERE status = 'processing' ORDER BY rowid LIMIT {STRIDE}"""  # noqa: S608
    )
    found += [(int(r[0]), text(r[1]), text(r[2]), text(r[3])) for r in claims]
    tracker.add_rows(sorted(set(found)))
    newest = db.fetch(
        """SELECT rowid FROM processing_ack WHERE status <> 'processing'
           ORDER BY rowid DESC LIMIT 1"""
    )
    tracker.newest_row = next((int(row[0]) for row in newest), 0)


def read_special_acks(db: OpenFile, shape: FileSchema, tracker: AckTracker) -> None:
    """Begin a long table: those with another word than the usual three.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    if not shape.has("processing_ack"):
        return
    usual = ", ".join("?" * len(KNOWN_ACKS))
    found = db.fetch(
        f"""SELECT message_id, status, status_changed FROM processing_ack
            WHERE status NOT IN ({usual}) ORDER BY rowid DESC LIMIT {STRIDE}""",  # noqa: S608
        KNOWN_ACKS,
    )
    tracker.special = {text(r[0]): Ack(text(r[0]), text(r[1]), text(r[2])) for r in found}


def read_agent(
    db: OpenFile, shape: FileSchema, acks: AckTracker, sent: DeliveryTracker
) -> AgentReading:
    """Bring acknowledgements and messages up to date, in one statement where nothing is new.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    ledger, messages = shape.has("processing_ack"), shape.has("messages_out")
    parts: list[str] = []
    if ledger:
        parts.append(_ACKED + _OR_CLAIMED if acks.claims else _ACKED)
        if acks.newest_row:
            parts.append("SELECT 'acks', max(rowid), NULL, NULL, NULL FROM processing_ack")
    if messages:
        parts.append(_SENT)
    if shape.has("container_state"):
        parts.append(_TOOL)
    claims = json.dumps([claim.message_id for claim in acks.claims]) if acks.claims else ""
    bound = {"acks": acks.newest_row, "claims": claims}
    rows = db.fetch(" UNION ALL ".join(parts), bound) if parts else []
    told = [(int(r[1]), text(r[2]), text(r[3]), text(r[4])) for r in rows if r[0] == "ack"]
    other = {row[0]: row[1:] for row in rows if row[0] != "ack"}
    newest = other.get("acks")
    gone = newest is not None and (newest[0] or 0) < acks.newest_row
    if not gone:
        acks.add_rows(sorted(told))
    first, last, stamp, _ = other.get("sent", (0, 0, None, None))
    whole = _read_sent(db, sent, first or 0, last or 0) and not gone
    tool = other.get("tool")
    return AgentReading(
        whole,
        None if tool is None else ToolRow(text(tool[0]), tool[1], optional(tool[2])),
        optional(stamp),
    )


_CELLS = "SELECT 'ack', rowid, message_id, status, status_changed FROM processing_ack"
_ACKED = f"{_CELLS} WHERE rowid > :acks"
_OR_CLAIMED = " OR message_id IN (SELECT value FROM json_each(:claims))"
_SENT = """SELECT 'sent', (SELECT min(rowid) FROM messages_out),
                  (SELECT max(rowid) FROM messages_out),
                  (SELECT timestamp FROM messages_out ORDER BY rowid DESC LIMIT 1), NULL"""
_TOOL = """SELECT * FROM (SELECT 'tool', current_tool, tool_declared_timeout_ms, tool_started_at,
                                 NULL FROM container_state LIMIT 1)"""


def read_sent_stride(db: OpenFile, shape: FileSchema, tracker: DeliveryTracker) -> bool:
    """Read at most 20 000 rows not seen yet; False where there is more.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    if not shape.has("messages_out"):
        tracker.restart(0)
        return True
    first, last = read_bounds(db, "messages_out")
    return _read_sent(db, tracker, first, last)


def _read_sent(db: OpenFile, tracker: DeliveryTracker, first: int, last: int) -> bool:
    if first != tracker.first or last < tracker.newest_row:
        tracker.restart(first)
    until = min(last, max(tracker.newest_row, first - 1) + STRIDE)
    if until > tracker.newest_row:
        rows = db.fetch(
            f"""SELECT rowid, id, kind, channel_type, deliver_after,
                       strftime('%s', deliver_after), {_ADDRESSED} FROM messages_out
                WHERE rowid > ? AND rowid <= ?""",  # noqa: S608
            (tracker.newest_row, until),
        )
        entries = (
            (
                int(r[0]),
                text(r[1]),
                SentMessage(text(r[2]), text(r[3]), optional(r[4]), epoch(r[5]), bool(r[6])),
            )
            for r in rows
        )
        tracker.add_rows(entries)
        tracker.newest_row = until
    return until >= last


def read_page(db: OpenFile, shape: FileSchema, window: int) -> list[OutboundRow]:
    """The newest `window` rows, newest first.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    if not shape.has("messages_out"):
        return []

    def statement(head: str, size: str) -> str:
        return f"""SELECT id, seq, kind, timestamp, deliver_after, channel_type, in_reply_to,
                          {head}, {size}, strftime('%s', deliver_after), {_ADDRESSED}
                   FROM messages_out ORDER BY rowid DESC LIMIT :window"""  # noqa: S608

    rows = rows_with_heads(db, "messages_out", statement, {"window": window}, 7)
    return [
        OutboundRow(
            id=text(r[0]),
            seq=number(r[1]),
            kind=text(r[2]),
            timestamp=text(r[3]),
            deliver_after=optional(r[4]),
            channel=text(r[5]),
            reply_to=optional(r[6]),
            head=text(r[7]),
            size=number(r[8]) or 0,
            deliver_at=epoch(r[9]),
            addressed=bool(r[10]),
        )
        for r in rows
    ]
