"""The two queue files of an embedded sandbox: upstream's tables, and short transactions on them.

Shapes are real (upstream/nanoclaw: Inbound file; upstream/nanoclaw: Outbound file). One side
writes each file: the host `inbound.db`, the agent `outbound.db`; the host alone drops abandoned
claims, as upstream's does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

INBOUND = "inbound.db"
OUTBOUND = "outbound.db"
HEARTBEAT = ".heartbeat"
PATIENCE_S = 5.0
"""How long a writer waits for a lock (upstream/nanoclaw: Outbound file)."""

_INBOUND_TABLES = (
    """CREATE TABLE IF NOT EXISTS messages_in (
      id TEXT PRIMARY KEY, seq INTEGER UNIQUE, kind TEXT NOT NULL, timestamp TEXT NOT NULL,
      status TEXT DEFAULT 'pending', process_after TEXT, recurrence TEXT, series_id TEXT,
      tries INTEGER DEFAULT 0, "trigger" INTEGER NOT NULL DEFAULT 1, platform_id TEXT,
      channel_type TEXT, thread_id TEXT, content TEXT NOT NULL, source_session_id TEXT,
      on_wake INTEGER NOT NULL DEFAULT 0)""",
    "CREATE INDEX IF NOT EXISTS idx_messages_in_series ON messages_in(series_id)",
    """CREATE TABLE IF NOT EXISTS delivered (
      message_out_id TEXT PRIMARY KEY, platform_message_id TEXT,
      status TEXT NOT NULL DEFAULT 'delivered', delivered_at TEXT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS destinations (
      name TEXT PRIMARY KEY, display_name TEXT, type TEXT NOT NULL, channel_type TEXT,
      platform_id TEXT, agent_group_id TEXT)""",
    """CREATE TABLE IF NOT EXISTS session_routing (
      id INTEGER PRIMARY KEY CHECK (id = 1), channel_type TEXT, platform_id TEXT,
      thread_id TEXT)""",
)
_OUTBOUND_TABLES = (
    """CREATE TABLE IF NOT EXISTS messages_out (
      id TEXT PRIMARY KEY, seq INTEGER UNIQUE, in_reply_to TEXT, timestamp TEXT NOT NULL,
      deliver_after TEXT, recurrence TEXT, kind TEXT NOT NULL, platform_id TEXT,
      channel_type TEXT, thread_id TEXT, content TEXT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS processing_ack (
      message_id TEXT PRIMARY KEY, status TEXT NOT NULL, status_changed TEXT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS session_state (
      key TEXT PRIMARY KEY, value TEXT NOT NULL, updated_at TEXT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS container_state (
      id INTEGER PRIMARY KEY CHECK (id = 1), current_tool TEXT,
      tool_declared_timeout_ms INTEGER, tool_started_at TEXT, updated_at TEXT NOT NULL)""",
)


def create_inbound(folder: Path, *, patience_s: float = PATIENCE_S) -> None:
    """Make `inbound.db` whole; what is there already stays."""
    with writing(folder / INBOUND, create=True, patience_s=patience_s) as db:
        for statement in _INBOUND_TABLES:
            db.execute(statement)


def create_outbound(folder: Path, *, patience_s: float = PATIENCE_S) -> None:
    """Make `outbound.db` whole; what is there already stays."""
    with writing(folder / OUTBOUND, create=True, patience_s=patience_s) as db:
        for statement in _OUTBOUND_TABLES:
            db.execute(statement)


@contextmanager
def writing(
    path: Path, *, create: bool = False, patience_s: float = PATIENCE_S
) -> Iterator[sqlite3.Connection]:
    """One transaction on a file of our own side: committed at the end, or not at all.

    Raises:
        sqlite3.Error: absent, locked for longer than `patience_s`, damaged.
    """
    db = _open(path, "rwc" if create else "rw", patience_s)
    try:
        # A lost machine may lose the last message of a training world; a lost process may not.
        db.execute("PRAGMA synchronous=OFF")
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
    finally:
        db.close()


@contextmanager
def reading(path: Path, *, patience_s: float = 0.5) -> Iterator[sqlite3.Connection]:
    """A read-only look at a file; fetch everything, then leave.

    Raises:
        sqlite3.Error: absent, locked for longer than `patience_s`, its writer died in a commit.
    """
    db = _open(path, "ro", patience_s)
    try:
        yield db
    finally:
        db.close()


def _open(path: Path, mode: str, patience_s: float) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=patience_s, isolation_level=None)


def sqlite_text(at: float) -> str:
    """An instant as SQLite writes it: UTC, whole seconds, no zone."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def iso_text(at: float) -> str:
    """An instant as JavaScript writes it: UTC, milliseconds, `Z`."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
