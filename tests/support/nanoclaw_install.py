"""A small NanoClaw install of any generation, made row by row: databases, code markers, logs."""

from __future__ import annotations

import contextlib
import json
import os
import socketserver
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from services.sources.nanoclaw.install import install_at

GROUP = "ag-one"
_CENTRAL = """
CREATE TABLE agent_groups (id TEXT PRIMARY KEY, name TEXT, folder TEXT);
CREATE TABLE messaging_groups (id TEXT PRIMARY KEY, channel_type TEXT, platform_id TEXT, name TEXT,
  is_group INTEGER, unknown_sender_policy TEXT, denied_at TEXT, instance TEXT);
CREATE TABLE messaging_group_agents (messaging_group_id TEXT, agent_group_id TEXT,
  session_mode TEXT, engage_mode TEXT, engage_pattern TEXT, sender_scope TEXT,
  ignored_message_policy TEXT);
CREATE TABLE sessions (id TEXT PRIMARY KEY, agent_group_id TEXT, messaging_group_id TEXT,
  thread_id TEXT, status TEXT, container_status TEXT, last_active TEXT, created_at TEXT);
CREATE TABLE container_configs (agent_group_id TEXT PRIMARY KEY, provider TEXT, model TEXT,
  max_messages_per_prompt INTEGER);
CREATE TABLE pending_approvals (approval_id TEXT, session_id TEXT, agent_group_id TEXT,
  action TEXT, title TEXT, status TEXT, created_at TEXT, expires_at TEXT, approver_user_id TEXT);
CREATE TABLE pending_questions (question_id TEXT, session_id TEXT, title TEXT, created_at TEXT);
"""
COORDINATION = """
CREATE TABLE host_instances (instance_id TEXT, install_id TEXT, hostname TEXT, pid INTEGER,
  started_at TEXT, lease_expires_at TEXT, stopped_at TEXT);
CREATE TABLE session_claims (session_id TEXT, incarnation INTEGER, claimed_by TEXT,
  claimed_at TEXT, container_ref TEXT, stop_intent TEXT, updated_at TEXT);
CREATE TABLE delivery_attempts (message_id TEXT, session_id TEXT, attempts INTEGER,
  last_attempt_at TEXT, next_attempt_at TEXT, last_error TEXT);
CREATE TABLE wake_signals (id INTEGER PRIMARY KEY, session_id TEXT, reason TEXT, created_at TEXT,
  consumed_at TEXT, consumed_by TEXT);
"""
_INBOUND = """
CREATE TABLE messages_in (id TEXT PRIMARY KEY, seq INTEGER UNIQUE, kind TEXT, timestamp TEXT,
  status TEXT DEFAULT 'pending', process_after TEXT, recurrence TEXT, series_id TEXT,
  tries INTEGER DEFAULT 0, trigger INTEGER DEFAULT 1, platform_id TEXT, channel_type TEXT,
  thread_id TEXT, content TEXT, on_wake INTEGER DEFAULT 0);
CREATE TABLE delivered (message_out_id TEXT PRIMARY KEY, platform_message_id TEXT, status TEXT,
  delivered_at TEXT);
"""
_OUTBOUND = """
CREATE TABLE messages_out (id TEXT PRIMARY KEY, seq INTEGER UNIQUE, in_reply_to TEXT,
  timestamp TEXT, deliver_after TEXT, kind TEXT, platform_id TEXT, channel_type TEXT,
  thread_id TEXT, content TEXT);
CREATE TABLE processing_ack (message_id TEXT PRIMARY KEY, status TEXT, status_changed TEXT);
CREATE TABLE session_state (key TEXT PRIMARY KEY, value TEXT, updated_at TEXT);
CREATE TABLE container_state (id INTEGER PRIMARY KEY, current_tool TEXT,
  tool_declared_timeout_ms INTEGER, tool_started_at TEXT, updated_at TEXT);
"""
MARKS = {
    "mailbox": "container/agent-runner/src/mailbox/types.ts",
    "old": "container/agent-runner/src/db/messages-in.ts",
    "driver": "src/drivers/docker-driver.ts",
    "durable": "src/reconcile-session.ts",
}
"""Files of an install's code that tell its generation."""


