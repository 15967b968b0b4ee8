"""Notices in the history's file: claimed there before they are sent, kept until they are.

Of all watches that look at the same time one claims a notice. What was claimed by a process that
is gone is sent again, for nobody knows whether it was: none is lost, and that one may come twice.
All of this blocks: it runs in the thread of a connection.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.config.notify import NotifyTable, budget, is_quiet
from services.journal.rows import insert
from services.journal.tail import Position, newest, read_after
from services.lazy_dataclass import dataclass
from services.models import Event, Severity
from services.process.identity import ProcessId
from services.text.redact import redact_line
from services.watch.digest import About, Notice, compose, fold

GATHER_S = 4.0
"""What happens this soon after a first change is told with it."""
MOST = 5_000
"""Events that one notice speaks for; what is beyond is in the next."""
FIRST_RETRY_S, LONGEST_RETRY_S = 15.0, 900.0


@dataclass(frozen=True, slots=True)
class Claimed:
    """A notice that this process, and no other, is to send now."""

    number: int
    target: str
    notice: Notice
    tries: int
    """How often it was tried before."""


class Outbox:
    """The notices of one rule."""

    def __init__(
        self,
        name: str,
        table: NotifyTable,
        process: ProcessId,
        *,
        label: str = "",
        advice: Callable[[About], str] = lambda _: "",
    ) -> None:
        self.name = name
        self._table = table
        self._process = process
        self._label = label
        self._advice = advice

    def claim(self, db: sqlite3.Connection, now: float) -> Claimed | None:
        """The next notice to send, which is this process's own then; None where there is none."""
        with _transaction(db):
            row = db.execute(
                "SELECT number, ticks, sent FROM notice_targets WHERE target = ?", (self.name,)
            ).fetchone()
            if row is None:
                # The past before the first start is nobody's news.
                start = newest(db)
                db.execute(
                    "INSERT INTO notice_targets (target, number, ticks, sent) VALUES (?, ?, ?, '')",
                    (self.name, start.number, start.ticks),
                )
                return None
            unsent = self._unsent(db, now)
            if unsent is not None:
                return unsent[0]
            sent = self._recent(str(row[2]), now)
            if is_quiet(self._table, now) or len(sent) >= budget(self._table)[0]:
                return None
            return self._fresh(db, Position(int(row[0]), int(row[1])), sent, now)

    def finish(self, db: sqlite3.Connection, one: Claimed, problem: str, now: float) -> None:
        """Record that it was sent, or why it could not be and that it is tried again."""
        with _transaction(db):
            if not problem:
                db.execute("DELETE FROM notices WHERE id = ?", (one.number,))
                tries = f" at try {one.tries + 1}" if one.tries else ""
                said = f"notice to {self.name} sent{tries}: {one.notice.title}"
                insert(db, _event(now, Severity.INFO, said, "sent"), now)
                return
            wait = min(FIRST_RETRY_S * 2**one.tries, LONGEST_RETRY_S)
            db.execute(
                "UPDATE notices SET tries = tries + 1, due = ?, pid = NULL WHERE id = ?",
                (now + wait, one.number),
            )
            if not one.tries:
                said = f"notice to {self.name} not sent, tried again: {problem}"
                insert(db, _event(now, Severity.WORSE, said, "unsent"), now)

    def _unsent(self, db: sqlite3.Connection, now: float) -> tuple[Claimed | None] | None:
        """What was claimed earlier: to be sent again, or in other hands (None); nothing: None."""
        row = db.execute(
            "SELECT id, title, body, tries, due, pid, start_ticks, boot_id FROM notices"
            " WHERE target = ? ORDER BY id LIMIT 1",
            (self.name,),
        ).fetchone()
        if row is None:
            return None
        number, title, body, tries, due, pid, ticks, boot = row
        held = isinstance(pid, int) and ProcessId(pid, ticks, boot).alive()
        if held or (due > now and due - now <= LONGEST_RETRY_S):
            return (None,)
        if is_quiet(self._table, now):
            return (None,)
        self._own(db, number)
        return (Claimed(number, self.name, Notice(str(title), str(body)), int(tries)),)

    def _fresh(
        self, db: sqlite3.Connection, position: Position, sent: list[float], now: float
    ) -> Claimed | None:
        records = read_after(db, position, MOST)
        if not records.events and records.position == position:
            return None
        open_troubles: set[About] = {
            (source, kind, subject)
            for source, kind, subject in db.execute(
                "SELECT source, kind, subject FROM notice_troubles WHERE target = ?", (self.name,)
            )
        }
        events = [event for _, event in records.events]
        digest = fold(events, self._table, open_troubles)
        worth = digest.is_worth_telling(self._table, open_troubles)
        first = min(
            (one.at for one in (*digest.worse.values(), *digest.over.values())), default=now
        )
        if worth and 0 <= now - first < GATHER_S:
            return None
        db.execute(
            "UPDATE notice_targets SET number = ?, ticks = ?, sent = ? WHERE target = ?",
            (
                *(records.position.number, records.position.ticks),
                *(",".join(map(repr, [*sent, now] if worth else sent)), self.name),
            ),
        )
        left = digest.still_wrong(open_troubles)
        for key in open_troubles - left:
            db.execute(
                "DELETE FROM notice_troubles"
                " WHERE target = ? AND source = ? AND kind = ? AND subject = ?",
                (self.name, *key),
            )
        for key in left - open_troubles:
            db.execute(
                "INSERT OR IGNORE INTO notice_troubles VALUES (?, ?, ?, ?)", (self.name, *key)
            )
        if not worth:
            return None
        notice = compose(digest, open_troubles, self._advice, self._label)
        added = db.execute(
            "INSERT INTO notices (target, title, body, tries, due) VALUES (?, ?, ?, 0, ?)",
            (self.name, notice.title, notice.body, now),
        )
        assert added.lastrowid is not None
        self._own(db, added.lastrowid)
        return Claimed(added.lastrowid, self.name, notice, 0)

    def _own(self, db: sqlite3.Connection, number: int) -> None:
        mine = self._process
        db.execute(
            "UPDATE notices SET pid = ?, start_ticks = ?, boot_id = ? WHERE id = ?",
            (mine.pid, mine.start_ticks, mine.boot_id, number),
        )

    def _recent(self, sent: str, now: float) -> list[float]:
        """Instants of the notices that count against the budget now."""
        span = budget(self._table)[1]
        return [at for at in map(float, filter(None, sent.split(","))) if now - span < at <= now]


def _event(now: float, severity: Severity, text: str, after: str) -> Event:
    return Event(now, severity, "", "", "notice", redact_line(text), after=after)


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
