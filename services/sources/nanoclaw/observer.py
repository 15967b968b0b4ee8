"""Observes one NanoClaw install; read-only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from services.clock import Clock
from services.errors import NotFoundError, UnavailableError
from services.logs.reader import LogRecord
from services.models import (
    Direction,
    Facts,
    Gateway,
    GatewayId,
    GatewayState,
    LogStream,
    Observation,
    QueueSnapshot,
    SandboxId,
    Source,
)
from services.queues.reader import QueueReader
from services.sources.nanoclaw import (
    coordination,
    health,
    host_judge,
    logs,
    tasks,
    usage,
)
from services.sources.nanoclaw.containers import ContainerListings, Listing, SessionKey
from services.sources.nanoclaw.engagement import NudgePlan, plan
from services.sources.nanoclaw.install import Install, find
from services.sources.nanoclaw.poller import SessionPoller
from services.sources.nanoclaw.tracked import PollContext
from services.sources.nanoclaw.verdicts import verdict
from services.sources.protocol.verdict import Verdict, VerdictKind
from services.text.format import sentence
from services.text.sanitize import sanitize


class NanoClawObserver:
    """One install as a source. It is looked for at the first look, and again while it is gone."""

    def __init__(
        self,
        info: Source,
        root: str,
        clock: Clock,
        *,
        nudge_text: str,
        nudge_sender: str,
        candidates: Sequence[Path] | None = None,
    ) -> None:
        """`candidates` are the folders tried where `root` is empty; None: the usual places."""
        self.info = info
        self._root = root
        self._clock = clock
        self._candidates = candidates
        self._nudge = (nudge_text, nudge_sender)
        self._reader = QueueReader(clock, follow=True)
        # Counts of every session and the page of one are different polls of the same files.
        self._survey_reader = QueueReader(clock, follow=True)
        self._poller: SessionPoller | None = None
        self._listings: ContainerListings | None = None
        self._health: health.HealthReader | None = None

    async def observe(self) -> Observation:
        poller, listings = self._opened()
        listing = await listings.latest()
        sandboxes = await poller.poll(listing)
        assert poller.context is not None
        return Observation(
            self.info.key,
            self._clock.now(),
            self._gateways(poller, poller.context, len(sandboxes)),
            sandboxes,
        )

    async def queue(self, sandbox: SandboxId, window: int) -> QueueSnapshot:
        poller, _ = self._opened()
        session_key = self._session_key(poller, sandbox)
        return await self._reader.snapshot(
            sandbox,
            folder(poller.install, session_key),
            window,
            alive=poller.alive(session_key),
            rules=poller.rules(session_key),
        )

    async def content(self, sandbox: SandboxId, direction: Direction, message: str) -> str:
        poller, _ = self._opened()
        session_key = self._session_key(poller, sandbox)
        return await self._reader.content(folder(poller.install, session_key), direction, message)

    async def describe(self, sandbox: SandboxId) -> Facts:
        """As `Describes`: what is known of a series of tasks; nothing more of a chat."""
        poller, _ = self._opened()
        session_key = self._session_key(poller, sandbox)
        row = poller.row(sandbox.native_id)
        if row is None or not row.task or poller.context is None:
            return ()
        place = folder(poller.install, session_key)
        # A reader of its own: the page of the panel and the surveys keep theirs.
        page = await QueueReader(self._clock).snapshot(
            sandbox,
            place,
            _RUNS_READ,
            alive=poller.alive(session_key),
            rules=poller.rules(session_key),
        )
        group = poller.context.seen.central.folders.get(row.group, "")
        told = await tasks.read_details(poller.install, row, group)
        return (*told[:1], *tasks.last_result(page.messages), *told[1:])

    async def probe(self, sandbox: SandboxId) -> Verdict:
        try:
            poller, listings = self._opened()
            await poller.poll(await listings.latest(), only=sandbox.native_id)
        except UnavailableError as error:
            return Verdict(VerdictKind.UNKNOWN, error.sentence, advice=error.advice)
        judged = poller.judgement(sandbox.native_id)
        context = poller.context
        if judged is None or context is None:
            return Verdict(
                VerdictKind.TERMINAL,
                f"{self.info.label} has no session {sanitize(sandbox.native_id, 80)}.",
                advice="It may belong to another install, or its folder and row are gone.",
            )
        now = self._clock.now()
        return verdict(
            host_judge.judge(context.host, now),
            judged,
            self.nudge_plan(sandbox),
            poller.install.service,
            now,
            adopts=context.generation.adopts,
        )

    async def log_streams(self, sandbox: SandboxId) -> tuple[LogStream, ...]:
        poller, _ = self._opened()
        self._session_key(poller, sandbox)
        return logs.STREAMS

    async def logs(
        self, sandbox: SandboxId, stream: str = "", since: float | None = None
    ) -> AsyncIterator[LogRecord]:
        poller, listings = self._opened()
        session_key = self._session_key(poller, sandbox)
        lines = logs.stream(poller.install, listings, session_key, self._clock, stream)
        try:
            async for line in lines:
                yield line
        finally:
            await lines.aclose()  # type: ignore[attr-defined]

    async def close(self) -> None:
        """Files are never kept open; a listing or a reading that runs is ended."""
        if self._health is not None:
            await self._health.close()
        if self._listings is not None:
            await self._listings.close()

    def nudge_plan(self, sandbox: SandboxId, text: str | None = None) -> NudgePlan:
        """What a nudge of this session would do, from what was seen last; nothing is looked at."""
        words, sender = self._nudge
        poller = self._poller
        if poller is None or poller.context is None:
            return NudgePlan(words, sender, refusal="nothing is known of it yet")
        central = poller.context.seen.central
        row = poller.row(sandbox.native_id)
        return plan(central, row, words if text is None else text, sender)

    async def locate(self, sandbox: SandboxId) -> tuple[Install, SessionKey, Listing]:
        """Where a session lives and what runs now, asked of the container runtime afresh.

        Raises:
            NotFoundError: no such session.
            UnavailableError: the install is gone.
        """
        poller, listings = self._opened()
        if poller.context is None:
            await poller.poll(await listings.latest())
        return poller.install, self._session_key(poller, sandbox), await listings.refresh()

    def _opened(self) -> tuple[SessionPoller, ContainerListings]:
        if self._poller is None or self._listings is None:
            install = find(self._root, self._candidates)
            self._poller = SessionPoller(self.info.key, install, self._survey_reader, self._clock)
            self._listings = ContainerListings(install, self._clock)
            self._health = health.HealthReader(install, self._clock)
        return self._poller, self._listings

    def _session_key(self, poller: SessionPoller, sandbox: SandboxId) -> SessionKey:
        session_key = poller.session_key(sandbox.native_id)
        if session_key is None:
            name = sanitize(sandbox.native_id, 80)
            raise NotFoundError(f"{self.info.label} has no session {name}.")
        return session_key

    def _gateways(
        self, poller: SessionPoller, context: PollContext, sessions: int
    ) -> tuple[Gateway, ...]:
        now = self._clock.now()
        state, reason = host_judge.judge(context.host, now)
        problem = context.seen.problem
        rows = list(host_judge.facts(context.host, now))
        rows += health.host_facts(context, poller.errors, now)
        rows += coordination.host_facts(context.seen.central.orders, up=context.host.up, now=now)
        rows += _spent(poller)
        if unread := poller.unread:
            rows.append(("reading", f"{unread} of {sessions} sessions not read yet"))
        refusal = context.generation.refuses_start
        if refusal and state is GatewayState.DOWN:
            reason = f"The host refuses to start: {refusal}. /update-nanoclaw is the way out."
        elif refusal:
            rows.append(("next start", f"will be refused: {refusal}"))
        rows += [("root", sanitize(str(poller.install.root), 200)), ("slug", poller.install.slug)]
        rows.append(("central DB", _central_fact(context)))
        if not poller.folders_present and context.rows:
            rows.append(("session folders", "none: this install keeps its messages elsewhere"))
        for name in poller.folders_denied:
            rows.append(("unreadable group", sanitize(name, 120)))
        groups = context.seen.central.groups
        rows += usage.install_facts(poller.surveys, groups)
        if self._health is not None:
            rows += health.install_facts(self._health.latest(), groups, now)
        if problem:
            reason = f"{reason} {_central_problem(problem, context)}".strip()
        host = Gateway(
            GatewayId(self.info.key, "host"),
            "host",
            state,
            reason,
            now,
            address=sanitize(str(poller.install.root), 200),
            latency_s=context.host.latency_s,
            evidence=tuple(rows),
        )
        return host, _containers(GatewayId(self.info.key, "containers"), context, now)


def _spent(poller: SessionPoller) -> list[tuple[str, str]]:
    """What is folded away."""
    spent = poller.spent_tasks
    shown = ", ".join(sanitize(one, 60) for one in spent[-_SPENT_SHOWN:])
    return [("spent tasks", f"{len(spent)}: {shown}")] if spent else []


_SPENT_SHOWN = 8
_RUNS_READ = 50
"""The newest rows of a series among which its last run is looked for."""


def folder(install: Install, session_key: SessionKey) -> Path:
    """Where a session's files are."""
    return install.sessions / session_key[0] / session_key[1]


