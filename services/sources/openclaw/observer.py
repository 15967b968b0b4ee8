"""Observes OpenClaw gateways through files, probes and one connection each; read-only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from services.agents.openclaw.evidence import OpenClawEvidence
from services.agents.openclaw.judge import judge
from services.agents.openclaw.told import CronJob, TaskInfo, Told
from services.clock import Clock
from services.errors import NotFoundError, UnavailableError, WakedeckError
from services.logs.reader import LogRecord
from services.models import (
    Direction,
    GatewayId,
    LogStream,
    Observation,
    QueueSnapshot,
    Sandbox,
    SandboxId,
    Source,
    Unknown,
    UnknownWord,
)
from services.sources.openclaw.gather import GatewayGatherer
from services.sources.openclaw.logs import follow_file, follow_told
from services.sources.openclaw.rows import NO_LOGS, NO_QUEUE, to_rows, to_verdict
from services.sources.openclaw.watch import StateWatch
from services.sources.openclaw.work import full_text, to_queue, unknown_words
from services.sources.protocol.verdict import Verdict, VerdictKind
from services.text.sanitize import sanitize


class OpenClawObserver:
    """The gateways of one user, or one by its address."""

    def __init__(
        self,
        info: Source,
        gatherer: GatewayGatherer,
        watch: StateWatch | None,
        no_tool: Callable[[], str],
        clock: Clock,
    ) -> None:
        """`no_tool` says why the command cannot be run; empty where it can."""
        self.info = info
        self._gatherer = gatherer
        self._watch = watch
        self._no_tool = no_tool
        self._clock = clock

    async def observe(self) -> Observation:
        if self._watch is not None:
            await self._watch.begin()
        gathered = await self._gatherer.gather()
        judged = {native_id: judge(seen) for native_id, seen in gathered.items()}
        if self._watch is not None:
            self._watch.end(gathered, judged)
        rows = [to_rows(self.info.key, one, gathered[one], judged[one]) for one in gathered]
        return Observation(
            self.info.key,
            self._clock.now(),
            tuple(gateway for gateway, _ in rows),
            tuple(sandbox for _, sandboxes in rows for sandbox in sandboxes),
            unknown=tuple(self._unheard(gathered)),
            unknown_words=self._words(gathered, [one.unknown_word for one in judged.values()]),
        )

    async def news(self) -> None:
        """Return when a gateway told something, or something of it changed on this machine."""
        told = self._gatherer.links.changed
        told.clear()
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(told.wait())]
        if self._watch is not None:
            waits.append(asyncio.ensure_future(self._watch.changed()))
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
        for one in done:
            one.result()

    async def queue(self, sandbox: SandboxId, window: int) -> QueueSnapshot:
        tasks, jobs, told = self._work(sandbox)
        link = self._gatherer.link(sandbox.native_id)
        heard = None if link is None else link.heard()
        problem = "" if heard is None or heard.reading else heard.problem or "It is not connected."
        at = told.at.get("tasks.list", self._clock.now())
        return to_queue(sandbox, tasks, jobs, window, at, problem)

    async def content(self, sandbox: SandboxId, direction: Direction, message: str) -> str:
        tasks, jobs, _ = self._work(sandbox)
        found = full_text(tasks, jobs, message)
        if found is None:
            raise NotFoundError(f"There is no task {sanitize(message, 80)!r} any more.")
        return found

    async def probe(self, sandbox: SandboxId) -> Verdict:
        try:
            gathered = await self._gatherer.gather()
        except WakedeckError as error:
            return Verdict(VerdictKind.UNKNOWN, error.sentence, advice=error.advice)
        seen = gathered.get(self._gatherer.owner(sandbox.native_id))
        if seen is None:
            return Verdict(
                VerdictKind.TERMINAL,
                "Its state directory is gone from the list.",
                advice="Look at the list anew.",
            )
        return to_verdict(judge(seen), self._no_tool())

    async def log_streams(self, sandbox: SandboxId) -> tuple[LogStream, ...]:
        return ()

    def logs(
        self, sandbox: SandboxId, stream: str = "", since: float | None = None
    ) -> AsyncIterator[LogRecord]:
        place = self._gatherer.place(sandbox.native_id)
        if place is not None:
            return follow_file(place, self._clock)
        link = self._gatherer.link(sandbox.native_id)
        if link is None:
            raise UnavailableError(f"There is no log: {NO_LOGS}.")
        return follow_told(link, self._clock)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._gatherer.close()

    def _unheard(
        self, gathered: Mapping[str, OpenClawEvidence]
    ) -> list[tuple[GatewayId | None, Unknown[Sandbox]]]:
        """The gateways whose list of sessions was known and is not kept up now."""
        return [
            (GatewayId(self.info.key, one), Unknown(seen.heard.problem or "It is not connected."))
            for one, seen in gathered.items()
            if seen.heard.told.sessions is not None and not seen.heard.reading
        ]

    def _words(
        self, gathered: Mapping[str, OpenClawEvidence], states: Sequence[str]
    ) -> tuple[UnknownWord, ...]:
        told = [word for seen in gathered.values() for word in unknown_words(seen.heard.told)]
        return tuple(
            UnknownWord(self.info.key, place, word)
            for place, words in (("gateway state", states), ("task status", told))
            for word in dict.fromkeys(words)
            if word
        )

    def _work(self, sandbox: SandboxId) -> tuple[Sequence[TaskInfo], Sequence[CronJob], Told]:
        """The tasks and jobs of one row."""
        link = self._gatherer.link(sandbox.native_id)
        if link is None:
            raise UnavailableError(f"No queue: {NO_QUEUE}.")
        told = link.heard().told
        if told.tasks is None:
            raise UnavailableError(link.heard().problem or "Its tasks are not known yet.")
        owner = self._gatherer.owner(sandbox.native_id)
        part = sandbox.native_id.removeprefix(owner).removeprefix(":")
        session = next((one for one in told.sessions or () if one.key == part), None)
        if session is not None:
            return [one for one in told.tasks if one.is_of(session)], (), told
        named = {part} if part else {told.default_agent, ""}
        return (
            [one for one in told.tasks if one.agent in named],
            [one for one in told.jobs or () if one.agent in named],
            told,
        )
