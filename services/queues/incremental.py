"""Incremental reading of long inbound files: settled rows once, open rows kept.

Upstream never prunes (upstream/nanoclaw: Nothing is pruned), and a settled row never opens again,
so a file with a million messages costs what its open and its new rows cost.
"""

from __future__ import annotations

import json

from services.queues.acks import AckTracker, chunks
from services.queues.bounds import STRIDE, read_bounds
from services.queues.fact_codes import code_sql, facts_of
from services.queues.inbound_counter import NO_ROWS, NONE_ENDED, InboundCounter, OpenRow
from services.queues.labels import ECHO, SCRIPT_ERROR
from services.queues.readonly import OpenFile
from services.queues.schema import FileSchema
from services.queues.values import epoch, number, optional, text

FEW = 500
"""New rows that are read one by one."""
_SETTLED = ("completed", "failed", "cancelled")


def read_stride(
    db: OpenFile,
    shape: FileSchema,
    counter: InboundCounter,
    now_text: str,
    acks: AckTracker,
) -> bool:
    """Read up to 20 000 new rows and what became of the open ones; False where there is more.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    first, last = read_bounds(db, "messages_in")
    if first != counter.first or last < counter.newest:
        counter.restart(first)
    if not _read_open(db, shape, counter, now_text, acks):
        counter.restart(first)
    until = min(last, max(counter.newest, first - 1) + STRIDE)
    if until - counter.newest <= FEW:
        _read_few(db, shape, counter, now_text, acks, until)
    else:
        _read_many(db, shape, counter, now_text, acks, until)
    counter.newest = max(counter.newest, until)
    return until >= last


def _columns(shape: FileSchema) -> str:
    series = shape.column("messages_in", "series_id", "id")
    channel = shape.column("messages_in", "channel_type", "NULL")
    return f"""rowid, id, seq, kind, status,
               CASE WHEN {channel} IS '{ECHO}' THEN NULL ELSE timestamp END,
               strftime('%s', timestamp), strftime('%s', process_after), tries,
               coalesce({series}, id), {code_sql(shape)}"""


def _row(cells: tuple[object, ...]) -> OpenRow:
    return OpenRow(
        row=int(str(cells[0])),
        id=text(cells[1]),
        seq=number(cells[2]),
        kind=text(cells[3]),
        status=text(cells[4]),
        stamp=optional(cells[5]),
        at=epoch(cells[6]),
        due_at=epoch(cells[7]),
        tries=number(cells[8]) or 0,
        series=text(cells[9]),
        facts=facts_of(int(str(cells[10]))),
    )


def _read_open(
    db: OpenFile,
    shape: FileSchema,
    counter: InboundCounter,
    now_text: str,
    acks: AckTracker,
) -> bool:
    """What became of the open rows; False where they are not the rows they were."""
    if not counter.open:
        return True
    known, left = counter.open, dict(counter.open)
    ended: list[OpenRow] = []
    for some in chunks([str(row) for row in known]):
        found = db.fetch(
            f"""SELECT {_columns(shape)} FROM messages_in
                WHERE rowid IN (SELECT value FROM json_each(:rows))""",  # noqa: S608
            {"rows": json.dumps([int(row) for row in some]), "now": now_text},
        )
        rows = [_row(cells) for cells in found]
        gone = {int(row) for row in some} - {row.row for row in rows}
        # The host takes away context rows of its own; of nothing else.
        if any(known[row].facts.wakes for row in gone) or any(
            known[row.row].id != row.id for row in rows
        ):
            return False
        for place in gone:
            del left[place]
        for row in rows:
            if row.status not in _SETTLED:
                left[row.row] = row
                continue
            del left[row.row]
            counter.settle(row, acks)
            if row.kind == "task" and row.status == "completed" and acks.find(row.id) is None:
                ended.append(row)
    counter.open = left or NO_ROWS
    if ended:
        _read_ended(db, shape, counter, ended)
    return True


def _read_ended(
    db: OpenFile, shape: FileSchema, counter: InboundCounter, ended: list[OpenRow]
) -> None:
    """Of the tasks that were completed, those that nothing follows in their series."""
    series = shape.column("messages_in", "series_id", "id")
    for some in chunks([row.series for row in ended]):
        found = db.fetch(
            f"""SELECT coalesce({series}, id), max(rowid) FROM messages_in WHERE kind = 'task'
                AND ({series} IN (SELECT value FROM json_each(:series))
                     OR id IN (SELECT value FROM json_each(:series)))
                GROUP BY 1""",  # noqa: S608
            {"series": json.dumps(some)},
        )
        last = {text(chain): int(row) for chain, row in found}
        now = {one.series: (one.row, one.id) for one in ended if last.get(one.series) == one.row}
        if now:
            counter.ended = {**counter.ended, **now}


def _read_few(
    db: OpenFile,
    shape: FileSchema,
    counter: InboundCounter,
    now_text: str,
    acks: AckTracker,
    until: int,
) -> None:
    """New rows one by one."""
    if until <= counter.newest:
        return
    found = db.fetch(
        f"""SELECT {_columns(shape)} FROM messages_in
            WHERE rowid > :from AND rowid <= :until ORDER BY rowid""",  # noqa: S608
        {"from": counter.newest, "until": until, "now": now_text},
    )
    fresh, ended = dict[int, OpenRow](), dict(counter.ended)
    for cells in found:
        row = _row(cells)
        counter.newest_stamp = row.stamp or counter.newest_stamp
        if row.status in _SETTLED:
            counter.settle(row, acks)
        else:
            fresh[row.row] = row
        if row.kind == "task":
            _follow_series(ended, acks, row.row, row.id, row.series, row.status)
    counter.ended = ended or NONE_ENDED
    if fresh:
        counter.open = {**counter.open, **fresh}


def _read_many(
    db: OpenFile,
    shape: FileSchema,
    counter: InboundCounter,
    now_text: str,
    acks: AckTracker,
    until: int,
) -> None:
    """A stride of a long file: settled rows are counted where they lie."""
    bound = {"from": counter.newest, "until": until, "now": now_text}
    span = "rowid > :from AND rowid <= :until"
    settled = "coalesce(status, '') IN ('completed', 'failed', 'cancelled')"
    for status, count in db.fetch(
        f"SELECT status, count(*) FROM messages_in WHERE {span} AND {settled} GROUP BY 1",  # noqa: S608
        bound,
    ):
        counter.count(text(status), int(count))
    skipped = [ack.message_id for ack in acks.special.values() if ack.status == SCRIPT_ERROR]
    for some in chunks(skipped):
        scripts = db.fetch(
            f"""SELECT count(*) FROM messages_in WHERE {span} AND status = 'failed'
                AND id IN (SELECT value FROM json_each(:ids))""",  # noqa: S608
            {**bound, "ids": json.dumps(some)},
        )
        counter.scripts += next(int(row[0]) for row in scripts)
    fresh: dict[int, OpenRow] = {}
    for cells in db.fetch(
        f"SELECT {_columns(shape)} FROM messages_in WHERE {span} AND NOT {settled}",  # noqa: S608
        bound,
    ):
        row = _row(cells)
        fresh[row.row] = row
    if fresh:
        counter.open = {**counter.open, **fresh}
    ended = dict(counter.ended)
    series = shape.column("messages_in", "series_id", "id")
    for place, message, chain, status in db.fetch(
        f"""SELECT rowid, id, coalesce({series}, id), status FROM messages_in
            WHERE {span} AND kind = 'task' ORDER BY rowid""",  # noqa: S608
        bound,
    ):
        _follow_series(ended, acks, int(place), text(message), text(chain), text(status))
    counter.ended = ended or NONE_ENDED
    channel = shape.column("messages_in", "channel_type", "NULL")
    newest = db.fetch(
        f"""SELECT timestamp FROM messages_in WHERE rowid <= ? AND {channel} IS NOT '{ECHO}'
            ORDER BY rowid DESC LIMIT 1""",  # noqa: S608
        (until,),
    )
    counter.newest_stamp = next((optional(row[0]) for row in newest), None)


def _follow_series(
    ended: dict[str, tuple[int, str]],
    acks: AckTracker,
    row: int,
    message: str,
    series: str,
    status: str,
) -> None:
    ended.pop(series, None)
    if status == "completed" and acks.find(message) is None:
        ended[series] = (row, message)
