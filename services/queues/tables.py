"""Whole tables of a foreign SQLite file as records: what a file lacks reads as nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Generic, TypeAlias, TypeVar

from services.queues.readonly import OpenFile, in_thread, open_readonly
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
        self._made: dict[object, tuple[tuple[object, ...], T]] = {}
        """The first cell, which names a row, to the row and what was made of it."""

    @property
    def rows(self) -> Sequence[T]:
        """As of the last reading, in table order; a name that is there twice counts once."""
        return [made for _, made in self._made.values()]

    def take(self, columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
        """These are its rows now."""
        known, make = self._made.get, self._make
        made: dict[object, tuple[tuple[object, ...], T]] = {}
        # Very many rows name the same few groups, chats and states: one text for each.
        same: dict[object, object] = {}
        for row in rows:
            kept = known(row[0])
            if kept is None or kept[0] != row:
                cells = tuple([same.setdefault(cell, cell) for cell in row])
                kept = cells, make(dict(zip(columns, cells, strict=True)))
            made[kept[0][0]] = kept
        self._made = made


async def read_tables(
    path: Path,
    wanted: Mapping[str, Sequence[str]],
    shapes: SchemaCache,
    long: CachedTable[T] | None = None,
    unset: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, list[Record]]:
    """The named columns of the named tables; one that is not there is left out.

    Names of tables and columns are ours, never data. The rows of a `long` table go there. Of a
    table in `unset` only the rows that have nothing in that column are read.

    Raises:
        QueueFileError: the file cannot be opened or read.
    """
    return await in_thread(_read, path, wanted, shapes, long, unset)


def _read(
    path: Path,
    wanted: Mapping[str, Sequence[str]],
    shapes: SchemaCache,
    long: CachedTable[T] | None,
    unset: Mapping[str, str],
) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    with open_readonly(path) as db:
        shape = shapes.of(db)
        for table, columns in wanted.items():
            here = shape.has(table)
            if long is not None and table == long.table:
                cells = ", ".join(_text(shape.column(table, name, "NULL")) for name in columns)
                rows = _rows(db, cells, table) if here else []
                long.take(columns, rows)
                continue
            if not here:
                continue
            cells = ", ".join(_cell(shape.column(table, name, "NULL")) for name in columns)
            where = (
                f"{shape.column(table, unset[table], 'NULL')} IS NULL" if table in unset else "1"
            )
            rows = _rows(db, cells, f"{table} WHERE {where}")
            found[table] = [dict(zip(columns, row, strict=True)) for row in rows]
    return found


def _rows(db: OpenFile, cells: str, table: str) -> list[tuple[object, ...]]:
    statement = f"SELECT {cells} FROM {table} LIMIT ?"  # noqa: S608
    return db.fetch(statement, (MOST_ROWS,))


def _text(column: str) -> str:
    return f"substr({column}, 1, {LONGEST_CELL})"


def _cell(column: str) -> str:
    long = f"typeof({column}) IN ('text', 'blob')"
    return f"CASE WHEN {long} THEN substr({column}, 1, {LONGEST_CELL}) ELSE {column} END"
