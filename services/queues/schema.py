"""Which tables and columns a queue file has: shapes of every age are read.

See upstream/nanoclaw: Old shapes.
"""

from __future__ import annotations

from collections.abc import Mapping

from services.lazy_dataclass import dataclass
from services.queues.readonly import OpenFile

_TABLES = """
    SELECT name, CASE WHEN length(sql) <= 16384 THEN sql END FROM sqlite_master
    WHERE type = 'table'
"""
_MOST_SHAPES = 256
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
    """Remembers shapes by how their tables were made: thousands of files have a handful."""

    def __init__(self) -> None:
        self._shapes: dict[tuple[tuple[object, ...], ...], FileSchema] = {}

    def of(self, db: OpenFile) -> FileSchema:
        """The shape of the file `db` has open.

        Raises:
            sqlite3.Error: it cannot be read.
        """
        made = tuple(db.fetch(_TABLES))
        shape = self._shapes.get(made)
        if shape is None:
            shape = _probe(db)
            if all(sql is not None for _, sql in made):
                if len(self._shapes) >= _MOST_SHAPES:
                    self._shapes.clear()
                self._shapes[made] = shape
        return shape


def _probe(db: OpenFile) -> FileSchema:
    tables: dict[str, set[str]] = {}
    for table, column in db.fetch(_COLUMNS):
        tables.setdefault(str(table), set()).add(str(column))
    return FileSchema({table: frozenset(columns) for table, columns in tables.items()})
