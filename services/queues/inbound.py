"""Reading `inbound.db`: what was posted to the agent, and what became of its answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from services.lazy_dataclass import dataclass
from services.models import InLabel
from services.queues.acks import Delivery, chunks
from services.queues.content_heads import rows_with_heads
from services.queues.fact_codes import code_sql, facts_of
from services.queues.labels import InboundFacts, inbound_label
from services.queues.readonly import OpenFile
from services.queues.schema import FileSchema
from services.queues.values import epoch, number, text


@dataclass(frozen=True, slots=True)
class InboundRow:
    """One messages_in row of the page; text as the file has it."""

    id: str
    seq: int | None
    kind: str
    timestamp: str
    channel: str
    tries: int
    head: str
    size: int
    due_at: float | None
    """What SQLite makes of `process_after`, seconds since the epoch."""
    facts: InboundFacts
    """Without the acknowledgement."""
    status: str = ""


def label_row(
    facts: InboundFacts, ack: str, alive: bool | None, *, abandoned: bool = False
) -> InLabel:
    """The label of a row with its acknowledgement."""
    return inbound_label(replace(facts, ack=ack, abandoned=abandoned), alive=alive)


def read_page(db: OpenFile, shape: FileSchema, window: int, now_text: str) -> list[InboundRow]:
    """The newest `window` rows, newest first.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    if not shape.has("messages_in"):
        return []
    code = code_sql(shape)

    def statement(head: str, size: str) -> str:
        return f"""SELECT id, seq, kind, timestamp, channel_type, tries, {head}, {size},
                          strftime('%s', process_after), {code}, status
                   FROM messages_in ORDER BY rowid DESC LIMIT :window"""  # noqa: S608

    bound = {"window": window, "now": now_text}
    rows = rows_with_heads(db, "messages_in", statement, bound, 6)
    return [
        InboundRow(
            id=text(r[0]),
            seq=number(r[1]),
            kind=text(r[2]),
            timestamp=text(r[3]),
            channel=text(r[4]),
            tries=number(r[5]) or 0,
            head=text(r[6]),
            size=number(r[7]) or 0,
            due_at=epoch(r[8]),
            facts=facts_of(int(str(r[9]))),
            status=text(r[10]),
        )
        for r in rows
    ]


def read_deliveries(db: OpenFile, shape: FileSchema, ids: Sequence[str]) -> dict[str, Delivery]:
    """What became of the named messages_out rows, as far as anything did.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    found: dict[str, Delivery] = {}
    if not shape.has("delivered"):
        return found
    status = shape.column("delivered", "status", "'delivered'")
    platform = shape.column("delivered", "platform_message_id", "NULL")
    for some in chunks(ids):
        rows = db.fetch(
            f"""SELECT message_out_id, {status}, {platform} IS NOT NULL, delivered_at
                FROM delivered WHERE message_out_id IN (SELECT value FROM json_each(?))""",  # noqa: S608
            (json.dumps(some),),
        )
        found.update((text(r[0]), Delivery(text(r[1]), bool(r[2]), text(r[3]))) for r in rows)
    return found
