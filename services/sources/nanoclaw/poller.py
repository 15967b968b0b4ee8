"""One poll of an install: host, containers, central DB, and every session that changed."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from services.clock import Clock
from services.models import GatewayId, InLabel, Sandbox, SandboxId
from services.queues.due import DUE_PREFETCH, QueueRules
from services.queues.facts import AgentFacts, Survey
from services.queues.reader import QueueReader
from services.queues.timestamps import seconds
from services.sources.nanoclaw.central_client import CentralClient, CentralReading
from services.sources.nanoclaw.central_db import PendingRequest, SessionRow
from services.sources.nanoclaw.client import NoAnswer
from services.sources.nanoclaw.containers import AgentContainer, Listing, SessionKey
from services.sources.nanoclaw.folders import NOTHING, Folders, Stamp
from services.sources.nanoclaw.frames import probe
from services.sources.nanoclaw.generation import UNKNOWN_GENERATION, Generation, read_generation
from services.sources.nanoclaw.host_judge import HostEvidence
from services.sources.nanoclaw.host_log import HostLogReader, StartFailure
from services.sources.nanoclaw.install import Install, check
from services.sources.nanoclaw.judge import (
    CONTAINER_GONE_S,
    SessionEvidence,
    SessionJudgement,
    judge,
    lost,
)
from services.sources.nanoclaw.rows import SessionRecord, human_wait, native_ids, to_row
from services.text.format import plural

AT_ONCE = 2
BUDGET_S = 3.0
"""How long one round reads session files; the rest waits for the next."""
LONGEST_REST_S = 5.0
"""A session that matters is read again after this long though its files look unchanged."""
WHOLE_EVERY_S = 30.0
"""A session whose messages keep coming has its other file read at least this often."""
ROTATION = 4
"""How many of the others are read again in a round."""
AGED_S = 1.5
"""A row that says the same as before is confirmed when it is this old."""
_SETTLED_S = 0.05
HOLD_S = 5.0
"""Two looks so far apart make of a row and a list that disagree more than a moment."""
GENERATION_S = 30.0
_YOUNG_S = 6.0
_UNREAD = Survey(AgentFacts(0.0, unread=True, problem="not read yet"))


@dataclass(slots=True)
class TrackedSession:
    """One session between polls."""

    session_key: SessionKey
    native: str
    stamp: Stamp | None = None
    """As of the survey; None: read it again."""
    survey: Survey = _UNREAD
    surveyed_at: float = 0.0
    """Monotonic, as `whole_at`."""
    whole_at: float = 0.0
    """When both files were read, changed or not."""
    alive: bool | None = None
    row_is_current: bool = False
    """Its row says nothing about the time, and nothing it was drawn from has changed."""
    judged: SessionJudgement | None = None
    sandbox: Sandbox | None = None
    contradiction: str = ""
    """What of its row and of the list of containers says running, where they disagree."""
    contradicted_at: float = 0.0
    container: str = ""
    """Id of its container."""
    watched_at: float = 0.0
    """Since when that one has been seen."""


@dataclass(frozen=True, slots=True)
class PollContext:
    """What a poll knows before it reads any session."""

    host: HostEvidence
    listing: Listing
    seen: CentralReading
    stamps: Mapping[SessionKey, Stamp]
    rows: Mapping[SessionKey, SessionRow]
    troubles: Mapping[str, StartFailure]
    waiting: Mapping[str, tuple[PendingRequest, ...]]
    generation: Generation = UNKNOWN_GENERATION

    @property
    def host_started_at(self) -> float | None:
        """When the host has started its code, as far as anything tells."""
        breaker = self.host.breaker
        told = None if breaker is None else breaker.at
        return told if told is not None else self.seen.central.host_started_at


class SessionPoller:
    """Polls one install and keeps what it learned; polls do not overlap."""

    def __init__(self, source: str, install: Install, reader: QueueReader, clock: Clock) -> None:
        self.install = install
        self._source = source
        self._host = GatewayId(source, "host")
        self._reader = reader
        self._clock = clock
        self._central = CentralClient(install, clock)
        self._folders = Folders(install)
        self._errors = HostLogReader(install.error_log)
        self._sessions: dict[SessionKey, TrackedSession] = {}
        self._by_native: dict[str, TrackedSession] = {}
        self._rotation: deque[SessionKey] = deque()
        self._lock = asyncio.Lock()
        self.context: PollContext | None = None
        self._generation = UNKNOWN_GENERATION
        self._generation_read: float | None = None
        self._first_listed = False
        """Whether this runtime ever gave a list that nothing contradicted."""
        self._empty_since: float | None = None
        """Since when every list was empty."""
        self._moved_at: float | None = None
        """The first heartbeat after that."""

    @property
    def folders_denied(self) -> tuple[str, ...]:
        """Groups whose folders could not be listed."""
        return self._folders.denied

    @property
    def folders_present(self) -> bool:
        """Whether there are session folders at all."""
        return self._folders.present

    def session_key(self, native: str) -> SessionKey | None:
        """Where the session of that id lives; None where there is none."""
        known = self._by_native.get(native)
        return None if known is None else known.session_key

    def alive(self, session_key: SessionKey) -> bool | None:
        """Whether a container of it ran the last time anybody looked; None: not known."""
        return None if self.context is None else _alive(self.context, session_key)

    def rules(self, session_key: SessionKey) -> QueueRules:
        """How the code of this install treats the queue files of a session."""
        central = None if self.context is None else self.context.seen.central
        prefetch = (
            DUE_PREFETCH if central is None else central.prefetch.get(session_key[0], DUE_PREFETCH)
        )
        known = self._generation
        return QueueRules(prefetch, known.oldest_first, known.dated)

    def judgement(self, native: str) -> SessionJudgement | None:
        """What it was seen to be in the last round."""
        known = self._by_native.get(native)
        return None if known is None else known.judged

    def row(self, native: str) -> SessionRow | None:
        """Its row in the central DB."""
        session_key = self.session_key(native)
        return (
            None
            if session_key is None or self.context is None
            else self.context.rows.get(session_key)
        )

    async def poll(self, listing: Listing, only: str | None = None) -> tuple[Sandbox, ...]:
        """Read everything that changed; `only` one session for a probe.

        Raises:
            UnavailableError: the install is gone or cannot be read.
        """
        async with self._lock:
            context = await self._gather(listing, only)
            self._track((*context.rows, *context.stamps))
            self._invalidate_rows(context)
            self.context = context
            if only is not None:
                chosen = self._by_native.get(only)
                if chosen is not None:
                    await self._survey(context, [chosen], self._clock.monotonic() + BUDGET_S)
                return () if chosen is None else (self._to_row(context, chosen),)
            await self._survey(
                context, self._due_for_reading(context), self._clock.monotonic() + BUDGET_S
            )
            rows = context.rows
            return tuple(
                [
                    self._to_row(context, one)
                    for key, one in self._sessions.items()
                    if not _spent(rows.get(key)) or key in context.listing.by_session
                ]
            )

    @property
    def spent_tasks(self) -> tuple[str, ...]:
        """Series whose sessions are closed for good, in the order of the table."""
        rows = {} if self.context is None else self.context.rows
        return tuple(row.task for row in rows.values() if _spent(row))

    async def _gather(self, listing: Listing, only: str | None) -> PollContext:
        check(self.install)
        host, seen = await asyncio.gather(probe(self.install, self._clock), self._central.read())
        rows, moved = self._rows(seen)
        if only is not None and (chosen := self.session_key(only)) is not None:
            moved = {*moved, chosen}
        steady = frozenset() if not listing.known else self._steady_sessions(listing)
        stamps = await asyncio.to_thread(
            self._folders.sweep, self._clock.monotonic(), rows, steady, moved
        )
        waiting: dict[str, tuple[PendingRequest, ...]] = {}
        for one in seen.central.waiting:
            if one.session:
                waiting[one.session] = (*waiting.get(one.session, ()), one)
        troubles = self._errors.read()
        await self._read_generation(seen)
        listing = self._believed(listing, rows)
        return PollContext(host, listing, seen, stamps, rows, troubles, waiting, self._generation)

    async def _read_generation(self, seen: CentralReading) -> None:
        now, last = self._clock.monotonic(), self._generation_read
        if last is None or now - last >= GENERATION_S:
            self._generation_read = now
            claims = bool(seen.central.claims)
            self._generation = await asyncio.to_thread(read_generation, self.install, claims=claims)

    def _believed(self, listing: Listing, rows: Mapping[SessionKey, SessionRow]) -> Listing:
        """The listing, unless it is empty beside agents that live: then another daemon answers.

        Heartbeats that move on while lists stay empty contradict them. So do, where this runtime
        never listed anything, a young one or two sessions that should run.
        """
        if not listing.known or listing.containers:
            self._empty_since = self._moved_at = None
            self._first_listed = self._first_listed or listing.known
            return listing
        now = self._clock.now()
        running = [key for key, row in rows.items() if row.container in ("running", "idle")]
        beats = [at for key in running if (at := self._folders.heartbeat(key)) is not None]
        newest = max(beats, default=0.0)
        if self._empty_since is None:
            self._empty_since = listing.at
        if self._moved_at is None and newest > self._empty_since:
            self._moved_at = newest
        moved = self._moved_at
        moving = moved is not None and newest > moved and listing.at >= moved + HOLD_S
        alive = sum(1 for at in beats if now - at < CONTAINER_GONE_S)
        at_once = not self._first_listed and (now - newest < _YOUNG_S or alive > 1)
        if not at_once:
            self._first_listed = True
        if moving or at_once:
            what = plural(len(beats), "agent")
            return replace(
                listing,
                problem=f"docker lists no container while {what} should run and heartbeats are "
                "younger than that: another daemon or context answers",
            )
        return listing

    def _rows(
        self, seen: CentralReading
    ) -> tuple[Mapping[SessionKey, SessionRow], set[SessionKey]]:
        """The rows by session, and whose row is another than in the last round."""
        last = self.context
        if last is not None and seen.central is last.seen.central:
            return last.rows, set()
        rows = {(row.group, row.id): row for row in seen.central.sessions}
        before = {} if last is None else last.rows
        moved = {
            session_key for session_key, row in rows.items() if before.get(session_key) is not row
        }
        moved.update(before.keys() - rows.keys())
        return rows, moved

    def _invalidate_rows(self, context: PollContext) -> None:
        """Rows whose evidence is another than in the last round are drawn anew."""
        last = self.context
        if last is None or _shared(last) != _shared(context):
            for one in self._sessions.values():
                one.row_is_current = False
            return
        changed = {
            session_key
            for session_key, _ in context.listing.by_session.items()
            ^ last.listing.by_session.items()
        }
        if context.rows is not last.rows:
            rows, before = context.rows, last.rows
            changed.update(
                session_key
                for session_key, row in rows.items()
                if before.get(session_key) is not row
            )
            changed.update(before.keys() - rows.keys())
        changed.update(context.stamps.keys() ^ last.stamps.keys())
        named = {
            name
            for now, then in (
                (context.troubles, last.troubles),
                (context.waiting, last.waiting),
            )
            for name in now.keys() | then.keys()
            if now.get(name) != then.get(name)
        }
        if named:
            changed.update(session_key for session_key in self._sessions if session_key[1] in named)
        for session_key in changed:
            if (known := self._sessions.get(session_key)) is not None:
                known.row_is_current = False

    def _steady_sessions(self, listing: Listing) -> frozenset[SessionKey]:
        """Sessions that nothing runs for and nothing was claimed in: their answers are at rest."""
        return frozenset(
            session_key
            for session_key, one in self._sessions.items()
            if one.judged is not None
            and one.judged.steady
            and session_key not in listing.by_session
        )

    def _track(self, session_keys: Iterable[SessionKey]) -> None:
        """Give every session an id, and forget those that are gone."""
        now = dict.fromkeys(session_keys)
        if now.keys() == self._sessions.keys():
            return
        for session_key in self._sessions.keys() - now.keys():
            self._reader.forget(self._folder(session_key))
        ids = native_ids(now)
        before = self._sessions
        self._sessions = {}
        for session_key, native in ids.items():
            kept = before.get(session_key)
            self._sessions[session_key] = (
                kept
                if kept is not None and kept.native == native
                else TrackedSession(session_key, native)
            )
        self._by_native = {one.native: one for one in self._sessions.values()}
        self._rotation = deque(self._sessions)

    def _due_for_reading(self, context: PollContext) -> list[TrackedSession]:
        """Whose files to read in this round, the most urgent first."""
        now = self._clock.monotonic()
        changed: list[tuple[bool, float, TrackedSession]] = []
        listed = context.listing.by_session
        silent = False if context.listing.known else None
        for session_key, stamp in context.stamps.items():
            one = self._sessions[session_key]
            if one.row_is_current and stamp is one.stamp and one.alive is silent is False:
                continue
            active = session_key in listed or (one.judged is not None and not one.judged.steady)
            next_at = one.survey.facts.next_at
            lapsed = next_at is not None and next_at <= self._clock.now()
            old = lapsed or (active and now - one.surveyed_at >= LONGEST_REST_S)
            moved = stamp != one.stamp or _alive(context, session_key) != one.alive
            if stamp is not NOTHING and (moved or old):
                changed.append((not active, -stamp.newest, one))
        changed.sort(key=lambda entry: entry[:2])
        chosen = [one for _, _, one in changed]
        for _ in range(min(ROTATION, len(self._rotation))):
            session_key = self._rotation[0]
            self._rotation.rotate(-1)
            one = self._sessions[session_key]
            rested = now - one.surveyed_at >= LONGEST_REST_S
            if rested and context.stamps.get(session_key, NOTHING) is not NOTHING:
                chosen.append(one)
        return list({one.session_key: one for one in chosen}.values())

    async def _survey(self, context: PollContext, some: list[TrackedSession], until: float) -> None:
        queue = deque(some)

        async def read() -> None:
            while queue and self._clock.monotonic() < until:
                await self._read(context, queue.popleft())

        await asyncio.gather(*(read() for _ in range(min(AT_ONCE, len(some)))))

    async def _read(self, context: PollContext, one: TrackedSession) -> None:
        stamp = context.stamps.get(one.session_key, NOTHING)
        if stamp is NOTHING:
            return
        alive = _alive(context, one.session_key)
        rules = self.rules(one.session_key)
        now = self._clock.monotonic()
        whole = stamp == one.stamp or now - one.whole_at >= WHOLE_EVERY_S
        survey = await self._reader.survey(
            self._folder(one.session_key), alive=alive, rules=rules, whole=whole
        )
        one.whole_at = now if whole else one.whole_at
        if survey != one.survey:
            one.survey, one.row_is_current = survey, False
        one.surveyed_at, one.alive = self._clock.monotonic(), alive
        settled = self._clock.now() - stamp.newest > _SETTLED_S
        one.stamp = stamp if settled and not survey.facts.problem else None

    def _to_row(self, context: PollContext, one: TrackedSession) -> Sandbox:
        now = self._clock.now()
        drawn = one.sandbox
        if drawn is not None and one.row_is_current:
            if not 0 <= now - drawn.observed_at < AGED_S:
                one.sandbox = drawn = _reconfirmed(drawn, now)
            return drawn
        record = self._record(context, one, now)
        one.judged = record.judged
        one.sandbox = to_row(record, context.seen.central, now)
        one.row_is_current = (
            record.judged.steady
            and not record.waiting
            and record.evidence.trouble is None
            and record.evidence.files.heartbeat_at is None
        )
        return one.sandbox

    def _record(self, context: PollContext, one: TrackedSession, now: float) -> SessionRecord:
        session_key, central = one.session_key, context.seen.central
        files = one.survey.facts
        beat = self._folders.heartbeat(session_key) if session_key in context.stamps else None
        files = replace(files, heartbeat_at=beat)
        waiting = context.waiting.get(session_key[1], ())
        row = context.rows.get(session_key)
        paused, human = (
            _paused(row, one.survey),
            human_wait(((w.what, w.title) for w in waiting), lost(files, now)),
        )
        if paused.endswith(_KEPT_FAILING):
            human = f"{paused} {human}".strip()
        seen = SessionEvidence(
            row=row,
            files=files,
            folder=context.stamps.get(session_key, NOTHING) is not NOTHING,
            container=context.listing.by_session.get(session_key),
            runtime=context.listing.known,
            host_up=context.host.up,
            host_started_at=context.host_started_at,
            central=context.seen.known,
            configured=central.configured is None or session_key[0] in central.configured,
            trouble=self._trouble(context, session_key[1]),
            context=dict(one.survey.inbound).get(InLabel.CONTEXT.value, 0),
            human=human,
            paused="" if paused in human else paused,
            mailbox=""
            if context.stamps.get(session_key, NOTHING) is not NOTHING
            else self._folders.mailbox(session_key),
            held=self._holds(context, one, files.heartbeat_at, now),
            generation=context.generation,
            tracked_at=central.claims.get(session_key[1]),
            doubled=session_key in context.listing.doubled,
            watched_at=_watch(one, context.listing.by_session.get(session_key), now),
        )
        return SessionRecord(
            SandboxId(self._source, one.native),
            self._host,
            seen,
            judge(seen, now),
            one.survey,
            waiting,
            central.dropped.get(row.chat, 0) if row is not None and row.chat is not None else 0,
            context.listing.problem,
            session_key[0],
        )

    def _trouble(self, context: PollContext, session: str) -> StartFailure | None:
        """Why its last start failed: told of the session, or of its container by name."""
        found = context.troubles.get(session)
        named = context.troubles.get(container_name(self.install, session))
        if found is None or named is None:
            return found or named
        return found if found.at >= named.at else named

    def _holds(
        self, context: PollContext, one: TrackedSession, beat: float | None, now: float
    ) -> bool:
        """Whether row and list disagree, and both were not yet looked at again after that."""
        row, listing = context.rows.get(one.session_key), context.listing
        kind = ""
        if row is not None and context.seen.known and listing.known:
            said = row.container in ("running", "idle")
            if said != (one.session_key in listing.by_session):
                kind = "row" if said else "list"
        if kind != one.contradiction:
            one.contradiction, one.contradicted_at = kind, now
        # Nobody writes the row of a host that is gone: it stays as it is.
        if not kind or context.host.no_answer in (NoAnswer.ABSENT, NoAnswer.REFUSED):
            return False
        if kind == "row" and row is not None:
            signs = (beat, seconds(row.last_active))
            if all(at is None or now - at > CONTAINER_GONE_S for at in signs):
                return False
        again = one.contradicted_at + HOLD_S
        return not (listing.at >= again and context.seen.at >= again)

    def _folder(self, session_key: SessionKey) -> Path:
        return self.install.sessions / session_key[0] / session_key[1]


def _spent(row: SessionRow | None) -> bool:
    """Whether it is the closed session of a task that never runs again."""
    return row is not None and row.status == "closed" and bool(row.task)


_KEPT_FAILING = "its script kept failing."
_AUTO_PAUSE = 8
"""Failures in a row after which a host pauses a series (upstream/nanoclaw: Scheduled work)."""


def _paused(row: SessionRow | None, survey: Survey) -> str:
    """That a task is paused, and why as far as its rows tell; empty where it is not."""
    if row is None or not row.task or not survey.series:
        return ""
    if not all(one.paused for one in survey.series):
        return ""
    failed = dict(survey.inbound).get(InLabel.SCRIPT_FAILED.value, 0)
    return f"Task paused: {_KEPT_FAILING}" if failed >= _AUTO_PAUSE else "Task paused."


def container_name(install: Install, session: str) -> str:
    """What a newer host calls a session's container (upstream/nanoclaw: Containers)."""
    return f"ncl-{install.slug}-{_UNNAMED.sub('-', session)}"


_UNNAMED = re.compile(r"[^A-Za-z0-9_.-]")


def _watch(one: TrackedSession, container: AgentContainer | None, now: float) -> float | None:
    """Since when its container has been seen here."""
    if container is None:
        one.container = ""
        return None
    if one.container != container.id:
        one.container, one.watched_at = container.id, now
    return one.watched_at


def _alive(context: PollContext, session_key: SessionKey) -> bool | None:
    if context.listing.known:
        return session_key in context.listing.by_session
    row = context.rows.get(session_key)
    return False if row is not None and row.container == "stopped" else None


def _shared(context: PollContext) -> tuple[object, ...]:
    """What the rows of all sessions are drawn from, beside their own."""
    central = context.seen.central
    return (
        context.listing.problem,
        context.listing.known,
        context.host.up,
        context.host.breaker,
        context.generation,
        context.seen.known,
        central.groups,
        central.chats,
        central.dropped,
        central.configured,
    )


def _reconfirmed(drawn: Sandbox, now: float) -> Sandbox:
    """The same row, confirmed now."""
    return replace(drawn, observed_at=now)
