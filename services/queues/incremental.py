"""Incremental counts of long inbound files: settled rows once, open rows kept.

Upstream never prunes (upstream/nanoclaw: Nothing is pruned), and a settled row never opens again,
so a file with a million messages costs what its open and its new rows cost.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from services.models import InLabel
from services.queues.acks import AckTracker, chunks
from services.queues.bounds import STRIDE, read_bounds
from services.queues.due import RULES, DueFacts, QueueRules
from services.queues.fact_codes import code_sql, facts_of
from services.queues.inbound import label_row
from services.queues.labels import SCRIPT_ERROR, DueState, InboundFacts
from services.queues.readonly import OpenFile
from services.queues.schema import FileSchema
from services.queues.values import epoch, number, optional, text

FEW = 500
"""New rows that are read one by one."""
_SETTLED = ("completed", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class OpenRow:
    """One row that can still change its label."""

    row: int
    id: str
    seq: int | None
    kind: str
    status: str
    stamp: str | None
    at: float | None
    due_at: float | None
    tries: int
    series: str
    facts: InboundFacts

    @property
    def is_due(self) -> bool:
        """Whether the host would look at it now."""
        return self.status == "pending" and self.facts.due_state is DueState.DUE


# Of ten thousand sessions most have nothing here: one empty value for all of them.
_NO_ROWS: Mapping[int, OpenRow] = MappingProxyType({})
_NONE_ENDED: Mapping[str, tuple[int, str]] = MappingProxyType({})


@dataclass(slots=True)
class InboundCounter:
    """One file as far as it was read."""

    first: int = 0
    """Number of its first row: another one means that rows were taken away."""
    newest: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    scripts: int = 0
    """Of the failed ones, those whose own script failed."""
    open: Mapping[int, OpenRow] = field(default_factory=lambda: _NO_ROWS)
    ended: Mapping[str, tuple[int, str]] = field(default_factory=lambda: _NONE_ENDED)
    """Series to the completed task that ended it, where nobody is known to have done it."""
    newest_stamp: str | None = None

    def restart(self, first: int) -> None:
        """Forget everything: the file is not the one that was read."""
        self.first, self.newest, self.newest_stamp = first, 0, None
        self.completed = self.failed = self.cancelled = self.scripts = 0
        self.open, self.ended = _NO_ROWS, _NONE_ENDED

    def ids(self) -> list[str]:
        """Messages whose acknowledgement matters."""
        return [*(row.id for row in self.open.values()), *self.abandoned()]

    def abandoned(self) -> list[str]:
        """Tasks that nobody did and nothing follows."""
        return [message for _, message in self.ended.values()]

    def done(self, acknowledged: Iterable[str]) -> None:
        """Those tasks were done and not cancelled."""
        known = set(acknowledged)
        ended = {series: one for series, one in self.ended.items() if one[1] not in known}
        self.ended = ended or _NONE_ENDED

    def counts(self, acks: AckTracker, *, alive: bool | None) -> Mapping[InLabel, int]:
        """Every row by label."""
        ended = len(self.ended)
        counts = {
            InLabel.COMPLETED: self.completed - ended,
            InLabel.CANCELLED: ended + self.cancelled,
            InLabel.FAILED: self.failed - self.scripts,
            InLabel.SCRIPT_FAILED: self.scripts,
        }
        for row in self.open.values():
            ack = acks.find(row.id)
            label = label_row(row.facts, ack.status if ack else "", alive)
            counts[label] = counts.get(label, 0) + 1
        return counts

    def due(self, acks: AckTracker, now: float, rules: QueueRules = RULES) -> DueFacts:
        """What the host would find to do.

        See upstream/nanoclaw: Inbound labels; upstream/nanoclaw: Prompt batch.
        """
        if not self.open:
            return DueFacts(newest=self.newest_stamp)
        is_due = [row for row in self.open.values() if row.is_due]
        due = [row for row in is_due if row.facts.wakes]
        waiting = [row for row in due if not _answered(acks, row.id)]
        since = [at for row in waiting if (at := row.due_at or row.at) is not None]
        later = [
            row
            for row in self.open.values()
            if row.status == "pending" and row.facts.due_state is DueState.LATER and row.facts.wakes
        ]
        upcoming = min(later, key=lambda row: row.due_at or now, default=None)
        return DueFacts(
            due=len(due),
            starved=_starved(is_due, acks, rules),
            order_unknown=rules.oldest_first is None and len(is_due) > rules.prefetch,
            oldest_response=min(
                (row.stamp for row in due if row.kind == "system" and row.stamp), default=None
            ),
            newest=self.newest_stamp,
            waiting=len(waiting),
            waiting_since=min(since, default=None),
            next_at=None if upcoming is None else upcoming.due_at,
            next_tries=0 if upcoming is None else upcoming.tries,
        )

    def settle(self, row: OpenRow, acks: AckTracker) -> None:
        """Count a row that will not change any more."""
        self.count(row.status, 1)
        ack = acks.find(row.id) if row.status == "failed" else None
        if ack is not None and ack.status == SCRIPT_ERROR:
            self.scripts += 1

    def count(self, status: str, more: int) -> None:
        """Count rows of a status that is final."""
        match status:
            case "completed":
                self.completed += more
            case "failed":
                self.failed += more
            case _:
                self.cancelled += more

    def tries(self, message: str) -> int:
        """How often an open message was reset."""
        return next((row.tries for row in self.open.values() if row.id == message), 0)


def _answered(acks: AckTracker, message: str) -> bool:
    ack = acks.find(message)
    return ack is not None and ack.status != "processing"


def _starved(is_due: list[OpenRow], acks: AckTracker, rules: QueueRules) -> bool:
    """Whether a due row is never seen by a runner (upstream/nanoclaw: Prompt batch)."""
    if rules.oldest_first is None:
        return False
    if not rules.oldest_first:
        hidden = _behind_newer(is_due, rules.prefetch)
        return any(acks.find(row.id) is None for row in hidden)
    takes = sorted(
        (
            (row.seq, row.kind)
            for row in is_due
            if row.facts.wakes
            and not row.facts.on_wake
            and row.seq is not None
            and acks.find(row.id) is None
        ),
        key=lambda entry: entry[0],
    )
    first = takes[: rules.prefetch]
    full = len(first) == rules.prefetch
    return full and all(kind == "system" for _, kind in first) and _any_user(takes)


def _any_user(takes: list[tuple[int, str]]) -> bool:
    return any(kind != "system" for _, kind in takes)


def _behind_newer(is_due: list[OpenRow], prefetch: int) -> Iterator[OpenRow]:
    """Due rows that so many newer ones stand in front of."""
    numbered = sorted((row.seq for row in is_due if row.seq is not None), reverse=True)
    if len(numbered) <= prefetch:
        return
    last = numbered[prefetch - 1]
    for row in is_due:
        wanted = row.facts.wakes and not row.facts.on_wake and row.kind != "system"
        if wanted and row.seq is not None and row.seq < last:
            yield row


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
    return f"""rowid, id, seq, kind, status, timestamp, strftime('%s', timestamp),
               strftime('%s', process_after), tries, coalesce({series}, id), {code_sql(shape)}"""


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
    counter.open = left or _NO_ROWS
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
        counter.newest_stamp = row.stamp
        if row.status in _SETTLED:
            counter.settle(row, acks)
        else:
            fresh[row.row] = row
        if row.kind == "task":
            _follow_series(ended, acks, row.row, row.id, row.series, row.status)
    counter.ended = ended or _NONE_ENDED
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
    counter.ended = ended or _NONE_ENDED
    newest = db.fetch(
        "SELECT timestamp FROM messages_in WHERE rowid <= ? ORDER BY rowid DESC LIMIT 1", (until,)
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
