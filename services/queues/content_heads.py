"""The first part of contents, read so that one enormous row costs no more than any other."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping

from services.queues.preview import HEAD
from services.queues.readonly import LONGEST_CELL, OpenFile

TOO_LARGE = f"(larger than {LONGEST_CELL >> 20} MiB: not read)"

Cells = tuple[object, ...]


def rows_with_heads(
    db: OpenFile,
    table: str,
    statement: Callable[[str, str], str],
    bound: Mapping[str, object],
    at: int,
) -> list[Cells]:
    """Rows of `statement(head, size)`; the head of the content is column `at`, its size the next.

    A content SQLite would have to load whole and that is too large for that is left where it is.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    whole = statement("substr(content, 1, :head)", "length(content)")
    try:
        return [*db.fetch(whole, {**bound, "head": HEAD})]
    except sqlite3.DataError:
        pass
    found: list[Cells] = []
    for row in db.fetch(statement("rowid", "0"), {**bound, "head": HEAD}):
        cells = list(row)
        cells[at : at + 2] = _head(db, table, row[at])
        found.append(tuple(cells))
    return found


def _head(db: OpenFile, table: str, row: object) -> tuple[object, object]:
    try:
        found = db.fetch(
            f"SELECT substr(content, 1, ?), length(content) FROM {table} WHERE rowid = ?",  # noqa: S608
            (HEAD, row),
        )
    except sqlite3.DataError:
        return TOO_LARGE, LONGEST_CELL + 1
    return next(((one[0], one[1]) for one in found), ("", 0))
