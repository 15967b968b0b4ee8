"""The two queue files of sandboxes, read and never touched: snapshots, contents, agent facts."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from weakref import WeakValueDictionary

from services.clock import Clock
from services.errors import NotFoundError
from services.models import Direction, QueueSnapshot, SandboxId
from services.queues.content_heads import TOO_LARGE
from services.queues.due import RULES, QueueRules
from services.queues.errors import FailureCounter, FileErrorKind, QueueFileError
from services.queues.facts import AgentFacts, Survey
from services.queues.file_marks import SETTLED_S, changed_at
from services.queues.kept import KeptFiles
from services.queues.messages import sanitize_id
from services.queues.readonly import OpenFile, in_thread, open_readonly
from services.queues.schema import SchemaCache
from services.queues.session import INBOUND, OUTBOUND, FileMark, QueueSession
from services.queues.values import text
from services.text.redact import redact
from services.text.sanitize import sanitize_block

HEARTBEAT = ".heartbeat"
LONGEST_REST_S = 5.0
"""A file that looks unchanged is read again after this long all the same."""
CONTENT_LIMIT = 1 << 20
_IDS_SEARCHED = 5000
_MOMENT_S = 0.05
"""So long one thread goes on to a next folder."""

Polled = Literal["snapshot", "survey"]
_Seen = tuple[tuple[FileMark, FileMark], int, bool | None]


@dataclass(slots=True)
class _FolderState:
    """One folder as far as it is known."""

    session: QueueSession
    snapshot: QueueSnapshot | None = None
    snapshot_seen: _Seen | None = None
    snapshot_read: float = 0.0
    survey: Survey | None = None
    failures: dict[Polled, FailureCounter] | None = None

    def succeeded(self, what: Polled) -> None:
        """Forget what failed of it."""
        if self.failures:
            self.failures.pop(what, None)


@dataclass(frozen=True, slots=True)
class SurveyRequest:
    """One folder to survey, with what `QueueReader.survey` takes."""

    folder: Path | str
    alive: bool | None
    rules: QueueRules = RULES
    whole: bool = True


class QueueReader:
    """Polls sessions by folder; one poll a session at a time, for one event loop."""

    def __init__(
        self, clock: Clock, *, follow: bool = False, kept: KeptFiles | None = None
    ) -> None:
        """`follow` opens an outbound file where it looks changed, or where all is asked for.

        `kept` keeps the files of few folders open from poll to poll; whoever made it closes it.
        """
        self._clock = clock
        self._follow = follow
        self._kept = kept
        self._shapes = SchemaCache()
        self._known: dict[str, _FolderState] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """Of the folders somebody polls now."""

    async def snapshot(
        self,
        sandbox: SandboxId,
        folder: Path,
        window: int,
        *,
        alive: bool | None,
        rules: QueueRules = RULES,
    ) -> QueueSnapshot:
        """Counts of every row by label, and the newest `window` rows of each direction.

        Never raises for a sick file: the last good snapshot then comes back with the `problem`,
        marked stale. Unchanged files are not opened. While another poll of the folder runs, the
        last snapshot comes back at once.
        """
        polled, lock = self._of(folder), self._lock(folder)
        if lock.locked() and polled.snapshot is not None:
            return polled.snapshot
        async with lock:
            try:
                snapshot = await self._poll_snapshot(polled, sandbox, window, alive, rules)
            except QueueFileError as error:
                polled.snapshot_seen = None
                return self._kept_snapshot(polled, sandbox, error)
            polled.succeeded("snapshot")
            polled.snapshot = snapshot
            return snapshot

    async def _poll_snapshot(
        self,
        polled: _FolderState,
        sandbox: SandboxId,
        window: int,
        alive: bool | None,
        rules: QueueRules,
    ) -> QueueSnapshot:
        seen = (polled.session.file_marks(), window, alive)
        now, read = self._clock.now(), self._clock.monotonic()
        last = polled.snapshot
        rested = read - polled.snapshot_read < LONGEST_REST_S
        due = last is not None and _falls_due(last, now)
        if last is not None and rested and not due and seen == polled.snapshot_seen:
            return replace(last, observed_at=now)
        snapshot = await in_thread(
            polled.session.snapshot, sandbox, window, alive=alive, rules=rules
        )
        polled.snapshot_seen = seen if _settled(seen, now) else None
        polled.snapshot_read = read
        return snapshot

    def _kept_snapshot(
        self, polled: _FolderState, sandbox: SandboxId, error: QueueFileError
    ) -> QueueSnapshot:
        sentence = self._problem_text(polled, "snapshot", error)
        last = polled.snapshot
        if last is not None:
            # A quiet failure still leaves the instant at which this was true.
            return replace(last, problem=sentence, stale=bool(sentence)) if sentence else last
        absent = error.kind is FileErrorKind.ABSENT
        now = self._clock.now()
        problem = "no queue files yet" if absent else sentence or f"not read yet: {error.sentence}"
        return QueueSnapshot(sandbox, now, (), (), (), problem=problem, stale=not absent)

    def _problem_text(self, polled: _FolderState, what: Polled, error: QueueFileError) -> str:
        if error.kind is FileErrorKind.ABSENT:
            polled.succeeded(what)
            return "the queue files are gone"
        if polled.failures is None:
            polled.failures = {}
        return polled.failures.setdefault(what, FailureCounter()).failed(error)

    async def survey(
        self,
        folder: Path,
        *,
        alive: bool | None,
        rules: QueueRules = RULES,
        whole: bool = True,
    ) -> Survey:
        """Facts, counts by label and what is scheduled, from one visit; the heartbeat is left out.

        Never raises for a sick file: see `snapshot`. The caller decides when the files have
        changed: they are opened, save an outbound one that looks unchanged and unless `whole`.
        While another poll of the folder runs, the last survey comes back.
        """
        return (await self.surveys([SurveyRequest(folder, alive, rules, whole)]))[0]

    async def surveys(self, wanted: Sequence[SurveyRequest]) -> list[Survey]:
        """The surveys of the first folder, and of as many after it as a moment allows."""
        states: list[_FolderState] = []
        async with AsyncExitStack() as locks:
            for one in wanted:
                state, lock = self._of(one.folder), self._lock(one.folder)
                if lock.locked():
                    if states:
                        break
                    if state.survey is not None:
                        return [state.survey]
                await locks.enter_async_context(lock)
                states.append(state)
            sessions = [state.session for state in states]
            found = await in_thread(_survey_each, sessions, wanted)
            for state, outcome in zip(states, found, strict=False):
                if isinstance(outcome, QueueFileError):
                    state.survey = self._kept_survey(state, outcome)
                else:
                    state.survey = outcome
                    state.succeeded("survey")
            return [state.survey for state in states[: len(found)] if state.survey is not None]

    def _kept_survey(self, polled: _FolderState, error: QueueFileError) -> Survey:
        sentence = self._problem_text(polled, "survey", error)
        last = polled.survey
        if last is not None and not last.facts.unread:
            facts = replace(last.facts, problem=sentence, stale=bool(sentence))
            return replace(last, facts=facts)
        absent = error.kind is FileErrorKind.ABSENT
        problem = "no queue files yet" if absent else sentence or f"not read yet: {error.sentence}"
        return Survey(AgentFacts(self._clock.now(), problem=problem, stale=not absent, unread=True))

    async def content(self, folder: Path, direction: Direction, message_id: str) -> str:
        """One message's whole content, harmless, bounded at 1 MiB, secrets masked.

        `message_id` is a `Message.id`: an id that had to be made harmless is found too.

        Raises:
            NotFoundError: no such message.
            UnavailableError: the file cannot be read just now.
        """
        inward = direction is Direction.IN
        path = folder / (INBOUND if inward else OUTBOUND)
        table = "messages_in" if inward else "messages_out"
        content = await in_thread(self._read_content, path, table, message_id)
        if content is None:
            raise NotFoundError(f"there is no message {sanitize_id(message_id)} in {path.name}")
        return await asyncio.to_thread(_redact_content, content)

    def _read_content(self, path: Path, table: str, message_id: str) -> str | None:
        by_id = f"SELECT substr(content, 1, ?) FROM {table} WHERE id = ?"  # noqa: S608
        by_row = f"SELECT substr(content, 1, ?) FROM {table} WHERE rowid = ?"  # noqa: S608
        ids = f"SELECT rowid, id FROM {table} ORDER BY rowid DESC LIMIT ?"  # noqa: S608
        with open_readonly(path) as db:
            shape = self._shapes.of(db)
            if not shape.has(table):
                return None
            rows = _content_rows(db, by_id, message_id)
            if not rows:
                for number, spelled in db.fetch(ids, (_IDS_SEARCHED,)):
                    if sanitize_id(text(spelled)) == message_id:
                        rows = _content_rows(db, by_row, number)
                        break
        return text(rows[0][0]) if rows else None

    def forget(self, folder: Path | str) -> None:
        """Drop what is remembered of a folder that is no longer of interest."""
        self._known.pop(str(folder), None)

    def _lock(self, folder: Path | str) -> asyncio.Lock:
        return self._locks.setdefault(str(folder), asyncio.Lock())

    def _of(self, folder: Path | str) -> _FolderState:
        name = str(folder)
        known = self._known.get(name)
        if known is None:
            session = QueueSession(
                name, self._clock, self._shapes, follow=self._follow, kept=self._kept
            )
            known = _FolderState(session)
            self._known[name] = known
        return known


def _falls_due(snapshot: QueueSnapshot, now: float) -> bool:
    """Whether a label of it has lapsed: what was held back until an instant is so no more."""
    return any(one.due_at is not None and one.due_at <= now for one in snapshot.messages)


def _settled(seen: _Seen, now: float) -> bool:
    """Whether a later change of these files is sure to show in their modification times."""
    return all(mark is None or now - changed_at(mark) > SETTLED_S for mark in seen[0])


def _content_rows(db: OpenFile, statement: str, of: object) -> list[tuple[object, ...]]:
    try:
        return db.fetch(statement, (CONTENT_LIMIT, of))
    except sqlite3.DataError:
        return [(TOO_LARGE,)]


def _redact_content(content: str) -> str:
    # Masked last: a secret cut in two by an invisible sequence is whole again by then.
    return redact(sanitize_block(content, CONTENT_LIMIT))


def _survey_each(
    sessions: Sequence[QueueSession], wanted: Sequence[SurveyRequest]
) -> list[Survey | QueueFileError]:
    found: list[Survey | QueueFileError] = []
    until = time.monotonic() + _MOMENT_S
    for session, one in zip(sessions, wanted, strict=False):
        if found and time.monotonic() > until:
            break
        try:
            found.append(session.survey(alive=one.alive, rules=one.rules, whole=one.whole))
        except QueueFileError as error:
            found.append(error)
    return found
