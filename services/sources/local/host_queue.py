"""The host's side of one sandbox: fills `inbound.db`, delivers what `outbound.db` holds, sweeps.

The sweep is upstream's (upstream/nanoclaw: Stuck agents) with its times scaled down, and one
difference: as embedded agents beat while idle, a claim is judged by its age alone.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from services.files.bounded import parse_json
from services.sources.local.queue_files import (
    INBOUND,
    OUTBOUND,
    create_inbound,
    create_outbound,
    iso_text,
    reading,
    sqlite_text,
    writing,
)
from services.sources.local.traffic import InboundMessage, initial_messages, response

BACKLOG = 12
"""With this many open messages waiting, people stop writing to a sandbox."""
KEPT_ROWS = 400
CLAIM_TOLERANCE_S = 12.0
BACKOFF_BASE_S = 1
MAX_TRIES = 5
RECURS_S = 60
ATTEMPTS = 3
_LOST = 0.02
_UNCONFIRMED = 0.05
_PATIENCE_S = 0.3


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """One row of messages_out that is due for delivery."""

    id: str
    kind: str
    channel: str
    platform: str
    content: str


class HostQueue:
    """One sandbox as the host serves it.

    Every call may raise `sqlite3.Error` where a file is locked, absent or damaged; calling again
    later is safe.
    """

    def __init__(self, folder: Path, rng: Random) -> None:
        self._inbound = folder / INBOUND
        self._outbound = folder / OUTBOUND
        self._folder = folder
        self._rng = rng
        self._attempts: dict[str, int] = {}

    def prepare(self, now: float) -> None:
        """Make both files whole; a new sandbox gets its standing messages."""
        create_outbound(self._folder, patience_s=_PATIENCE_S)
        create_inbound(self._folder, patience_s=_PATIENCE_S)
        with writing(self._inbound, patience_s=_PATIENCE_S) as db:
            if db.execute("SELECT count(*) FROM messages_in").fetchone()[0] == 0:
                _insert(db, initial_messages(), now)
            db.execute("INSERT OR REPLACE INTO session_routing VALUES (1, 'cli', 'local', NULL)")
            db.execute(
                """INSERT OR REPLACE INTO destinations
                   VALUES ('local-cli', 'Local CLI', 'channel', 'cli', 'local', NULL)"""
            )

    def insert(self, messages: Iterable[InboundMessage], now: float) -> None:
        """Insert messages in one transaction; the oldest finished ones make room."""
        with writing(self._inbound, patience_s=_PATIENCE_S) as db:
            _insert(db, messages, now)
            _prune_messages(db)

    def is_full(self) -> bool:
        """Whether so much is waiting that nobody writes more."""
        with reading(self._inbound, patience_s=_PATIENCE_S) as db:
            query = "SELECT count(*) FROM messages_in WHERE status = 'pending'"
            return int(db.execute(query).fetchone()[0]) >= BACKLOG

    def deliver(self, now: float) -> tuple[PendingDelivery, ...]:
        """Record the outcome of what is due; what other parts of the world must act upon."""
        with reading(self._outbound, patience_s=_PATIENCE_S) as db:
            due = db.execute(
                """SELECT id, kind, channel_type, platform_id, content FROM messages_out
                   WHERE deliver_after IS NULL OR deliver_after <= ? ORDER BY seq""",
                (sqlite_text(now),),
            ).fetchall()
        with reading(self._inbound, patience_s=_PATIENCE_S) as db:
            known = {row[0] for row in db.execute("SELECT message_out_id FROM delivered")}
        waiting = [
            PendingDelivery(r[0], r[1], r[2] or "", r[3] or "", r[4])
            for r in due
            if r[0] not in known
        ]
        if not waiting:
            return ()
        stamp = sqlite_text(now)
        sent: list[PendingDelivery] = []
        with writing(self._inbound, patience_s=_PATIENCE_S) as db:
            for item in waiting:
                outcome = self._send(item)
                if outcome is None:
                    continue
                status, platform_id = outcome
                db.execute(
                    "INSERT OR IGNORE INTO delivered VALUES (?, ?, ?, ?)",
                    (item.id, platform_id, status, stamp),
                )
                if status == "delivered":
                    sent.append(item)
            _prune_delivered(db, {row[0] for row in due})
        return tuple(sent)

    def _send(self, item: PendingDelivery) -> tuple[str, str | None] | None:
        """Status and platform id of one delivery; None where it is to be tried again."""
        if item.kind == "system" or item.channel in ("agent", "cli"):
            return "delivered", None
        tried = self._attempts.pop(item.id, 0)
        if tried or self._rng.random() < _LOST:
            if tried + 1 >= ATTEMPTS:
                return "failed", None
            self._attempts[item.id] = tried + 1
            return None
        if "operation" in _fields(item.content) or self._rng.random() < _UNCONFIRMED:
            return "delivered", None
        return "delivered", f"{item.platform}:{secrets.randbelow(10**6)}"

    def sweep(self, now: float, *, suspended: bool) -> None:
        """Sync acknowledgements, give up on old claims, plan recurrences.

        `suspended`: the agent is stopped by a signal; its claims stay, as the sign of it.
        """
        with reading(self._outbound, patience_s=_PATIENCE_S) as db:
            acks = db.execute(
                "SELECT message_id, status, status_changed FROM processing_ack"
            ).fetchall()
        before = sqlite_text(now - CLAIM_TOLERANCE_S)
        finished = [(row[0],) for row in acks if row[1] != "processing"]
        overdue = [row[0] for row in acks if row[1] == "processing" and row[2] < before]
        with writing(self._inbound, patience_s=_PATIENCE_S) as db:
            db.executemany(
                "UPDATE messages_in SET status = 'completed' WHERE id = ? AND status = 'pending'",
                finished,
            )
            _recur(db, now)
            if not suspended:
                _retry(db, overdue, now)
            _prune_messages(db)
        if overdue and not suspended:
            with writing(self._outbound, patience_s=_PATIENCE_S) as db:
                db.executemany(
                    "DELETE FROM processing_ack WHERE message_id = ? AND status = 'processing'",
                    [(message,) for message in overdue],
                )

    def answer(self, item: PendingDelivery, now: float) -> None:
        """Let a human answer a question that was delivered."""
        question = str(_fields(item.content).get("questionId", ""))
        self.insert([response(question, self._rng)], now)

    def schedule(self, item: PendingDelivery, now: float) -> None:
        """Carry out an agent's `schedule_task`."""
        fields = _fields(item.content)
        delay = fields.get("inSeconds")
        content = json.dumps({"prompt": str(fields.get("prompt", "")), "script": None})
        seconds = float(delay) if isinstance(delay, int | float) else 30.0
        self.insert([InboundMessage("task-", "task", content, "cli", "local", seconds)], now)


