"""Following the journal in the order in which its records were written, from a kept position."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from services.files.sqlite import Connection
from services.journal.file import identity, open_to_read
from services.journal.rows import READABLE, from_row
from services.lazy_dataclass import dataclass
from services.models import Event

BATCH = 500
_COLUMNS = "id, at, severity, source, subject, kind, text, before, after"
_NEXT = f"SELECT {_COLUMNS} FROM events WHERE id > ? AND {READABLE} ORDER BY id LIMIT ?"  # noqa: S608
_FROM = f"SELECT min(id) FROM events WHERE at >= ? AND {READABLE}"  # noqa: S608
_TICKS = 1_000_000
_NO_NUMBER = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Position:
    """The last record that was taken: its number in the file, and its instant in microseconds.

    The instant tells whether the number still means that record.
    """

    number: int
    ticks: int

    def __str__(self) -> str:
        return f"{self.number}-{self.ticks}"

    @classmethod
    def of_instant(cls, at: float) -> Position:
        """A position in no file yet: what is not older than `at` (epoch) follows it."""
        return cls(_NO_NUMBER, _ticks(at))

    @classmethod
    def parse(cls, text: str) -> Position:
        """A position from its text.

        Raises:
            ValueError: it is none.
        """
        number, dash, ticks = text.strip().partition("-")
        if not (dash and number.isdecimal() and ticks.isdecimal() and len(text) <= 60):
            raise ValueError("a key is two numbers with a dash between")
        return cls(int(number), int(ticks))


BEGINNING = Position(0, 0)


@dataclass(frozen=True, slots=True)
class Records:
    """What was written after a position."""

    events: tuple[tuple[Position, Event], ...]
    position: Position
    moved: bool = False
    """The record of the position is not there any more: its instant was gone by instead."""


def read_after(db: sqlite3.Connection, position: Position, limit: int = BATCH) -> Records:
    """At most `limit` records written after a position, oldest first."""
    start, moved = position, False
    if position.number and _ticks_of(db, position.number) != position.ticks:
        start = position_at(db, position.ticks / _TICKS)
        moved = position.number != _NO_NUMBER
    rows = db.execute(_NEXT, (start.number, limit)).fetchall()
    events = tuple((Position(row[0], _ticks(row[1])), from_row(row[1:])) for row in rows)
    return Records(events, events[-1][0] if events else start, moved)


def newest(db: sqlite3.Connection) -> Position:
    """The position after all there is."""
    row = db.execute(f"SELECT id, at FROM events WHERE {READABLE} ORDER BY id DESC LIMIT 1")  # noqa: S608
    found = row.fetchone()
    return BEGINNING if found is None else Position(found[0], _ticks(found[1]))


def position_at(db: sqlite3.Connection, since: float) -> Position:
    """The position before the first record that is not older than `since` (epoch)."""
    first = db.execute(_FROM, (since,)).fetchone()[0]
    if first is None:
        return newest(db)
    row = db.execute(
        f"SELECT id, at FROM events WHERE id < ? AND {READABLE} ORDER BY id DESC LIMIT 1",  # noqa: S608
        (first,),
    ).fetchone()
    return BEGINNING if row is None else Position(row[0], _ticks(row[1]))


def _ticks_of(db: sqlite3.Connection, number: int) -> int | None:
    row = db.execute(f"SELECT at FROM events WHERE id = ? AND {READABLE}", (number,)).fetchone()  # noqa: S608
    return None if row is None else _ticks(row[0])


def _ticks(at: float) -> int:
    return max(0, round(at * _TICKS))


class JournalTail:
    """Reads on from a position; the file may be missing, replaced or locked for a while."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: Connection | None = None
        self._file: tuple[int, int] | None = None

    async def start(self, since: float | None) -> Position:
        """The position from which records of `since` (epoch) on follow; None: from now on.

        Raises:
            OSError, sqlite3.Error: the file cannot be read now.
        """
        if not await self._connected():
            return BEGINNING
        assert self._db is not None
        return await self._db.run(
            lambda db: newest(db) if since is None else position_at(db, since)
        )

    async def after(self, position: Position, limit: int = BATCH) -> Records:
        """What was written after a position.

        Raises:
            OSError, sqlite3.Error: the file cannot be read now; the position stays good.
        """
        if not await self._connected():
            return Records((), position)
        assert self._db is not None
        try:
            return await self._db.run(lambda db: read_after(db, position, limit))
        except sqlite3.Error:
            await self.close()
            raise

    async def close(self) -> None:
        """Let go of the file; it is opened again when it is asked."""
        db, self._db = self._db, None
        if db is not None:
            await db.close()

    async def _connected(self) -> bool:
        """Have the file that bears the name now; False where there is none."""
        found = identity(self._path)
        if self._db is not None and found != self._file:
            await self.close()
        if found is None:
            return False
        if self._db is None:
            self._db = await Connection(lambda: open_to_read(self._path)).open()
            self._file = found
        return True


def keyed(records: Records) -> Sequence[tuple[str, Event]]:
    """The events with the text of their position, by which a reader goes on later."""
    return [(str(position), event) for position, event in records.events]
