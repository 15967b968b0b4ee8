"""One poll of an install: host, containers, central DB, and every session that changed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from services.clock import Clock
from services.models import GatewayId, InLabel, Sandbox, SandboxId
from services.queues.due import QueueRules
from services.queues.facts import Survey
from services.queues.reader import QueueReader
from services.sources.nanoclaw.central_client import CentralClient, CentralReading
from services.sources.nanoclaw.central_db import PendingRequest, SessionRow
from services.sources.nanoclaw.containers import Listing, SessionKey
from services.sources.nanoclaw.evidence import SessionEvidence, SessionJudgement, lost
from services.sources.nanoclaw.folders import NOTHING, Folders
from services.sources.nanoclaw.frames import probe
from services.sources.nanoclaw.generation import (
    DOCKER,
    UNKNOWN_GENERATION,
    read_generation,
)
from services.sources.nanoclaw.host_log import HostLogReader, LoggedError
from services.sources.nanoclaw.install import Install, check
from services.sources.nanoclaw.joins import ListBelief, hold, is_alive, trouble_of, watch
from services.sources.nanoclaw.judge import judge
from services.sources.nanoclaw.rows import SessionRecord, human_wait, native_ids, to_row
from services.sources.nanoclaw.surveyor import SessionSurveyor, queue_rules
from services.sources.nanoclaw.tasks import KEPT_FAILING, is_spent, paused_task
from services.sources.nanoclaw.tracked import (
    PollContext,
    TrackedSession,
    reconfirmed,
    shared_evidence,
)

AGED_S = 1.5
"""A row that says the same as before is confirmed when it is this old."""
GENERATION_S = 30.0


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
        self._surveyor = SessionSurveyor(install, reader, clock)
        self._errors = HostLogReader(install.error_log)
        self._sessions: dict[SessionKey, TrackedSession] = {}
        self._by_native: dict[str, TrackedSession] = {}
        self._lock = asyncio.Lock()
        self.context: PollContext | None = None
        self._generation = UNKNOWN_GENERATION
        self._generation_read: float | None = None
        self._lists = ListBelief()

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
        one = self._sessions.get(session_key)
        return None if self.context is None or one is None else is_alive(self.context, one)

    def rules(self, session_key: SessionKey) -> QueueRules:
        """How the code of this install treats the queue files of a session."""
        if self.context is None:
            return QueueRules(oldest_first=None, dated=None)
        return queue_rules(self.context, session_key)

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
                    await self._surveyor.read(context, [chosen])
                now = self._clock.now()
                return () if chosen is None else (self._to_row(context, chosen, now),)
            await self._surveyor.read(context, self._surveyor.due(context, self._sessions))
            rows, now = context.rows, self._clock.now()
            return tuple(
                [
                    self._to_row(context, one, now)
                    for key, one in self._sessions.items()
                    if not is_spent(rows.get(key)) or key in context.listing.by_session
                ]
            )

    @property
    def spent_tasks(self) -> tuple[str, ...]:
        """Series whose sessions are closed for good, in the order of the table."""
        rows = {} if self.context is None else self.context.rows
        return tuple(row.task for row in rows.values() if is_spent(row))

    @property
    def unread(self) -> int:
        """Sessions with files that were not read yet."""
        stamps = {} if self.context is None else self.context.stamps
        return sum(
            not one.surveyed_at and stamps.get(key, NOTHING) is not NOTHING
            for key, one in self._sessions.items()
        )

    @property
    def surveys(self) -> Iterator[tuple[SessionKey, Survey]]:
        """What was read of each session, spent tasks included."""
        return ((key, one.survey) for key, one in self._sessions.items())

    @property
    def errors(self) -> tuple[LoggedError, ...]:
        """What the host's error log said last."""
        return self._errors.errors

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
        if self._generation.driver not in ("", DOCKER):
            # What docker lists is not what this host runs.
            problem = f"its sessions run on {self._generation.driver}, which is not read here"
            listing = Listing(listing.at, problem=problem, installed=False)
        running = [key for key, row in rows.items() if row.container in ("running", "idle")]
        beats = [at for key in running if (at := self._folders.heartbeat(key)) is not None]
        listing = self._lists.check(listing, beats, self._clock.now())
        return PollContext(host, listing, seen, stamps, rows, troubles, waiting, self._generation)

    async def _read_generation(self, seen: CentralReading) -> None:
        now, last = self._clock.monotonic(), self._generation_read
        if last is None or now - last >= GENERATION_S:
            self._generation_read = now
            claims = bool(seen.central.claims)
            before = self._generation.driver
            found = await asyncio.to_thread(read_generation, self.install, claims=claims)
            self._generation = replace(found, driver=found.driver or before)

    def _rows(
        self, seen: CentralReading
    ) -> tuple[Mapping[SessionKey, SessionRow], set[SessionKey]]:
        """The rows by session, and whose row is another than in the last round."""
        last = self.context
        if last is not None and seen.central is last.seen.central:
            return last.rows, set()
        known = self._sessions
        rows: dict[SessionKey, SessionRow] = {}
        for row in seen.central.sessions:
            key = (row.group, row.id)
            rows[known[key].session_key if key in known else key] = row
        before = {} if last is None else last.rows
        moved = {
            session_key for session_key, row in rows.items() if before.get(session_key) is not row
        }
        moved.update(before.keys() - rows.keys())
        return rows, moved

    def _invalidate_rows(self, context: PollContext) -> None:
        """Rows whose evidence is another than in the last round are drawn anew."""
        last = self.context
        if last is None or shared_evidence(last) != shared_evidence(context):
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
                (context.seen.central.orders.sessions, last.seen.central.orders.sessions),
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
        """Sessions that nothing runs for and nothing was claimed in, or that wait to be read."""
        running = listing.by_session
        return frozenset(
            [
                key
                for key, one in self._sessions.items()
                if one.judged is not None
                and (one.judged.steady or not one.surveyed_at)
                and key not in running
            ]
        )

    def _track(self, session_keys: Iterable[SessionKey]) -> None:
        """Give every session an id, and forget those that are gone."""
        now = dict.fromkeys(session_keys)
        if now.keys() == self._sessions.keys():
            return
        for session_key in self._sessions.keys() - now.keys():
            self._reader.forget(f"{self.install.sessions}/{session_key[0]}/{session_key[1]}")
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
        self._surveyor.track(self._sessions)
        self._folders.share(self._sessions)

    def _to_row(self, context: PollContext, one: TrackedSession, now: float) -> Sandbox:
        drawn = one.sandbox
        if drawn is not None and one.row_is_current:
            if not 0 <= now - drawn.observed_at < AGED_S:
                one.sandbox = drawn = reconfirmed(drawn, now)
            return drawn
        record = self._record(context, one, now)
        one.judged = record.judged
        one.sandbox = to_row(record, context.seen.central, now)
        one.row_is_current = (
            (record.judged.steady or _rests_unread(one, record.evidence))
            and not record.waiting
            and one.session_key[1] not in context.seen.central.orders.sessions
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
            paused_task(row, one.survey),
            human_wait(waiting, lost(files, now)),
        )
        if paused.endswith(KEPT_FAILING):
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
            trouble=trouble_of(context, self.install, session_key[1]),
            context=dict(one.survey.inbound).get(InLabel.CONTEXT.value, 0),
            human=human,
            paused="" if paused in human else paused,
            mailbox=""
            if context.stamps.get(session_key, NOTHING) is not NOTHING
            else self._folders.mailbox(session_key),
            held=hold(context, one, files.heartbeat_at, now),
            generation=context.generation,
            tracked_at=central.claims.get(session_key[1]),
            doubled=session_key in context.listing.doubled,
            watched_at=watch(one, context.listing.by_session.get(session_key), now),
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


def _rests_unread(one: TrackedSession, seen: SessionEvidence) -> bool:
    """Whether all that is known is that it does not run: so it stays until its files are read."""
    stopped = seen.row is None or seen.row.container == "stopped"
    return not one.surveyed_at and stopped and seen.container is None and not seen.held
