"""The event journal: a small SQLite database that keeps events across restarts.

Whatever is wrong with the file, the panel goes on: a damaged one is moved aside, one that cannot
be written leaves the events in memory and says so.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import sqlite3
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

from services.clock import Clock
from services.files.private import private_folder
from services.files.sqlite import Connection
from services.journal.rows import (
    APPLICATION_ID,
    INSERT,
    SCHEMA,
    VERSION,
    EventQuery,
    from_row,
    redacted,
    to_row,
)
from services.models import Event, Severity
from services.process.child import run_to_completion
from services.text.sanitize import sanitize

RETENTION_S = 30 * 86_400.0
MAX_ROWS = 50_000
PRUNE_EVERY_S = 3_600.0
RETRY_S = 5.0
"""Pause before writing is tried again."""
_QUEUE = 2_048
_BATCH = 500
_OPEN_S = 2.0
_FLUSH_S = 1.5
_PAUSE_S = 0.05
_BUSY_S = 0.5
_LOG = logging.getLogger(__name__)


class _UnusableError(Exception):
    """The file cannot serve as the journal now; the text is for the operator."""


class Journal:
    """Stores events: `record` never waits, `recent` includes events not written yet."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        self._pending: deque[Event] = deque()
        self._wakeup = asyncio.Event()
        self._lock = asyncio.Lock()
        self._db: Connection | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False
        self._transient = False
        self._problem = ""
        self._dropped = 0

    @property
    def problem(self) -> str:
        """Why events are not being written; empty while they are."""
        return self._problem

    @property
    def dropped(self) -> int:
        """How many events were given up because they could not be written."""
        return self._dropped

    async def open(self) -> tuple[Event, ...]:
        """Make the file ready, waiting at most about two seconds; what the operator should know.

        The events returned are recorded as well. Nothing is raised for a sick file.
        """
        noted = len(self._pending)
        until = time.monotonic() + _OPEN_S
        while not await self._ensure_connected():
            if not self._transient or time.monotonic() > until:
                break
            await asyncio.sleep(0.1)
        if self._problem:
            self.record(self._panel_event(self._problem))
        notices = tuple(self._pending)[noted:]
        if not self._closed:
            self._tasks = [
                asyncio.create_task(self._write_loop()),
                asyncio.create_task(self._prune_loop()),
            ]
        return notices

    def record(self, *events: Event) -> None:
        """Remember events, secrets masked. Beyond the bound of the queue the oldest is dropped."""
        if self._closed:
            self._dropped += len(events)
            return
        self._pending.extend(redacted(event) for event in events)
        self._drop_oldest()
        self._wakeup.set()

    async def recent(
        self,
        limit: int,
        *,
        subject: str | None = None,
        source: str | None = None,
        since: float | None = None,
        text: str | None = None,
        about: str | None = None,
    ) -> tuple[Event, ...]:
        """At most `limit` events, newest first; `since` is an epoch instant.

        `about` is a subject as an operator types it: its id, or `source/id`.
        """
        query = EventQuery(limit, subject, source, since, text, about)
        async with self._lock:
            kept: list[Event] = []
            if self._db is not None:
                try:
                    kept = [from_row(r) for r in await self._db.execute_fetchall(*query.sql())]
                except sqlite3.Error as error:
                    await self._record_error(error)
            return query.newest(self._pending, kept)

    async def close(self) -> None:
        """Write what waits, within two seconds, and let go of the file; idempotent."""
        self._closed = True
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_FLUSH_S):
                    # A batch on its way is not waiting any more, and not kept yet.
                    while self._db is not None and (self._pending or self._lock.locked()):
                        if not await self._write_batch():
                            await asyncio.sleep(_PAUSE_S)
        finally:
            await run_to_completion(self._let_go())

    async def _let_go(self) -> None:
        """End what runs, then the connection, also one that is only now being opened."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._pending:
            _LOG.warning("%d events were not written to the journal", len(self._pending))
        async with self._lock:
            await self._disconnect()

    def _panel_event(self, text: str) -> Event:
        return Event(
            at=self._clock.now(),
            severity=Severity.WORSE,
            source="",
            subject="",
            kind="panel",
            text=text,
        )

    def _drop_oldest(self) -> None:
        while len(self._pending) > _QUEUE:
            self._pending.popleft()
            self._dropped += 1

    async def _write_loop(self) -> None:
        while True:
            await self._wakeup.wait()
            self._wakeup.clear()
            while self._pending:
                if not (await self._ensure_connected() and await self._write_batch()):
                    await self._clock.sleep(RETRY_S)

    async def _prune_loop(self) -> None:
        while True:
            await self._clock.sleep(PRUNE_EVERY_S)
            async with self._lock:
                if self._db is not None:
                    try:
                        await self._prune(self._db)
                    except sqlite3.Error as error:
                        await self._record_error(error)

    async def _write_batch(self) -> bool:
        """Write one batch; False where it could not be and still waits."""
        async with self._lock:
            if self._db is None:
                return False
            if not self._pending:
                return True
            batch = [self._pending.popleft() for _ in range(min(_BATCH, len(self._pending)))]
            kept = False
            try:
                await self._db.execute("BEGIN IMMEDIATE")
                await self._db.executemany(INSERT, [to_row(event) for event in batch])
                await self._db.execute("COMMIT")
                kept = True
                self._problem = ""
            except sqlite3.Error as error:
                await self._record_error(error)
            finally:
                if not kept:
                    self._pending.extendleft(reversed(batch))
                    self._drop_oldest()
            return kept

    async def _record_error(self, error: sqlite3.Error) -> None:
        """Note why the file cannot be used now; a damaged one is let go of to be moved aside."""
        _LOG.warning("the journal: %s", error)
        self._problem = f"Events are not being kept: {_error_text(error)}."
        if self._db is None:
            return
        if not isinstance(error, sqlite3.OperationalError):
            await self._disconnect()
        elif self._db.in_transaction:
            with suppress(sqlite3.Error):
                await self._db.execute("ROLLBACK")

    async def _ensure_connected(self) -> bool:
        """Have a connection; False, with the problem noted, where there can be none now."""
        async with self._lock:
            if self._db is not None:
                return True
            self._transient = False
            if self._closed:
                # Left while it was being opened: what is opened now nobody would close.
                return False
            try:
                await self._connect()
                self._problem = ""
            except _UnusableError as error:
                self._problem = f"Events are not being kept: {error}."
            except sqlite3.Error as error:
                self._transient = _is_locked(error)
                self._problem = f"Events are not being kept: {_error_text(error)}."
            except BlockingIOError:
                self._transient = True
                self._problem = "Events are not being kept: another panel is busy with the file."
            except OSError as error:
                why = sanitize(error.strerror or type(error).__name__)
                self._problem = f"Events are not being kept: {sanitize(str(self.path))}: {why}."
            return self._db is not None

    async def _connect(self) -> None:
        private_folder(self.path.parent)
        guard = os.open(self.path.with_name(f"{self.path.name}.lock"), _PRIVATE, 0o600)
        try:
            # One panel at a time makes the file or moves a damaged one aside.
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                await self._prepare()
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                self._move_aside(error)
                await self._prepare()
        finally:
            os.close(guard)

    async def _prepare(self) -> None:
        """Connect, check the file through, make the table where there is none."""
        os.close(os.open(self.path, _PRIVATE, 0o600))
        self.path.chmod(0o600)
        db = await Connection(
            lambda: sqlite3.connect(
                self.path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
        ).open()
        try:
            if await _value(db, "PRAGMA quick_check(1)") != "ok":
                raise sqlite3.DatabaseError("the check found damage")
            await db.execute("PRAGMA journal_mode = WAL")
            await db.execute("PRAGMA synchronous = NORMAL")
            if not await _value(db, "SELECT count(*) FROM sqlite_master"):
                for statement in SCHEMA:
                    await db.execute(statement)
            elif await _value(db, "PRAGMA application_id") != APPLICATION_ID:
                raise _UnusableError(f"{sanitize(str(self.path))} belongs to something else")
            elif int(str(await _value(db, "PRAGMA user_version"))) > VERSION:
                raise _UnusableError(f"{sanitize(str(self.path))} was made by a newer version")
            await self._prune(db)
        except BaseException:
            await db.close()
            raise
        self._db = db

    async def _prune(self, db: Connection) -> None:
        await db.execute("DELETE FROM events WHERE at < ?", (self._clock.now() - RETENTION_S,))
        await db.execute(
            "DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?", (MAX_ROWS,)
        )

    def _move_aside(self, error: sqlite3.Error) -> None:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._clock.now()))
        aside = self.path.with_name(f"{self.path.stem}.damaged-{stamp}{self.path.suffix}")
        for ending in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                self.path.with_name(self.path.name + ending).rename(f"{aside}{ending}")
        _LOG.warning("the journal was damaged (%s) and is now %s", error, aside.name)
        text = f"The journal was damaged; it is kept as {sanitize(aside.name)} and a new one begun"
        self.record(self._panel_event(text))

    async def _disconnect(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            try:
                await db.close()
            except sqlite3.Error as error:
                _LOG.warning("closing the journal: %s", error)


_PRIVATE = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC


async def _value(db: Connection, query: str) -> object:
    rows = list(await db.execute_fetchall(query))
    return rows[0][0] if rows else None


def _is_locked(error: sqlite3.Error) -> bool:
    name = getattr(error, "sqlite_errorname", "")
    return name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def _error_text(error: sqlite3.Error) -> str:
    if _is_locked(error):
        return "the journal is locked by another program"
    return f"the journal cannot be used ({sanitize(str(error), 120)})"
