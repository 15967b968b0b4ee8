"""Attempts that have begun: what a panel that is killed leaves behind, for the next one to end."""

from __future__ import annotations

import sqlite3

from services.journal.rows import insert
from services.lazy_dataclass import dataclass
from services.models import Attempt, Event, Severity
from services.process.identity import ProcessId
from services.text.sanitize import sanitize

LOST = "lost"
"""The state after an attempt nobody saw the end of."""


@dataclass(frozen=True, slots=True)
class BegunAttempt:
    """An attempt under way, and the process that makes it."""

    attempt: Attempt
    process: ProcessId

    def write(self, db: sqlite3.Connection) -> None:
        """Keep it, inside a transaction; once more changes nothing."""
        one, process = self.attempt, self.process
        db.execute(
            "INSERT OR IGNORE INTO attempts"
            " (pid, start_ticks, boot_id, attempt, source, subject, verb, began)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(process.pid, process.start_ticks, process.boot_id, one.id),
                *(one.sandbox.source, one.sandbox.native_id, one.act or one.verb.value),
                one.started_at,
            ),
        )


@dataclass(frozen=True, slots=True)
class EndedAttempt:
    """The end of an attempt, and how it reads in the history."""

    attempt_id: str
    process: ProcessId | None
    event: Event

    def write(self, db: sqlite3.Connection, now: float) -> None:
        """Record the end and forget the beginning, inside a transaction."""
        if self.process is not None:
            process = self.process
            db.execute(
                "DELETE FROM attempts"
                " WHERE pid = ? AND start_ticks = ? AND boot_id = ? AND attempt = ?",
                (process.pid, process.start_ticks, process.boot_id, self.attempt_id),
            )
        insert(db, self.event, now)


def end_abandoned(db: sqlite3.Connection, now: float) -> tuple[Event, ...]:
    """End in the history what was begun by processes that are gone; what was recorded.

    Of all panels that look at the same time, one records it.
    """
    ended = []
    for row in db.execute(
        "SELECT rowid, pid, start_ticks, boot_id, source, subject, verb FROM attempts"
    ).fetchall():
        number, pid, ticks, boot, source, subject, verb = row
        if isinstance(pid, int) and ProcessId(pid, ticks, boot).alive():
            continue
        event = Event(
            now,
            Severity.WORSE,
            str(source),
            str(subject),
            "attempt",
            f"{sanitize(str(verb), 40)}: its panel went away before it ended; how far it came is"
            " not known",
            after=LOST,
        )
        db.execute("BEGIN IMMEDIATE")
        try:
            if db.execute("DELETE FROM attempts WHERE rowid = ?", (number,)).rowcount:
                insert(db, event, now)
                ended.append(event)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
    return tuple(ended)
