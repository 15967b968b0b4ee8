"""Observes OpenClaw gateways through files and probes; read-only, without a credential."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from services.agents.openclaw.judge import judge
from services.clock import Clock
from services.errors import UnavailableError, WakedeckError
from services.logs.reader import LogRecord
from services.models import LogStream, Observation, SandboxId, Source, UnknownWord
from services.sources.openclaw.gather import GatewayGatherer
from services.sources.openclaw.rows import NO_LOGS, NO_QUEUE, to_rows, to_verdict
from services.sources.protocol.observer import NoQueues
from services.sources.protocol.verdict import Verdict, VerdictKind


class OpenClawObserver(NoQueues):
    """The gateways of one user, or one by its address."""

    def __init__(
        self,
        info: Source,
        gatherer: GatewayGatherer,
        no_tool: Callable[[], str],
        clock: Clock,
    ) -> None:
        """`no_tool` says why the command cannot be run; empty where it can."""
        super().__init__(f"No queue: {NO_QUEUE}.")
        self.info = info
        self._gatherer = gatherer
        self._no_tool = no_tool
        self._clock = clock

    async def observe(self) -> Observation:
        gathered = await self._gatherer.gather()
        judged = {native_id: judge(seen) for native_id, seen in gathered.items()}
        rows = [to_rows(self.info.key, one, gathered[one], judged[one]) for one in gathered]
        words = dict.fromkeys(one.unknown_word for one in judged.values() if one.unknown_word)
        return Observation(
            self.info.key,
            self._clock.now(),
            tuple(gateway for gateway, _ in rows),
            tuple(sandbox for _, sandbox in rows),
            unknown_words=tuple(UnknownWord(self.info.key, "gateway state", one) for one in words),
        )

    async def probe(self, sandbox: SandboxId) -> Verdict:
        try:
            gathered = await self._gatherer.gather()
        except WakedeckError as error:
            return Verdict(VerdictKind.UNKNOWN, error.sentence, advice=error.advice)
        seen = gathered.get(sandbox.native_id)
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
        raise UnavailableError(f"There is no log: {NO_LOGS}.")

    async def close(self) -> None:
        """Let go of the connections."""
        await self._gatherer.close()
