"""Brings back what can be read of a damaged journal, page by page: no structure has to be whole.

See upstream/sqlite: Table leaf pages.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from services.clock import Clock
from services.files.sqlite import Connection
from services.journal.file import LARGEST_COPY, open_to_write, set_aside_names
from services.journal.rows import INSERT, from_row, redacted, to_row
from services.journal.writing import prune
from services.lazy_dataclass import dataclass
from services.models import Event, Severity

_LEAF = 0x0D
_PAGE_SIZES = (4096, 512, 1024, 2048, 8192, 16_384, 32_768, 65_536)
_WAL_HEADER, _FRAME_HEADER = 32, 24
_COLUMNS = (9, 10)
"""Of an event, without and with the column this version added."""
_SEVERITIES = frozenset(one.value for one in Severity)
_LATEST = 1e11
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What came of bringing back one file."""

    name: str
    found: int
    added: int
    """How many of them the journal did not have."""
    missing: int
    """How many records there were between the first and the last that was found, and are not."""


async def bring_back(path: Path, clock: Clock) -> tuple[Salvaged, ...]:
    """Bring back every damaged journal that was set aside, this one too if it is damaged now.

    Raises:
        UnusableError, OSError, sqlite3.Error: there is no journal to write to now.
    """
    now = clock.now()
    results: list[Salvaged] = []

    def work() -> sqlite3.Connection:
        db = open_to_write(path, now).db
        try:
            for aside in set_aside_names(path):
                results.append(_bring_back_one(db, aside))
            prune(db, now)
        except BaseException:
            db.close()
            raise
        return db

    async with Connection(work):
        return tuple(results)


def _bring_back_one(db: sqlite3.Connection, aside: Path) -> Salvaged:
    found = read_pages(aside)
    events = [redacted(event) for _, event in sorted(found.items())]
    db.execute("BEGIN IMMEDIATE")
    try:
        kept = {
            to_row(from_row(row))
            for row in db.execute(
                "SELECT at, severity, source, subject, kind, text, before, after FROM events"
                " WHERE at > -1e11 AND at < 1e11"
            )
        }
        new = [event for event in events if to_row(event) not in kept]
        # Before everything there is: what was recorded last of a subject stays the last.
        first = db.execute("SELECT coalesce(min(id), 1) FROM events").fetchone()[0] - len(new)
        statement = INSERT.replace("(at,", "(id, at,").replace("VALUES (", "VALUES (?, ")
        db.executemany(statement, ((first + at, *to_row(one)) for at, one in enumerate(new)))
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    for ending in ("", "-wal", "-shm"):
        part = aside.with_name(aside.name + ending)
        with suppress(FileNotFoundError):
            part.rename(part.with_name(part.name.replace(".damaged-", ".brought-back-", 1)))
    missing = max(found) - min(found) + 1 - len(found) if found else 0
    return Salvaged(aside.name, len(found), len(new), missing)


def read_pages(path: Path) -> dict[int, Event]:
    """Every event found in a file and in its log, by its number.

    Raises:
        OSError: it cannot be read.
    """
    raw = _bytes(path)
    log = _bytes(path.with_name(f"{path.name}-wal"))
    found: dict[int, Event] = {}
    size = _page_size(raw, log)
    for page in _pages(raw, log, size):
        for number, values in _rows(page):
            event = _event(values)
            if event is not None:
                found[number] = event
    return found


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > LARGEST_COPY:
                raise OSError(f"{path.name} is larger than a journal can be")
            return file.read()
    except FileNotFoundError:
        return b""


def _page_size(raw: bytes, log: bytes) -> int:
    told = int.from_bytes(raw[16:18], "big")
    wal = int.from_bytes(log[8:12], "big")
    for size in (65_536 if told == 1 else told, wal):
        if size in _PAGE_SIZES:
            return size
    return _PAGE_SIZES[0]


def _pages(raw: bytes, log: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(raw), size):
        yield raw[at : at + size].ljust(size, b"\0")
    for at in range(_WAL_HEADER + _FRAME_HEADER, len(log), size + _FRAME_HEADER):
        yield log[at : at + size].ljust(size, b"\0")


def _rows(page: bytes) -> Iterator[tuple[int, list[object]]]:
    if page[0] != _LEAF:
        return
    count = int.from_bytes(page[3:5], "big")
    for number in range(min(count, (len(page) - 8) // 2)):
        at = int.from_bytes(page[8 + 2 * number : 10 + 2 * number], "big")
        with suppress(IndexError, struct.error):
            length, at = _varint(page, at)
            rowid, at = _varint(page, at)
            if rowid < 1 << 62:
                yield rowid, _record(page[at : at + length])


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for number in range(9):
        byte = data[at + number]
        if number == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + number + 1
    raise IndexError


def _record(data: bytes) -> list[object]:
    length, at = _varint(data, 0)
    kinds: list[int] = []
    while at < length and len(kinds) <= max(_COLUMNS):
        kind, at = _varint(data, at)
        kinds.append(kind)
    values: list[object] = []
    at = length
    for kind in kinds:
        if kind in _INTEGERS:
            width = _INTEGERS[kind]
            values.append(int.from_bytes(data[at : at + width], "big", signed=True))
        elif kind == 7:
            width = 8
            values.append(struct.unpack(">d", data[at : at + 8])[0])
        elif kind in (8, 9):
            width = 0
            values.append(kind - 8)
        elif kind >= 13 and kind % 2:
            width = (kind - 13) // 2
            values.append(data[at : at + width].decode("utf-8", "replace"))
        else:
            width = 0 if kind < 12 else (kind - 12) // 2
            values.append(None)
        at += width
    return values


def _event(values: Sequence[object]) -> Event | None:
    if len(values) not in _COLUMNS or values[0] is not None:
        return None
    at, texts = values[1], values[2:9]
    if not isinstance(at, int | float) or not -_LATEST < at < _LATEST:
        return None
    if texts[0] not in _SEVERITIES or not all(isinstance(one, str) for one in texts):
        return None
    return from_row(values[1:9])