def _central_problem(problem: str, context: PollContext) -> str:
    if not context.seen.known:
        return sentence(f"Sessions are known by their folders alone: {problem}")
    source = (
        "the host's own lists are shown" if context.seen.from_host else "the last good is shown"
    )
    return sentence(f"The central DB cannot be read, {source}: {problem}")


def _central_fact(context: PollContext) -> str:
    count = len(context.seen.central.sessions)
    if not context.seen.known:
        return f"unreadable: {context.seen.problem}"
    way = "asked of the host" if context.seen.from_host else "read"
    return f"{way}, {count} sessions, {len(context.seen.central.groups)} groups"


def _containers(identity: GatewayId, context: PollContext, now: float) -> Gateway:
    listing = context.listing
    if listing.known:
        homeless = [one for one in listing.containers if one.session_key is None]
        rows = [("running", str(len(listing.containers)))]
        rows += [("whose is it", one.name) for one in homeless[:10]]
        state, reason = GatewayState.READY, ""
        if homeless:
            reason = f"{len(homeless)} of its containers belong to no session folder seen here."
    else:
        state = GatewayState.DOWN if listing.installed else GatewayState.ABSENT
        rows = []
        reason = sentence(f"Container state unknown: {sanitize(listing.problem, 200)}")
    return Gateway(
        identity,
        "containers (docker)",
        state,
        reason,
        now,
        latency_s=listing.latency_s,
        evidence=tuple(rows),
    )
