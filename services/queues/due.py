"""What the host would find to do in an inbound file, and what it would trip over."""

from __future__ import annotations

from dataclasses import dataclass

import aiosqlite

from services.queues.ledgers import AckLedger
from services.queues.schema import Shape
from services.queues.values import optional, text

DUE_PREFETCH = 10
"""As many rows as a runner looks at in one poll (nanoclaw contract §4.2)."""


@dataclass(frozen=True, slots=True)
class DueFacts:
    """What the host would find to do."""

    due: int = 0
    """The host's own count, which looks neither at acknowledgements nor at kinds."""
    starved: bool = False
    """A due row has so many newer ones in front that a runner never sees it."""
    oldest_response: str | None = None
    """Timestamp of the oldest answer that nobody took."""
    newest: str | None = None
    """Timestamp of the newest row."""


async def read_due(
    db: aiosqlite.Connection, shape: Shape, now_text: str, acks: AckLedger
) -> DueFacts:
    """What the host would find to do (nanoclaw contract §4.1, §4.2).

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    if not shape.has("messages_in"):
        return DueFacts()
    trigger = shape.column("messages_in", "trigger", "1")
    on_wake = shape.column("messages_in", "on_wake", "0")
    past = """status = 'pending' AND (process_after IS NULL OR lower(process_after) = 'now'
              OR datetime(process_after) <= :now)"""
    bound = {"now": now_text, "prefetch": DUE_PREFETCH}
    rows = list(
        await db.execute_fetchall(
            f"""SELECT count(*), min(CASE WHEN kind = 'system' THEN timestamp END)
                FROM messages_in WHERE {past} AND {trigger} = 1""",  # noqa: S608
            bound,
        )
    )
    hidden = await db.execute_fetchall(
        f"""SELECT id FROM messages_in
            WHERE {past} AND {trigger} <> 0 AND {on_wake} <> 1 AND kind <> 'system'
              AND seq < (SELECT min(seq) FROM (SELECT seq FROM messages_in WHERE {past}
                         ORDER BY seq DESC LIMIT :prefetch))""",  # noqa: S608
        bound,
    )
    newest = await db.execute_fetchall(
        "SELECT timestamp FROM messages_in ORDER BY rowid DESC LIMIT 1"
    )
    return DueFacts(
        due=int(rows[0][0]),
        starved=any(acks.find(text(row[0])) is None for row in hidden),
        oldest_response=optional(rows[0][1]),
        newest=next((optional(row[0]) for row in newest), None),
    )
