"""Looks at one NanoClaw install; writes nothing of it, signals nothing, starts nothing in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from services.clock import Clock
from services.errors import NotFoundError, UnavailableError
from services.log_streams import LogStream
from services.models import (
    Direction,
    Gateway,
    GatewayId,
    GatewayState,
    Observation,
    QueueSnapshot,
    SandboxId,
    Source,
    Verdict,
    VerdictKind,
)
from services.queues.reader import QueueReader
from services.sources.nanoclaw import host_judge, logs
from services.sources.nanoclaw.container_listing import Runtime
from services.sources.nanoclaw.containers import Home, Listing
from services.sources.nanoclaw.engagement import NudgePlan, plan
from services.sources.nanoclaw.install import Install, find
from services.sources.nanoclaw.poller import Census, Context
from services.sources.nanoclaw.verdicts import verdict
from services.text.format import sentence
from services.text.sanitize import plain


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
        self._glance = QueueReader(clock, follow=True)
        self._census: Census | None = None
        self._runtime: Runtime | None = None

    async def observe(self) -> Observation:
        census, runtime = self._opened()
        listing = await runtime.look()
        sandboxes = await census.round(listing)
        assert census.context is not None
        return Observation(
            self.info.key, self._clock.now(), self._gateways(census, census.context), sandboxes
        )

    async def queue(self, sandbox: SandboxId, window: int) -> QueueSnapshot:
        census, _ = self._opened()
        home = self._home(census, sandbox)
        return await self._reader.snapshot(
            sandbox, folder(census.install, home), window, alive=census.alive(home)
        )

    async def content(self, sandbox: SandboxId, direction: Direction, message: str) -> str:
        census, _ = self._opened()
        home = self._home(census, sandbox)
        return await self._reader.content(folder(census.install, home), direction, message)

    async def probe(self, sandbox: SandboxId) -> Verdict:
        try:
            census, runtime = self._opened()
            await census.round(await runtime.look(), only=sandbox.native_id)
        except UnavailableError as error:
            return Verdict(VerdictKind.UNKNOWN, error.sentence, advice=error.advice)
        judged = census.judgement(sandbox.native_id)
        context = census.context
        if judged is None or context is None:
            return Verdict(
                VerdictKind.TERMINAL,
                f"{self.info.label} has no session {plain(sandbox.native_id, 80)}.",
                advice="It may belong to another install, or its folder and row are gone.",
            )
        now = self._clock.now()
        return verdict(
            host_judge.judge(context.host, now),
            judged,
            self.nudge_plan(sandbox),
            census.install.service,
            now,
        )

    async def log_streams(self, sandbox: SandboxId) -> tuple[LogStream, ...]:
        census, _ = self._opened()
        self._home(census, sandbox)
        return logs.STREAMS

    async def logs(self, sandbox: SandboxId, stream: str = "") -> AsyncIterator[str]:
        census, runtime = self._opened()
        home = self._home(census, sandbox)
        lines = logs.stream(census.install, runtime, home, self._clock, stream)
        try:
            async for line in lines:
                yield line
        finally:
            await lines.aclose()  # type: ignore[attr-defined]

    async def close(self) -> None:
        """Files are never kept open; a listing that runs is ended."""
        if self._runtime is not None:
            await self._runtime.close()

    def nudge_plan(self, sandbox: SandboxId, text: str | None = None) -> NudgePlan:
        """What a nudge of this session would do, from what was seen last; nothing is looked at."""
        words, sender = self._nudge
        census = self._census
        if census is None or census.context is None:
            return NudgePlan(words, sender, refusal="nothing is known of it yet")
        central = census.context.seen.central
        row = census.row(sandbox.native_id)
        return plan(central, row, words if text is None else text, sender)

    async def locate(self, sandbox: SandboxId) -> tuple[Install, Home, Listing]:
        """Where a session lives and what runs now, asked of the container runtime afresh.

        Raises:
            NotFoundError: no such session.
            UnavailableError: the install is gone.
        """
        census, runtime = self._opened()
        if census.context is None:
            await census.round(await runtime.look())
        return census.install, self._home(census, sandbox), await runtime.fresh()

    def _opened(self) -> tuple[Census, Runtime]:
        if self._census is None or self._runtime is None:
            install = find(self._root, self._candidates)
            self._census = Census(self.info.key, install, self._glance, self._clock)
            self._runtime = Runtime(install, self._clock)
        return self._census, self._runtime

    def _home(self, census: Census, sandbox: SandboxId) -> Home:
        home = census.home(sandbox.native_id)
        if home is None:
            name = plain(sandbox.native_id, 80)
            raise NotFoundError(f"{self.info.label} has no session {name}.")
        return home

    def _gateways(self, census: Census, context: Context) -> tuple[Gateway, ...]:
        now = self._clock.now()
        state, reason = host_judge.judge(context.host, now)
        problem = context.seen.problem
        rows = list(host_judge.facts(context.host, now))
        rows += [("root", plain(str(census.install.root), 200)), ("slug", census.install.slug)]
        rows.append(("central DB", _central_words(context)))
        if not census.folders_present and context.rows:
            rows.append(("session folders", "none: this install keeps its messages elsewhere"))
        for name in census.folders_denied:
            rows.append(("unreadable group", plain(name, 120)))
        if problem:
            reason = f"{reason} {_told(problem, context)}".strip()
        host = Gateway(
            GatewayId(self.info.key, "host"),
            "host",
            state,
            reason,
            now,
            address=plain(str(census.install.root), 200),
            latency_s=context.host.latency_s,
            evidence=tuple(rows),
        )
        return host, _containers(GatewayId(self.info.key, "containers"), context, now)


def folder(install: Install, home: Home) -> Path:
    """Where a session's files are."""
    return install.sessions / home[0] / home[1]


def _told(problem: str, context: Context) -> str:
    if not context.seen.known:
        return sentence(f"Sessions are known by their folders alone: {problem}")
    source = "the host's own lists are shown" if context.seen.asked else "the last good is shown"
    return sentence(f"The central DB cannot be read, {source}: {problem}")


def _central_words(context: Context) -> str:
    count = len(context.seen.central.sessions)
    if not context.seen.known:
        return f"unreadable: {context.seen.problem}"
    way = "asked of the host" if context.seen.asked else "read"
    return f"{way}, {count} sessions, {len(context.seen.central.groups)} groups"


def _containers(identity: GatewayId, context: Context, now: float) -> Gateway:
    listing = context.listing
    if listing.known:
        homeless = [one for one in listing.containers if one.home is None]
        rows = [("running", str(len(listing.containers)))]
        rows += [("whose is it", one.name) for one in homeless[:10]]
        state, reason = GatewayState.READY, ""
        if homeless:
            reason = f"{len(homeless)} of its containers belong to no session folder seen here."
    else:
        state = GatewayState.DOWN if listing.installed else GatewayState.ABSENT
        rows = []
        reason = sentence(f"Container state unknown: {plain(listing.problem, 200)}")
    return Gateway(
        identity,
        "containers (docker)",
        state,
        reason,
        now,
        latency_s=listing.latency_s,
        evidence=tuple(rows),
    )
