"""What is written to the journal, and how long it is kept."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from contextlib import suppress

from services.journal.begun import BegunAttempt, EndedAttempt
from services.journal.rows import insert
from services.models import Event

RETENTION_S = 30 * 86_400.0
MAX_ROWS = 50_000
Item = Event | BegunAttempt | EndedAttempt
_LOG = logging.getLogger(__name__)
_UNWRITABLE = (sqlite3.IntegrityError, sqlite3.ProgrammingError, ValueError, OverflowError)


def write(db: sqlite3.Connection, items: Sequence[Item], now: float) -> None:
    """Write items in one transaction; one that no file can hold is left out and logged."""
    db.execute("BEGIN IMMEDIATE")
    try:
        for item in items:
            try:
                if isinstance(item, BegunAttempt):
                    item.write(db)
                elif isinstance(item, EndedAttempt):
                    item.write(db, now)
                else:
                    insert(db, item, now)
            except _UNWRITABLE:
                _LOG.exception("an event cannot be written")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
        raise


def prune(db: sqlite3.Connection, now: float) -> None:
    """Remove what is older or more than is kept."""
    db.execute("DELETE FROM events WHERE at < ?", (now - RETENTION_S,))
    db.execute("DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?", (MAX_ROWS,))
