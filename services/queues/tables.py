"""Whole tables of a foreign SQLite file as records: what a file lacks reads as nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

import aiosqlite

from services.process.child import run_to_completion
from services.queues.readonly import open_readonly
from services.queues.schema import SchemaCache

Record: TypeAlias = Mapping[str, object]
"""Column to cell; None for NULL and for a column the file does not have."""

LONGEST_CELL = 512
"""Characters of a cell that are read."""
MOST_ROWS = 100_000


T = TypeVar("T")


class CachedTable(Generic[T]):
    """A table of very many rows: the record made of a row is cached while the row stays."""

    def __init__(self, table: str, make: Callable[[Record], T]) -> None:
        """`make` gets a record of text cells, each None for NULL."""
        self.table = table
        self._make = make
        self._made: dict[tuple[object, ...], T] = {}

    @property
    def rows(self) -> Sequence[T]:
        """As of the last reading, in table order; a row that is there twice counts once."""
        return list(self._made.values())

    def take(self, columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
        """These are its rows now."""
        known, make = self._made.get, self._make
        made: dict[tuple[object, ...], T] = {}
        for row in rows:
            kept = known(row)
            made[row] = make(dict(zip(columns, row, strict=True))) if kept is None else kept
        self._made = made


async def read_tables(
    path: Path,
    wanted: Mapping[str, Sequence[str]],
    shapes: SchemaCache,
    long: CachedTable[T] | None = None,
) -> dict[str, list[Record]]:
    """The named columns of the named tables; one that is not there is left out.

    Names of tables and columns are ours, never data. The rows of a `long` table go there.

    Raises:
        QueueFileError: the file cannot be opened or read.
    """
    return await run_to_completion(_read(path, wanted, shapes, long))


async def _read(
    path: Path,
    wanted: Mapping[str, Sequence[str]],
    shapes: SchemaCache,
    long: CachedTable[T] | None,
) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    async with open_readonly(path) as db:
        shape = await shapes.of(db, path)
        for table, columns in wanted.items():
            here = shape.has(table)
            if long is not None and table == long.table:
                cells = ", ".join(_text(shape.column(table, name, "NULL")) for name in columns)
                rows = await _rows(db, cells, table) if here else []
                long.take(columns, [tuple(row) for row in rows])
                continue
            if not here:
                continue
            cells = ", ".join(_cell(shape.column(table, name, "NULL")) for name in columns)
            rows = await _rows(db, cells, table)
            found[table] = [dict(zip(columns, row, strict=True)) for row in rows]
    return found


async def _rows(db: aiosqlite.Connection, cells: str, table: str) -> Iterable[aiosqlite.Row]:
    statement = f"SELECT {cells} FROM {table} LIMIT ?"  # noqa: S608
    return await db.execute_fetchall(statement, (MOST_ROWS,))


def _text(column: str) -> str:
    return f"substr({column}, 1, {LONGEST_CELL})"


def _cell(column: str) -> str:
    long = f"typeof({column}) IN ('text', 'blob')"
    return f"CASE WHEN {long} THEN substr({column}, 1, {LONGEST_CELL}) ELSE {column} END"
