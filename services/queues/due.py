"""Due, starved and scheduled rows of an inbound file, as the host counts them."""

from __future__ import annotations

from dataclasses import dataclass

import aiosqlite

from services.queues.acks import AckTracker
from services.queues.schema import FileSchema
from services.queues.values import epoch, number, optional, text

DUE_PREFETCH = 10
"""As many rows as a runner looks at in one poll (upstream/nanoclaw: Prompt batch)."""
_OLDEST_LOOKED_AT = 500


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
    waiting: int = 0
    """Due rows that no runner has answered for yet: what the next sweep wakes for."""
    waiting_since: float | None = None
    """When the oldest of those became due, seconds since the epoch."""
    next_at: float | None = None
    """When the next row falls due."""
    next_tries: int = 0
    """How often that row was reset before."""


async def read_due(
    db: aiosqlite.Connection,
    shape: FileSchema,
    now_text: str,
    acks: AckTracker,
    prefetch: int = DUE_PREFETCH,
) -> DueFacts:
    """What the host would find to do.

    See upstream/nanoclaw: Inbound labels; upstream/nanoclaw: Prompt batch.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    if not shape.has("messages_in"):
        return DueFacts()
    trigger = shape.column("messages_in", "trigger", "1")
    on_wake = shape.column("messages_in", "on_wake", "0")
    past = """status = 'pending' AND (process_after IS NULL OR lower(process_after) = 'now'
              OR datetime(process_after) <= :now)"""
    bound = {"now": now_text, "prefetch": prefetch, "some": _OLDEST_LOOKED_AT}
    rows = list(
        await db.execute_fetchall(
            f"""SELECT count(*), min(CASE WHEN kind = 'system' THEN timestamp END)
                FROM messages_in WHERE {past} AND {trigger} = 1""",  # noqa: S608
            bound,
        )
    )
    oldest = list(
        await db.execute_fetchall(
            f"""SELECT id, coalesce(strftime('%s', process_after), strftime('%s', timestamp))
                FROM messages_in WHERE {past} AND {trigger} = 1
                ORDER BY rowid LIMIT :some""",  # noqa: S608
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
    upcoming = list(
        await db.execute_fetchall(
            f"""SELECT strftime('%s', process_after), tries FROM messages_in
                WHERE status = 'pending' AND {trigger} = 1 AND lower(process_after) <> 'now'
                  AND datetime(process_after) > :now
                ORDER BY datetime(process_after) LIMIT 1""",  # noqa: S608
            bound,
        )
    )
    due = int(rows[0][0])
    answered = [_answered(acks, text(row[0])) for row in oldest]
    since = [epoch(row[1]) for row, over in zip(oldest, answered, strict=True) if not over]
    return DueFacts(
        due=due,
        starved=any(acks.find(text(row[0])) is None for row in hidden),
        oldest_response=optional(rows[0][1]),
        newest=next((optional(row[0]) for row in newest), None),
        waiting=due - sum(answered),
        waiting_since=min((at for at in since if at is not None), default=None),
        next_at=epoch(upcoming[0][0]) if upcoming else None,
        next_tries=(number(upcoming[0][1]) or 0) if upcoming else 0,
    )


def _answered(acks: AckTracker, message: str) -> bool:
    """The host's sweep copies this outcome before it counts what is due."""
    ack = acks.find(message)
    return ack is not None and ack.status != "processing"


async def read_tries(db: aiosqlite.Connection, shape: FileSchema, message: str) -> int:
    """How often the message was reset.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    if not shape.has("messages_in"):
        return 0
    rows = await db.execute_fetchall("SELECT tries FROM messages_in WHERE id = ?", (message,))
    return next((number(row[0]) or 0 for row in rows), 0)
