"""Which tables and columns a queue file has: shapes of every age are read.

See upstream/nanoclaw: Old shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.queues.readonly import OpenFile

_COLUMNS = """
    SELECT m.name, p.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS p
    WHERE m.type = 'table'
"""


@dataclass(frozen=True, slots=True)
class FileSchema:
    """The tables of one file, each with its columns."""

    tables: Mapping[str, frozenset[str]]

    def has(self, table: str) -> bool:
        """Whether the table is there."""
        return table in self.tables

    def column(self, table: str, name: str, otherwise: str) -> str:
        """The quoted column, or the SQL that stands for it where the file predates it."""
        return f'"{name}"' if name in self.tables.get(table, ()) else otherwise


class SchemaCache:
    """Remembers the shape of each file until its `schema_version` changes."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, FileSchema]] = {}
        self._shapes: dict[frozenset[tuple[str, frozenset[str]]], FileSchema] = {}

    async def of(self, db: OpenFile, path: Path) -> FileSchema:
        """The shape of the file `db` has open.

        Raises:
            sqlite3.Error: it cannot be read.
        """
        version = await db.schema_version()
        name = str(path)
        known = self._known.get(name)
        if known is not None and known[0] == version:
            return known[1]
        tables: dict[str, set[str]] = {}
        for table, column in await db.execute_fetchall(_COLUMNS):
            tables.setdefault(str(table), set()).add(str(column))
        found = frozenset((table, frozenset(columns)) for table, columns in tables.items())
        # Thousands of files have one of a handful of shapes.
        shape = self._shapes.setdefault(found, FileSchema(dict(found)))
        self._known[name] = (version, shape)
        return shape

    def forget(self, path: Path) -> None:
        """Probe again next time."""
        self._known.pop(str(path), None)
