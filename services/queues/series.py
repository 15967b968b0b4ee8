"""Scheduled work of a session, one entry a series (upstream/nanoclaw: Scheduled work)."""

from __future__ import annotations

import json
from collections.abc import Sequence

from services.lazy_dataclass import dataclass
from services.queues.content_heads import rows_with_heads
from services.queues.preview import preview
from services.queues.readonly import OpenFile
from services.queues.schema import FileSchema
from services.queues.values import epoch, number, text
from services.text.sanitize import sanitize

MOST = 40
_ID, _CRON = 80, 60


@dataclass(frozen=True, slots=True)
class Series:
    """One task, or one chain of recurrences, that is still to come; harmless text."""

    id: str
    text: str
    next_at: float | None
    """Seconds since the epoch; None where SQLite cannot read the date."""
    recurrence: str
    """Cron as the file spells it; empty for a single task."""
    paused: bool


def read_series(
    db: OpenFile, shape: FileSchema, among: Sequence[int] | None = None
) -> tuple[Series, ...]:
    """What is scheduled and not done, soonest first, at most 40; only `among` those row numbers.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    if not shape.has("messages_in"):
        return ()
    series = shape.column("messages_in", "series_id", "id")
    chosen = "" if among is None else "AND rowid IN (SELECT value FROM json_each(:among))"

    def statement(head: str, size: str) -> str:
        return f"""SELECT coalesce({series}, id), {head}, {size}, strftime('%s', process_after),
                          recurrence, status
                   FROM messages_in
                   WHERE kind = 'task' AND status IN ('pending', 'paused') {chosen}
                   ORDER BY datetime(process_after), rowid LIMIT :most"""  # noqa: S608

    bound = {"most": MOST, "among": json.dumps(among)}
    rows = rows_with_heads(db, "messages_in", statement, bound, 1)
    return tuple(
        Series(
            id=sanitize(text(row[0]), _ID),
            text=preview(text(row[1]), number(row[2]) or 0),
            next_at=epoch(row[3]),
            recurrence=sanitize(text(row[4]), _CRON),
            paused=text(row[5]) == "paused",
        )
        for row in rows
    )
