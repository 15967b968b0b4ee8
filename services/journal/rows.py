"""The journal's table: its shape, an event as a row and back, and the questions asked of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

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
INSERT = (
    "INSERT INTO events (at, severity, source, subject, kind, text, before, after)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
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
    )


def from_row(row: Sequence[Any]) -> Event:
    """An event from columns in the order of `INSERT`; whoever wrote the file, it is harmless."""
    try:
        severity = Severity(row[1])
    except ValueError:
        severity = Severity.INFO
    source, subject, kind, text, before, after = (sanitize(str(v), LONGEST_TEXT) for v in row[2:8])
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
        where: list[str] = []
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
        clause = f" WHERE {' AND '.join(where)}" if where else ""
        query = (
            "SELECT at, severity, source, subject, kind, text, before, after FROM events"  # noqa: S608
            f"{clause} ORDER BY at DESC, id DESC LIMIT ?"
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
