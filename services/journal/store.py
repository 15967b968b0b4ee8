"""The event journal: a small SQLite database that keeps events across restarts and panels.

Whatever is wrong with the file, the panel goes on: a damaged one is set aside, one that cannot
be written leaves the events in memory, and beside the file at the end, and says so.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from services.clock import Clock
from services.files.sqlite import Connection
from services.journal import unwritten
from services.journal.begun import BegunAttempt, EndedAttempt, end_abandoned
from services.journal.events import attempt_event
from services.journal.file import (
    OpenedFile,
    UnusableError,
    error_text,
    identity,
    is_begun,
    is_damage,
    is_locked,
    open_to_read,
    open_to_write,
    os_error_text,
)
from services.journal.rows import EventQuery, read, redacted
from services.journal.writing import Item, prune, write
from services.models import Attempt, Event, Severity
from services.process.identity import ProcessId
from services.text.sanitize import sanitize

PRUNE_EVERY_S = 3_600.0
ABANDONED_EVERY_S = 60.0
RETRY_S = 5.0
"""Pause before writing is tried again."""
_QUEUE = 2_048
_BATCH = 500
_OPEN_S = 2.0
_FLUSH_S = 1.5
_PAUSE_S = 0.05
_NOT_KEPT = "Events are not being kept"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class History:
    """The answer to a query: events, newest first, and what of the file could not be read."""

    events: tuple[Event, ...]
    problem: str = ""
    """Why the file could not be read: there may be events that are not told."""
    unreadable: int = 0
    """How many records of the file are left out, since nothing can be made of them."""


class Journal:
    """Stores events: `record` never waits, `search` includes events not written yet.

    `on_notice` hears, after the opening, what the journal itself recorded.
    """

    def __init__(
        self, path: Path, clock: Clock, on_notice: Callable[[Event], None] = lambda _: None
    ) -> None:
        self.path = path
        self._clock = clock
        self._on_notice = on_notice
        self._process = ProcessId.capture()
        self._pending: deque[Item] = deque()
        self._wakeup = asyncio.Event()
        self._lock = asyncio.Lock()
        self._db: Connection | None = None
        self._file: tuple[int, int] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._opened = self._closed = self._let_go_of = False
        self._transient = False
        self._problem = ""
        self._told_kept = True
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
            self._told_kept = False
            self._note(self._problem)
        await self._end_abandoned()
        notices = tuple(one for one in list(self._pending)[noted:] if isinstance(one, Event))
        self._opened = True
        if not self._closed:
            self._tasks = [
                asyncio.create_task(self._write_loop()),
                asyncio.create_task(self._prune_loop()),
                asyncio.create_task(self._abandoned_loop()),
            ]
        return notices

    def record(self, *events: Event) -> None:
        """Remember events, secrets masked. Beyond the bound of the queue the oldest is dropped.

        A transition that another panel has recorded already is not recorded again.
        """
        self._put(*(redacted(event) for event in events))

    def begin_attempt(self, attempt: Attempt) -> None:
        """Remember that an attempt is under way, so that it gets an end if this panel does not."""
        if self._process is not None:
            self._put(BegunAttempt(attempt, self._process))

    def end_attempt(self, attempt: Attempt, now: float) -> Event:
        """Record how an attempt ended; the event of it."""
        event = redacted(attempt_event(attempt, now))
        self._put(EndedAttempt(attempt.id, self._process, event))
        return event

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
        """At most `limit` events, newest first; as `search`, for whom its problem is no matter."""
        query = EventQuery(limit, subject, source, since, text, about)
        return (await self.search(query)).events

    async def search(self, query: EventQuery) -> History:
        """The events that fit, newest first, and whether all that is kept could be read."""
        async with self._lock:
            kept: list[Event] = []
            problem, unreadable = "", 0
            try:
                if self._db is not None:
                    kept, unreadable = await self._db.run(lambda db: read(db, query))
                elif is_begun(self.path):
                    async with Connection(lambda: open_to_read(self.path)) as db:
                        kept, unreadable = await db.run(lambda db: read(db, query))
            except (sqlite3.Error, OSError) as error:
                problem = f"What was recorded cannot be read: {error_text(error, self.path)}."
                if isinstance(error, sqlite3.Error):
                    await self._record_error(error)
            waiting = _events(self._pending)
            if self._db is None:
                waiting = [*unwritten.waiting(self.path), *waiting]
            return History(query.newest(waiting, kept), problem, unreadable)

    async def close(self) -> None:
        """Write what waits, within two seconds, and let go of the file; idempotent.

        What cannot be written is kept beside the file for the next panel.
        """
        self._closed = True
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_FLUSH_S):
                    # A batch on its way is not waiting any more, and not kept yet.
                    while self._db is not None and (self._pending or self._lock.locked()):
                        if not await self._write_batch():
                            await asyncio.sleep(_PAUSE_S)
        finally:
            # Here and not in a task: a loop that ends cancels its tasks before they begin.
            called_off: asyncio.CancelledError | None = None
            while not self._let_go_of:
                try:
                    await self._let_go()
                except asyncio.CancelledError as error:
                    called_off = error
            if called_off is not None:
                raise called_off

    async def _let_go(self) -> None:
        """End what runs, then the connection, also one that is only now being opened.

        One that is called off can be begun again.
        """
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        async with self._lock:
            await self._disconnect()
            self._keep_beside()
            self._let_go_of = True

    def _keep_beside(self) -> None:
        left = _events(self._pending)
        left = [one for one in left if one.source or not one.text.startswith(_NOT_KEPT)]
        self._pending.clear()
        if not left:
            return
        try:
            unwritten.keep(self.path, left)
        except OSError as error:
            self._dropped += len(left)
            _LOG.warning("%d events could not be kept: %s", len(left), os_error_text(error))
            for event in left:
                _LOG.warning("not kept: %s/%s %s", event.source, event.subject, event.text)
        else:
            _LOG.warning("%d events wait beside the journal", len(left))

    def _note(self, text: str) -> None:
        """Record what the journal has to say of itself, and tell it."""
        event = Event(self._clock.now(), Severity.WORSE, "", "", "panel", text)
        self.record(event)
        self._tell(event)

    def _tell(self, *events: Event) -> None:
        if self._opened and not self._closed:
            for event in events:
                self._on_notice(event)

    def _tell_kept(self, kept: bool) -> None:
        """Tell, where that is new, why events are not being kept, or that they are again."""
        if kept is not self._told_kept:
            self._told_kept = kept
            severity = Severity.BETTER if kept else Severity.WORSE
            text = "Events are being kept again." if kept else self._problem
            self._tell(Event(self._clock.now(), severity, "", "", "panel", text))

    def _put(self, *items: Item) -> None:
        if self._closed:
            self._dropped += len(items)
            return
        self._pending.extend(items)
        self._drop_oldest()
        self._wakeup.set()

    def _drop_oldest(self) -> None:
        while len(self._pending) > _QUEUE:
            self._pending.popleft()
            self._dropped += 1

    async def _write_loop(self) -> None:
        while True:
            await self._wakeup.wait()
            self._wakeup.clear()
            while self._pending or self._db is None:
                if not (await self._ensure_connected() and await self._write_batch()):
                    await self._clock.sleep(RETRY_S)

    async def _prune_loop(self) -> None:
        while True:
            await self._clock.sleep(PRUNE_EVERY_S)
            async with self._lock:
                if self._db is not None:
                    try:
                        now = self._clock.now()
                        await self._db.run(lambda db, now=now: prune(db, now))  # type: ignore[misc]
                    except sqlite3.Error as error:
                        await self._record_error(error)

    async def _abandoned_loop(self) -> None:
        while True:
            await self._clock.sleep(ABANDONED_EVERY_S)
            self._tell(*await self._end_abandoned())

    async def _end_abandoned(self) -> tuple[Event, ...]:
        async with self._lock:
            if self._db is None:
                return ()
            now = self._clock.now()
            try:
                return await self._db.run(lambda db: end_abandoned(db, now))
            except sqlite3.Error as error:
                await self._record_error(error)
                return ()

    async def _write_batch(self) -> bool:
        """Write one batch; False where it could not be and still waits."""
        async with self._lock:
            if self._db is None:
                return False
            if not self._pending:
                return True
            batch = [self._pending.popleft() for _ in range(min(_BATCH, len(self._pending)))]
            kept = False
            now = self._clock.now()
            try:
                kept = await self._db.run(lambda db: self._write(db, batch, now))
                if kept:
                    self._problem = ""
                    self._tell_kept(True)
                else:
                    await self._disconnect()
            except sqlite3.Error as error:
                await self._record_error(error)
            finally:
                if not kept:
                    self._pending.extendleft(reversed(batch))
                    self._drop_oldest()
            return kept

    def _write(self, db: sqlite3.Connection, batch: Sequence[Item], now: float) -> bool:
        if identity(self.path) != self._file:
            # Another panel has set it aside: what is written now nobody would find.
            return False
        write(db, batch, now)
        return True

    async def _record_error(self, error: sqlite3.Error) -> None:
        """Note why the file cannot be used now; a damaged one is let go of to be set aside."""
        _LOG.warning("the journal: %s", error)
        self._problem = f"{_NOT_KEPT}: {error_text(error, self.path)}."
        if self._db is None:
            return
        if is_damage(error, self.path):
            await self._disconnect()
            self._wakeup.set()
        elif not is_locked(error):
            self._tell_kept(False)

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
            except (UnusableError, sqlite3.Error, OSError) as error:
                self._transient = isinstance(error, BlockingIOError) or is_locked(error)
                self._problem = f"{_NOT_KEPT}: {error_text(error, self.path)}."
                if not self._transient:
                    self._tell_kept(False)
            return self._db is not None

    async def _connect(self) -> None:
        now = self._clock.now()
        opened: list[OpenedFile] = []

        def connect() -> sqlite3.Connection:
            opened.append(open_to_write(self.path, now))
            try:
                prune(opened[0].db, now)
                unwritten.bring_in(self.path, lambda events: write(opened[0].db, events, now))
            except BaseException:
                opened[0].db.close()
                raise
            return opened[0].db

        self._db = await Connection(connect).open()
        self._file = opened[0].identity
        if opened[0].set_aside:
            name = sanitize(opened[0].set_aside)
            _LOG.warning("the journal was damaged (%s) and is now %s", opened[0].damage, name)
            self._note(
                f"The journal was damaged; it is kept as {name} and a new one begun;"
                " `wakedeck events --repair` brings back what can be read"
            )

    async def _disconnect(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            try:
                await db.close()
            except sqlite3.Error as error:
                _LOG.warning("closing the journal: %s", error)


def _events(items: Iterable[Item]) -> list[Event]:
    return [
        one if isinstance(one, Event) else one.event
        for one in items
        if not isinstance(one, BegunAttempt)
    ]