def action(item: PendingDelivery) -> str:
    """What a delivered row asks of the host: `schedule_task`, `ask_question` or nothing."""
    fields = _fields(item.content)
    name = fields.get("action") if item.kind == "system" else fields.get("type")
    return str(name or "")


def _fields(content: str) -> dict[str, object]:
    try:
        fields = parse_json(content)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _insert(db: sqlite3.Connection, messages: Iterable[InboundMessage], now: float) -> None:
    seq = int(db.execute("SELECT coalesce(max(seq), 0) FROM messages_in").fetchone()[0])
    for incoming in messages:
        seq = (seq // 2 + 1) * 2
        unique = f"{int(now * 1000)}-{secrets.token_hex(3)}"
        name = incoming.prefix + unique if incoming.prefix else f"{unique}:ag-local"
        due = None
        if incoming.delay_s is not None:
            spell = sqlite_text if incoming.sqlite_spelling else iso_text
            due = spell(now + incoming.delay_s)
        db.execute(
            "INSERT INTO messages_in VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, NULL, ?, ?, ?)",
            (
                name,
                seq,
                incoming.kind,
                sqlite_text(now) if incoming.kind == "task" else iso_text(now),
                incoming.status,
                due,
                incoming.recurrence,
                incoming.series or name,
                int(incoming.wakes),
                incoming.platform,
                incoming.channel,
                incoming.content,
                incoming.source_session,
                int(incoming.on_wake),
            ),
        )


def _recur(db: sqlite3.Connection, now: float) -> None:
    done = db.execute(
        """SELECT id, kind, content, channel_type, platform_id, recurrence, series_id
           FROM messages_in WHERE status = 'completed' AND recurrence IS NOT NULL"""
    ).fetchall()
    for row in done:
        wait = RECURS_S - now % RECURS_S
        _insert(
            db,
            [InboundMessage("task-", row[1], row[2], row[3], row[4], wait, False, row[5], row[6])],
            now,
        )
        db.execute("UPDATE messages_in SET recurrence = NULL WHERE id = ?", (row[0],))


def _retry(db: sqlite3.Connection, claimed: list[str], now: float) -> None:
    for message in claimed:
        row = db.execute(
            """SELECT tries FROM messages_in WHERE id = ? AND status = 'pending'
               AND (process_after IS NULL OR datetime(process_after) <= ?)""",
            (message, sqlite_text(now)),
        ).fetchone()
        if row is None:
            continue
        tries = int(row[0] or 0)
        if tries >= MAX_TRIES:
            db.execute("UPDATE messages_in SET status = 'failed' WHERE id = ?", (message,))
            continue
        db.execute(
            "UPDATE messages_in SET tries = ?, process_after = ? WHERE id = ?",
            (tries + 1, sqlite_text(now + BACKOFF_BASE_S * 2**tries), message),
        )


def _prune_messages(db: sqlite3.Connection) -> None:
    """Keep the newest; finished ones go first, and paused or recurring ones stay."""
    excess = int(db.execute("SELECT count(*) FROM messages_in").fetchone()[0]) - KEPT_ROWS
    if excess > 0:
        db.execute(
            """DELETE FROM messages_in WHERE id IN (
                 SELECT id FROM messages_in WHERE status <> 'paused' AND recurrence IS NULL
                 ORDER BY status IN ('completed', 'failed') DESC, seq LIMIT ?)""",
            (excess,),
        )


def _prune_delivered(db: sqlite3.Connection, still_there: set[str]) -> None:
    rows = db.execute("SELECT message_out_id FROM delivered").fetchall()
    if len(rows) > KEPT_ROWS:
        gone = [(row[0],) for row in rows if row[0] not in still_there]
        db.executemany("DELETE FROM delivered WHERE message_out_id = ?", gone)
