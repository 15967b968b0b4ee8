"""One round over an install: host, containers, central DB, and every session that changed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from services.clock import Clock
from services.models import GatewayId, InLabel, Sandbox, SandboxId
from services.queues.due import DUE_PREFETCH
from services.queues.facts import AgentFacts, Survey
from services.queues.reader import QueueReader
from services.sources.nanoclaw.central_client import CentralEye, Seen
from services.sources.nanoclaw.central_db import SessionRow, Waiting
from services.sources.nanoclaw.containers import Home, Listing
from services.sources.nanoclaw.folders import NOTHING, Folders, Stamp
from services.sources.nanoclaw.host_judge import HostEvidence
from services.sources.nanoclaw.host_log import LogEye, Trouble
from services.sources.nanoclaw.host_probe import probe
from services.sources.nanoclaw.install import Install, check
from services.sources.nanoclaw.judge import Evidence, Judgement, judge
from services.sources.nanoclaw.names import human_wait, native_ids
from services.sources.nanoclaw.rows import Subject, portray

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
_UNREAD = Survey(AgentFacts(0.0, unread=True, problem="not read yet"))


@dataclass(slots=True)
class Known:
    """One session between rounds."""

    home: Home
    native: str
    stamp: Stamp | None = None
    """As of the survey; None: read it again."""
    survey: Survey = _UNREAD
    surveyed_at: float = 0.0
    """Monotonic, as `whole_at`."""
    whole_at: float = 0.0
    """When both files were read, changed or not."""
    alive: bool | None = None
    quiet: bool = False
    """Its row says nothing about the time, and nothing it was drawn from has changed."""
    judged: Judgement | None = None
    sandbox: Sandbox | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """What a round knows before it looks at any session."""

    host: HostEvidence
    listing: Listing
    seen: Seen
    stamps: Mapping[Home, Stamp]
    rows: Mapping[Home, SessionRow]
    troubles: Mapping[str, Trouble]
    waiting: Mapping[str, tuple[Waiting, ...]]


class Census:
    """What is remembered of one install; rounds do not overlap."""

    def __init__(self, source: str, install: Install, reader: QueueReader, clock: Clock) -> None:
        self.install = install
        self._source = source
        self._host = GatewayId(source, "host")
        self._reader = reader
        self._clock = clock
        self._eye = CentralEye(install, clock)
        self._folders = Folders(install)
        self._errors = LogEye(install.error_log)
        self._known: dict[Home, Known] = {}
        self._by_native: dict[str, Known] = {}
        self._rotation: deque[Home] = deque()
        self._lock = asyncio.Lock()
        self.context: Context | None = None

    @property
    def folders_denied(self) -> tuple[str, ...]:
        """Groups whose folders could not be listed."""
        return self._folders.denied

    @property
    def folders_present(self) -> bool:
        """Whether there are session folders at all."""
        return self._folders.present

    def home(self, native: str) -> Home | None:
        """Where the session of that id lives; None where there is none."""
        known = self._by_native.get(native)
        return None if known is None else known.home

    def alive(self, home: Home) -> bool | None:
        """Whether a container of it ran the last time anybody looked; None: not known."""
        return None if self.context is None else _alive(self.context, home)

    def judgement(self, native: str) -> Judgement | None:
        """What it was seen to be in the last round."""
        known = self._by_native.get(native)
        return None if known is None else known.judged

    def row(self, native: str) -> SessionRow | None:
        """Its row in the central DB."""
        home = self.home(native)
        return None if home is None or self.context is None else self.context.rows.get(home)

    async def round(self, listing: Listing, only: str | None = None) -> tuple[Sandbox, ...]:
        """Look at everything that changed; `only` one session for a probe.

        Raises:
            UnavailableError: the install is gone or cannot be read.
        """
        async with self._lock:
            context = await self._look(listing, only)
            self._meet((*context.rows, *context.stamps))
            self._wake_rows(context)
            self.context = context
            if only is not None:
                chosen = self._by_native.get(only)
                if chosen is not None:
                    await self._survey(context, [chosen], self._clock.monotonic() + BUDGET_S)
                return () if chosen is None else (self._draw(context, chosen),)
            await self._survey(context, self._stale(context), self._clock.monotonic() + BUDGET_S)
            return tuple([self._draw(context, one) for one in self._known.values()])

    async def _look(self, listing: Listing, only: str | None) -> Context:
        check(self.install)
        host, seen = await asyncio.gather(probe(self.install, self._clock), self._eye.look())
        rows, moved = self._rows(seen)
        if only is not None and (chosen := self.home(only)) is not None:
            moved = {*moved, chosen}
        still = frozenset() if not listing.known else self._still(listing)
        stamps = await asyncio.to_thread(
            self._folders.sweep, self._clock.monotonic(), rows, still, moved
        )
        waiting: dict[str, tuple[Waiting, ...]] = {}
        for one in seen.central.waiting:
            if one.session:
                waiting[one.session] = (*waiting.get(one.session, ()), one)
        troubles = self._errors.look()
        return Context(host, listing, seen, stamps, rows, troubles, waiting)

    def _rows(self, seen: Seen) -> tuple[Mapping[Home, SessionRow], set[Home]]:
        """The rows by session, and whose row is another than in the last round."""
        last = self.context
        if last is not None and seen.central is last.seen.central:
            return last.rows, set()
        rows = {(row.group, row.id): row for row in seen.central.sessions}
        before = {} if last is None else last.rows
        moved = {home for home, row in rows.items() if before.get(home) is not row}
        moved.update(before.keys() - rows.keys())
        return rows, moved

    def _wake_rows(self, context: Context) -> None:
        """Rows whose evidence is another than in the last round are drawn anew."""
        last = self.context
        if last is None or _shared(last) != _shared(context):
            for one in self._known.values():
                one.quiet = False
            return
        changed = {
            home for home, _ in context.listing.by_home.items() ^ last.listing.by_home.items()
        }
        if context.rows is not last.rows:
            rows, before = context.rows, last.rows
            changed.update(home for home, row in rows.items() if before.get(home) is not row)
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
            changed.update(home for home in self._known if home[1] in named)
        for home in changed:
            if (known := self._known.get(home)) is not None:
                known.quiet = False

    def _still(self, listing: Listing) -> frozenset[Home]:
        """Sessions that nothing runs for and nothing was claimed in: their answers are at rest."""
        return frozenset(
            home
            for home, one in self._known.items()
            if one.judged is not None and one.judged.steady and home not in listing.by_home
        )

    def _meet(self, homes: Iterable[Home]) -> None:
        """Give every session an id, and forget those that are gone."""
        now = dict.fromkeys(homes)
        if now.keys() == self._known.keys():
            return
        for home in self._known.keys() - now.keys():
            self._reader.forget(self._folder(home))
        ids = native_ids(now)
        before = self._known
        self._known = {}
        for home, native in ids.items():
            kept = before.get(home)
            self._known[home] = (
                kept if kept is not None and kept.native == native else Known(home, native)
            )
        self._by_native = {one.native: one for one in self._known.values()}
        self._rotation = deque(self._known)

    def _stale(self, context: Context) -> list[Known]:
        """Whose files to read in this round, the most urgent first."""
        now = self._clock.monotonic()
        changed: list[tuple[bool, float, Known]] = []
        listed = context.listing.by_home
        silent = False if context.listing.known else None
        for home, stamp in context.stamps.items():
            one = self._known[home]
            if one.quiet and stamp is one.stamp and one.alive is silent is False:
                continue
            active = home in listed or (one.judged is not None and not one.judged.steady)
            old = active and now - one.surveyed_at >= LONGEST_REST_S
            moved = stamp != one.stamp or _alive(context, home) != one.alive
            if stamp is not NOTHING and (moved or old):
                changed.append((not active, -stamp.newest, one))
        changed.sort(key=lambda entry: entry[:2])
        chosen = [one for _, _, one in changed]
        for _ in range(min(ROTATION, len(self._rotation))):
            home = self._rotation[0]
            self._rotation.rotate(-1)
            one = self._known[home]
            rested = now - one.surveyed_at >= LONGEST_REST_S
            if rested and context.stamps.get(home, NOTHING) is not NOTHING:
                chosen.append(one)
        return list({one.home: one for one in chosen}.values())

    async def _survey(self, context: Context, some: list[Known], until: float) -> None:
        queue = deque(some)

        async def read() -> None:
            while queue and self._clock.monotonic() < until:
                await self._read(context, queue.popleft())

        await asyncio.gather(*(read() for _ in range(min(AT_ONCE, len(some)))))

    async def _read(self, context: Context, one: Known) -> None:
        stamp = context.stamps.get(one.home, NOTHING)
        if stamp is NOTHING:
            return
        alive = _alive(context, one.home)
        prefetch = context.seen.central.prefetch.get(one.home[0], DUE_PREFETCH)
        now = self._clock.monotonic()
        whole = stamp == one.stamp or now - one.whole_at >= WHOLE_EVERY_S
        survey = await self._reader.survey(
            self._folder(one.home), alive=alive, prefetch=prefetch, whole=whole
        )
        one.whole_at = now if whole else one.whole_at
        if survey != one.survey:
            one.survey, one.quiet = survey, False
        one.surveyed_at, one.alive = self._clock.monotonic(), alive
        settled = self._clock.now() - stamp.newest > _SETTLED_S
        one.stamp = stamp if settled and not survey.facts.problem else None

    def _draw(self, context: Context, one: Known) -> Sandbox:
        now = self._clock.now()
        drawn = one.sandbox
        if drawn is not None and one.quiet:
            if not 0 <= now - drawn.observed_at < AGED_S:
                one.sandbox = drawn = _again(drawn, now)
            return drawn
        subject = self._subject(context, one, now)
        one.judged = subject.judged
        one.sandbox = portray(subject, context.seen.central, now)
        one.quiet = (
            subject.judged.steady
            and not subject.waiting
            and subject.evidence.trouble is None
            and subject.evidence.files.heartbeat_at is None
        )
        return one.sandbox

    def _subject(self, context: Context, one: Known, now: float) -> Subject:
        home, central = one.home, context.seen.central
        files = one.survey.facts
        beat = self._folders.heartbeat(home) if home in context.stamps else None
        files = replace(files, heartbeat_at=beat)
        waiting = context.waiting.get(home[1], ())
        row = context.rows.get(home)
        seen = Evidence(
            row=row,
            files=files,
            folder=context.stamps.get(home, NOTHING) is not NOTHING,
            container=context.listing.by_home.get(home),
            runtime=context.listing.known,
            host_up=context.host.up,
            host_started_at=None if context.host.breaker is None else context.host.breaker.at,
            central=context.seen.known,
            configured=central.configured is None or home[0] in central.configured,
            trouble=context.troubles.get(home[1]),
            context=dict(one.survey.inbound).get(InLabel.CONTEXT.value, 0),
            human=human_wait((w.what, w.title) for w in waiting),
        )
        return Subject(
            SandboxId(self._source, one.native),
            self._host,
            seen,
            judge(seen, now),
            one.survey,
            waiting,
            central.dropped.get(row.chat, 0) if row is not None and row.chat is not None else 0,
            context.listing.problem,
            home[0],
        )

    def _folder(self, home: Home) -> Path:
        return self.install.sessions / home[0] / home[1]


def _alive(context: Context, home: Home) -> bool | None:
    if context.listing.known:
        return home in context.listing.by_home
    row = context.rows.get(home)
    return False if row is not None and row.container == "stopped" else None


def _shared(context: Context) -> tuple[object, ...]:
    """What the rows of all sessions are drawn from, beside their own."""
    central = context.seen.central
    return (
        context.listing.problem,
        context.listing.known,
        context.host.up,
        context.host.breaker,
        context.seen.known,
        central.groups,
        central.chats,
        central.dropped,
        central.configured,
    )


def _again(drawn: Sandbox, now: float) -> Sandbox:
    """The same row, confirmed now."""
    return Sandbox(
        drawn.id,
        drawn.name,
        drawn.state,
        drawn.reason,
        now,
        drawn.gateway,
        drawn.activity,
        drawn.tool,
        drawn.evidence,
        drawn.inbound,
        drawn.outbound,
        drawn.asleep_by_design,
        drawn.unavailable,
        drawn.stale,
    )
