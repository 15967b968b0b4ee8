"""Observes Vellum's assistants through files and loopback probes; read-only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from services.clock import Clock
from services.errors import UnavailableError
from services.logs.reader import LogRecord
from services.models import LogStream, Observation, SandboxId, Source
from services.sources.protocol.observer import NoQueues
from services.sources.protocol.verdict import Verdict
from services.sources.vellum import messages, verdicts
from services.sources.vellum.evidence import AssistantEvidence
from services.sources.vellum.judge import classify
from services.sources.vellum.probes import AssistantProbes
from services.sources.vellum.registry import AssistantEntry, AssistantRegistry
from services.sources.vellum.rows import NO_LOGS, NO_QUEUE, AssistantRows, to_rows
from services.text.sanitize import sanitize

_LISTEN_S = 0.5
"""How often the ends of known processes are looked for: one small file each."""


class VellumObserver(NoQueues):
    """One Vellum environment as a source."""

    def __init__(self, info: Source, probes: AssistantProbes, clock: Clock) -> None:
        super().__init__(f"No queue: {NO_QUEUE}.")
        self.info = info
        self._probes = probes
        self._clock = clock

    async def observe(self) -> Observation:
        registry = await self._probes.registry()
        if registry.problem:
            seen = AssistantEvidence(0.0, registry=registry.path, registry_problem=registry.problem)
            raise UnavailableError(messages.registry(seen), advice=messages.REGISTRY_ADVICE)
        drawn = await asyncio.gather(*(self._to_rows(registry, e) for e in registry.entries))
        return Observation(
            self.info.key,
            self._clock.now(),
            tuple(one.gateway for one in drawn),
            tuple(one.sandbox for one in drawn),
        )

    async def probe(self, sandbox: SandboxId) -> Verdict:
        registry = await self._probes.registry()
        seen = await self._probes.assistant(registry, sandbox.native_id)
        entry = registry.find(sandbox.native_id)
        if entry is not None and not registry.problem and entry.cloud == "paired":
            seen = await self._probes.probe_paired(entry, seen)
        gone = messages.gone(seen) if seen.over else ""
        return verdicts.from_probe(classify(seen), seen.tool, gone)

    async def log_streams(self, sandbox: SandboxId) -> tuple[LogStream, ...]:
        return ()

    async def logs(
        self, sandbox: SandboxId, stream: str = "", since: float | None = None
    ) -> AsyncIterator[LogRecord]:
        yield LogRecord(f"{sanitize(sandbox.native_id, 80)}: {NO_LOGS}.")

    async def news(self) -> None:
        """Return when a process that was recorded has ended."""
        while not await asyncio.to_thread(self._probes.any_recorded_ended):
            await self._clock.sleep(_LISTEN_S)

    async def close(self) -> None:
        """Connections live no longer than one look."""

    async def _to_rows(self, registry: AssistantRegistry, entry: AssistantEntry) -> AssistantRows:
        seen = await self._probes.assistant(registry, entry.id)
        return to_rows(self.info.key, registry, entry, seen, classify(seen))