def iso(at: float) -> str:
    """An instant as newer code writes it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


class Session:
    """The folder of one session."""

    def __init__(self, folder: Path, row: tuple[str, str]) -> None:
        self.folder = folder
        self.key = row
        folder.mkdir(parents=True)
        for name, schema in (("inbound.db", _INBOUND), ("outbound.db", _OUTBOUND)):
            db = sqlite3.connect(folder / name)
            db.executescript(schema)
            db.close()

    def write(self, name: str, sql: str, *bound: object) -> None:
        """Change `inbound` or `outbound`, and be seen to."""
        with sqlite3.connect(self.folder / f"{name}.db") as db:
            db.execute(sql, bound)
        db.close()

    def post(self, name: str, seq: int, at: float, **more: object) -> None:
        """A message to the agent."""
        row = {"id": name, "seq": seq, "kind": "chat", "timestamp": iso(at), "content": "{}"} | more
        _insert(self, "inbound", "messages_in", row)

    def ack(self, name: str, status: str, at: float) -> None:
        """What the runner says of a message."""
        row = {"message_id": name, "status": status, "status_changed": iso(at)}
        _insert(self, "outbound", "processing_ack", row)

    def reply(self, name: str, seq: int, at: float, **more: object) -> None:
        """A message of the agent."""
        row = {"id": name, "seq": seq, "kind": "chat", "timestamp": iso(at), "content": "{}"} | more
        _insert(self, "outbound", "messages_out", row)

    def deliver(self, name: str, at: float, status: str = "delivered", platform: str = "") -> None:
        """What became of one."""
        row = {"message_out_id": name, "status": status, "delivered_at": iso(at)}
        _insert(self, "inbound", "delivered", row | {"platform_message_id": platform or None})

    def beat(self, at: float) -> None:
        """The runner's sign of life."""
        (self.folder / ".heartbeat").touch()
        os.utime(self.folder / ".heartbeat", (at, at))


def _insert(session: Session, name: str, table: str, row: Mapping[str, object]) -> None:
    columns, marks = ", ".join(row), ", ".join("?" * len(row))
    session.write(name, f"INSERT INTO {table} ({columns}) VALUES ({marks})", *row.values())


class SmallInstall:
    """One install: `version` as its package says, `marks` the code that is there."""

    def __init__(self, root: Path, version: str = "", *marks: str) -> None:
        self.root = root
        for name in ("data/v2-sessions", "groups", "logs"):
            (root / name).mkdir(parents=True, exist_ok=True)
        if version:
            about = json.dumps({"name": "nanoclaw", "version": version})
            (root / "package.json").write_text(about, "utf-8")
        for mark in marks:
            self.touch(MARKS[mark])
        self.slug = install_at(root).slug
        db = sqlite3.connect(root / "data/v2.db")
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript(_CENTRAL)
        db.close()
        self.central("INSERT INTO agent_groups VALUES (?, 'Ann', 'ann')", GROUP)
        self.central("INSERT INTO container_configs (agent_group_id) VALUES (?)", GROUP)
        self.central(
            "INSERT INTO messaging_groups VALUES ('mg', 'telegram', 'telegram:-1', 'Room', 1,"
            " 'public', NULL, 'telegram')"
        )

    def touch(self, name: str) -> None:
        """A file of the code."""
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).touch()

    def central(self, sql: str, *bound: object) -> None:
        """Change the central database."""
        with sqlite3.connect(self.root / "data/v2.db") as db:
            db.execute(sql, bound)
        db.close()

    def coordinate(self) -> None:
        """Give it the tables of a host that claims its sessions."""
        db = sqlite3.connect(self.root / "data/v2.db")
        db.executescript(COORDINATION)
        db.close()

    def note(self, table: str, **row: object) -> None:
        """A row of one of those tables."""
        columns, marks = ", ".join(row), ", ".join("?" * len(row))
        self.central(f"INSERT INTO {table} ({columns}) VALUES ({marks})", *row.values())

    def started(self, at: float) -> None:
        """When its host started."""
        about = json.dumps({"attempt": 1, "timestamp": iso(at)})
        (self.root / "data/circuit-breaker.json").write_text(about, "utf-8")

    def session(
        self, name: str, container: str = "stopped", *, at: float | None = None, **more: object
    ) -> Session:
        """A session with a row; `at`: when the row last moved."""
        thread, status = more.get("thread"), more.get("status", "active")
        moved = iso(time.time() if at is None else at)
        self.central(
            "INSERT INTO sessions VALUES (?, ?, 'mg', ?, ?, ?, ?, ?)",
            *(name, GROUP, thread, status, container, moved, moved),
        )
        return Session(self.root / "data/v2-sessions" / GROUP / name, (GROUP, name))

    def row(self, name: str, container: str) -> None:
        """What the host writes of its container."""
        self.central(
            "UPDATE sessions SET container_status = ?, last_active = ? WHERE id = ?",
            *(container, iso(time.time()), name),
        )

    def labels(self, name: str, started: float) -> dict[str, str]:
        """Those of a newer host on an agent's container."""
        return {
            "nanoclaw-install": self.slug,
            "nanoclaw-group": GROUP,
            "nanoclaw-session": name,
            "nanoclaw-role": "agent",
            "nanoclaw-group-folder": "ann",
            "nanoclaw-container-name": f"nanoclaw-v2-ann-{int(started * 1000)}",
        }


@contextlib.contextmanager
def answering(root: Path) -> Iterator[None]:
    """A host that says yes to every question on its admin socket."""
    path = root / "data/ncl.sock"
    path.parent.mkdir(parents=True, exist_ok=True)
    server = socketserver.ThreadingUnixStreamServer(str(path), _Yes)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        path.unlink(missing_ok=True)


class _Yes(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        line = self.rfile.readline()
        if line:
            answer = {"id": json.loads(line)["id"], "ok": True, "data": []}
            self.wfile.write(json.dumps(answer).encode() + b"\n")
