"""An embedded agent's side of the queue files: reads `inbound.db`, writes `outbound.db`."""

from __future__ import annotations

import os
import secrets
import sqlite3
from pathlib import Path

from services.sources.local.queue_files import (
    INBOUND,
    OUTBOUND,
    iso_text,
    reading,
    sqlite_text,
    writing,
)
from services.sources.local.work import OutboundReply, Task

BATCH = 10
"""As many messages as upstream takes in one prompt (upstream/nanoclaw: Prompt batch)."""
RESPONSE_AGE_S = 4.0
"""How long an answered question lies there until the tool that asked picks it up."""
KEPT_ROWS = 400


class AgentQueue:
    """The two files of one sandbox folder as its agent uses them.

    Unlike upstream it takes the oldest due messages first, so that a flood starves nobody.
    """

    def __init__(self, folder: Path) -> None:
        self._inbound = folder / INBOUND
        self._outbound = folder / OUTBOUND
        self._fresh = True

    def claim(self, now: float) -> tuple[Task, ...]:
        """Claim what is due, context rows along with it; empty when there is nothing.

        Raises:
            sqlite3.Error: a file is absent, locked or damaged.
        """
        with reading(self._inbound) as db:
            rows = db.execute(
                """SELECT id, kind, content, channel_type, platform_id, thread_id, "trigger",
                          on_wake, timestamp
                   FROM messages_in
                   WHERE status = 'pending'
                     AND (process_after IS NULL OR datetime(process_after) <= ?)
                   ORDER BY seq LIMIT 500""",
                (sqlite_text(now),),
            ).fetchall()
            responses = self._answered(rows, now)
        if not rows:
            return ()
        with writing(self._outbound) as db:
            acked = {row[0] for row in db.execute("SELECT message_id FROM processing_ack")}
            stamp = sqlite_text(now)
            _acknowledge(db, [i for i in responses if i not in acked], "completed", stamp)
            open_rows = [r for r in rows if r[0] not in acked and r[1] != "system"]
            open_rows.sort(key=lambda row: not row[6])
            batch = [r for r in open_rows if self._fresh or not r[7]][:BATCH]
            self._fresh = False
            if not any(row[6] for row in batch):
                return ()
            _acknowledge(db, [row[0] for row in batch], "processing", stamp)
        return tuple(
            Task(row[0], row[1], row[2], row[3] or "", row[4] or "", row[5] or "") for row in batch
        )

    @staticmethod
    def _answered(rows: list[tuple[str, ...]], now: float) -> list[str]:
        before = iso_text(now - RESPONSE_AGE_S)
        return [row[0] for row in rows if row[1] == "system" and row[8] <= before]

    def use_tool(self, tool: str | None, timeout_ms: int | None, now: float) -> None:
        """Name the tool in use, or none."""
        with writing(self._outbound) as db:
            _set_tool(db, tool, timeout_ms, now)

    def answer(
        self, batch: tuple[Task, ...], replies: tuple[OutboundReply, ...], now: float
    ) -> None:
        """Write the replies, acknowledge the batch, put the tool down: one transaction."""
        with reading(self._inbound) as db:
            kept = {row[0] for row in db.execute("SELECT id FROM messages_in")}
            highest_in = db.execute("SELECT coalesce(max(seq), 0) FROM messages_in").fetchone()[0]
        with writing(self._outbound) as db:
            highest = db.execute("SELECT coalesce(max(seq), 0) FROM messages_out").fetchone()[0]
            seq = (max(highest, highest_in) + 1) | 1
            for reply in replies:
                _insert(db, reply, seq, now)
                seq += 2
            _acknowledge(db, [task.id for task in batch], "completed", sqlite_text(now))
            _set_tool(db, None, None, now)
            _prune(db, kept)

    def drop_claims(self) -> None:
        """Forget what a predecessor had claimed: it is taken again."""
        with writing(self._outbound) as db:
            db.execute("DELETE FROM processing_ack WHERE status = 'processing'")


def _insert(db: sqlite3.Connection, reply: OutboundReply, seq: int, now: float) -> None:
    db.execute(
        "INSERT INTO messages_out VALUES (?, ?, ?, ?, ?, NULL, ?, ?, ?, ?, ?)",
        (
            f"out-{int(now * 1000)}-{secrets.token_hex(3)}",
            seq,
            reply.in_reply_to,
            sqlite_text(now),
            sqlite_text(now + reply.delay_s) if reply.delay_s else None,
            reply.kind,
            reply.platform or None,
            reply.channel or None,
            reply.thread or None,
            reply.content,
        ),
    )


def _acknowledge(db: sqlite3.Connection, ids: list[str], status: str, stamp: str) -> None:
    db.executemany(
        "INSERT OR REPLACE INTO processing_ack VALUES (?, ?, ?)", [(i, status, stamp) for i in ids]
    )


def _set_tool(db: sqlite3.Connection, tool: str | None, timeout_ms: int | None, now: float) -> None:
    stamp = iso_text(now)
    db.execute(
        "INSERT OR REPLACE INTO container_state VALUES (1, ?, ?, ?, ?)",
        (tool, timeout_ms, stamp if tool else None, stamp),
    )
    db.execute(
        "INSERT OR REPLACE INTO session_state VALUES ('continuation:embedded', ?, ?)",
        (f"pid-{os.getpid()}", stamp),
    )


def _prune(db: sqlite3.Connection, kept: set[str]) -> None:
    """Keep this file small: upstream never prunes, an embedded world must."""
    db.execute(
        """DELETE FROM messages_out WHERE seq <=
           (SELECT seq FROM messages_out ORDER BY seq DESC LIMIT 1 OFFSET ?)""",
        (KEPT_ROWS,),
    )
    acks = db.execute("SELECT message_id FROM processing_ack").fetchall()
    if len(acks) > KEPT_ROWS:
        gone = [(row[0],) for row in acks if row[0] not in kept]
        db.executemany("DELETE FROM processing_ack WHERE message_id = ?", gone)
