"""Whole tables of a foreign SQLite file as records: what a file lacks reads as nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from services.queues.opening import opened, undisturbed
from services.queues.schema import Shapes

Record: TypeAlias = Mapping[str, object]
"""Column to cell; None for NULL and for a column the file does not have."""

LONGEST_CELL = 512
"""Characters of a cell that are read."""
MOST_ROWS = 100_000


async def read_tables(
    path: Path, wanted: Mapping[str, Sequence[str]], shapes: Shapes
) -> dict[str, list[Record]]:
    """The named columns of the named tables; one that is not there is left out.

    Names of tables and columns are ours, never data.

    Raises:
        SickFileError: the file cannot be opened or read.
    """
    return await undisturbed(_read(path, wanted, shapes))


async def _read(
    path: Path, wanted: Mapping[str, Sequence[str]], shapes: Shapes
) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    async with opened(path) as db:
        shape = await shapes.of(db, path)
        for table, columns in wanted.items():
            if not shape.has(table):
                continue
            cells = ", ".join(_cell(shape.column(table, name, "NULL")) for name in columns)
            rows = await db.execute_fetchall(
                f"SELECT {cells} FROM {table} LIMIT ?",  # noqa: S608
                (MOST_ROWS,),
            )
            found[table] = [dict(zip(columns, row, strict=True)) for row in rows]
    return found


def _cell(column: str) -> str:
    long = f"typeof({column}) IN ('text', 'blob')"
    return f"CASE WHEN {long} THEN substr({column}, 1, {LONGEST_CELL}) ELSE {column} END"
