"""The journal's tables: their shape, an event as a row and back, and the questions asked of them.

An earlier version reads and writes the same file: it knows neither `told` nor the second table.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from services.journal.transitions import LastRecord, is_news, is_transition
from services.lazy_dataclass import dataclass
from services.models import Event, Severity
from services.text.redact import redact
from services.text.sanitize import sanitize

APPLICATION_ID = 0x57414B45
VERSION = 1
SCHEMA = (
    "CREATE TABLE events (id INTEGER PRIMARY KEY, at REAL NOT NULL, severity TEXT NOT NULL,"
    " source TEXT NOT NULL, subject TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,"
    " before TEXT NOT NULL, after TEXT NOT NULL)",
    "CREATE INDEX events_at ON events (at)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {VERSION}",
)
READABLE = "at > -1e11 AND at < 1e11"
"""Text, blobs and infinities compare as greater than every instant."""
UNREADABLE = "SELECT count(*) FROM events WHERE at >= 1e11 OR at <= -1e11"
ADDITIONS = (
    "ALTER TABLE events ADD COLUMN told REAL",
    "CREATE INDEX IF NOT EXISTS events_subject ON events (source, subject, kind)",
    "CREATE TABLE IF NOT EXISTS attempts (pid INTEGER NOT NULL, start_ticks INTEGER NOT NULL,"
    " boot_id TEXT NOT NULL, attempt TEXT NOT NULL, source TEXT NOT NULL, subject TEXT NOT NULL,"
    " verb TEXT NOT NULL, began REAL NOT NULL, PRIMARY KEY (pid, start_ticks, boot_id, attempt))",
    "CREATE TABLE IF NOT EXISTS notices (id INTEGER PRIMARY KEY, target TEXT NOT NULL,"
    " title TEXT NOT NULL, body TEXT NOT NULL, tries INTEGER NOT NULL, due REAL NOT NULL,"
    " pid INTEGER, start_ticks INTEGER, boot_id TEXT)",
    "CREATE TABLE IF NOT EXISTS notice_targets (target TEXT PRIMARY KEY, number INTEGER NOT NULL,"
    " ticks INTEGER NOT NULL, sent TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS notice_troubles (target TEXT NOT NULL, source TEXT NOT NULL,"
    " kind TEXT NOT NULL, subject TEXT NOT NULL, PRIMARY KEY (target, source, kind, subject))",
)
"""What this version adds to a file of an earlier one."""
INSERT = (
    "INSERT INTO events (at, severity, source, subject, kind, text, before, after, told)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_LAST = (
    "SELECT after, at, told FROM events WHERE source = ? AND subject = ? AND kind = ?"
    " AND at > -1e11 AND at < 1e11 ORDER BY id DESC LIMIT 1"
)
_TOLD = (
    "SELECT 1 FROM events WHERE source = ? AND subject = ? AND kind = ? AND told = ?"
    " AND text = ? LIMIT 1"
)
LONGEST_TEXT = 400
_TEXT_COLUMNS = ("severity", "source", "subject", "kind", "text", "before", "after")
_TEXT_SQL = " || char(10) || ".join(_TEXT_COLUMNS)


def redacted(event: Event) -> Event:
    """The event without secrets."""
    text = redact(event.text)
    return event if text == event.text else replace(event, text=text)


def to_row(event: Event) -> tuple[Any, ...]:
    """The values of `INSERT`."""
    return (
        event.at,
        event.severity.value,
        event.source,
        event.subject,
        event.kind,
        event.text,
        event.before,
        event.after,
        event.told_at,
    )


def insert(db: sqlite3.Connection, event: Event, now: float) -> bool:
    """Record an event inside a transaction; False where what it tells is recorded already."""
    if is_transition(event):
        row = db.execute(_LAST, (event.source, event.subject, event.kind)).fetchone()
        last = None if row is None else LastRecord(_text(row[0]), float(row[1]), _instant(row[2]))
        if not is_news(event, last, now):
            return False
    elif event.told_at is not None:
        key = (event.source, event.subject, event.kind, event.told_at, event.text)
        if db.execute(_TOLD, key).fetchone() is not None:
            return False
    db.execute(INSERT, to_row(event))
    return True


def _instant(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _text(value: object) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return sanitize(text, LONGEST_TEXT)


def from_row(row: Sequence[Any]) -> Event:
    """An event from columns in the order of `INSERT`; whoever wrote the file, it is harmless."""
    try:
        severity = Severity(row[1])
    except ValueError:
        severity = Severity.INFO
    source, subject, kind, text, before, after = (_text(v) for v in row[2:8])
    return Event(float(row[0]), severity, source, subject, kind, text, before, after)


def _event_text(event: Event) -> str:
    return "\n".join((event.severity.value, *(getattr(event, name) for name in _TEXT_COLUMNS[1:])))


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Filter of a query; None matches all. `since` is an epoch instant, inclusive."""

    limit: int
    subject: str | None = None
    source: str | None = None
    since: float | None = None
    text: str | None = None
    """Part of anything an event says, whatever its case."""
    about: str | None = None
    """A subject as an operator types it: its id, or `source/id`."""

    def sql(self) -> tuple[str, list[Any]]:
        """The query and its parameters; newest first."""
        where = [READABLE]
        values: list[Any] = []
        for column, value in (("subject", self.subject), ("source", self.source)):
            if value is not None:
                where.append(f"{column} = ?")
                values.append(value)
        if self.since is not None:
            where.append("at >= ?")
            values.append(self.since)
        if self.text:
            where.append(f"instr(lower({_TEXT_SQL}), ?) > 0")
            values.append(self.text.lower())
        if self.about is not None:
            where.append("(subject = ? OR source || '/' || subject = ?)")
            values += [self.about] * 2
        query = (
            "SELECT at, severity, source, subject, kind, text, before, after FROM events"  # noqa: S608
            f" WHERE {' AND '.join(where)} ORDER BY at DESC, id DESC LIMIT ?"
        )
        return query, [*values, self.limit]

    def matches(self, event: Event) -> bool:
        """The same judgement on an event that is not in the file yet."""
        needle = (self.text or "").lower()
        return (
            self.subject in (None, event.subject)
            and self.source in (None, event.source)
            and (self.since is None or event.at >= self.since)
            and self.about in (None, event.subject, f"{event.source}/{event.subject}")
            and needle in _event_text(event).lower()
        )

    def newest(self, waiting: Iterable[Event], kept: Iterable[Event]) -> tuple[Event, ...]:
        """The answer from what waits to be written (oldest first) and what the file gave."""
        found = [event for event in waiting if self.matches(event)][::-1]
        found += kept
        found.sort(key=lambda event: event.at, reverse=True)
        return tuple(found[: self.limit])


def read(db: sqlite3.Connection, query: EventQuery) -> tuple[list[Event], int]:
    """What fits, newest first, and how many records of the file cannot be read."""
    events = [from_row(row) for row in db.execute(*query.sql())]
    return events, int(db.execute(UNREADABLE).fetchone()[0])
