"""Where a table begins and ends, found without reading it."""

from __future__ import annotations

from services.queues.readonly import OpenFile

STRIDE = 20_000
"""Rows of a long file that are read under one lock."""


def read_bounds(db: OpenFile, table: str) -> tuple[int, int]:
    """First and last row number of a table of ours to name; zeros for an empty one.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    rows = list(
        db.fetch(
            f"""SELECT coalesce((SELECT min(rowid) FROM {table}), 0),
                       coalesce((SELECT max(rowid) FROM {table}), 0)"""  # noqa: S608
        )
    )
    return int(rows[0][0]), int(rows[0][1])
