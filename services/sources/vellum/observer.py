"""Looks at Vellum's assistants: reads files and asks loopback ports; starts and writes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from services.clock import Clock
from services.errors import NotFoundError, UnavailableError
from services.log_streams import LogStream
from services.models import (
    Direction,
    Observation,
    QueueSnapshot,
    SandboxId,
    Source,
    Verdict,
)
from services.sources.vellum import messages, verdicts
from services.sources.vellum.evidence import Evidence
from services.sources.vellum.judge import classify
from services.sources.vellum.probes import Looker
from services.sources.vellum.registry import Entry, Registry
from services.sources.vellum.rows import NO_LOGS, NO_QUEUE, Portrait, draw
from services.text.sanitize import plain


class VellumObserver:
    """One Vellum environment as a source."""

    def __init__(self, info: Source, looker: Looker, clock: Clock) -> None:
        self.info = info
        self._looker = looker
        self._clock = clock

    async def observe(self) -> Observation:
        registry = await self._looker.registry()
        if registry.problem:
            seen = Evidence(0.0, registry=registry.path, registry_problem=registry.problem)
            raise UnavailableError(messages.registry(seen), advice=messages.REGISTRY_ADVICE)
        drawn = await asyncio.gather(*(self._portrait(registry, e) for e in registry.entries))
        return Observation(
            self.info.key,
            self._clock.now(),
            tuple(one.gateway for one in drawn),
            tuple(one.sandbox for one in drawn),
        )

    async def queue(self, sandbox: SandboxId, window: int) -> QueueSnapshot:
        raise UnavailableError(f"No queue: {NO_QUEUE}.")

    async def content(self, sandbox: SandboxId, direction: Direction, message: str) -> str:
        raise NotFoundError(f"No messages: {NO_QUEUE}.")

    async def probe(self, sandbox: SandboxId) -> Verdict:
        registry = await self._looker.registry()
        seen = await self._looker.assistant(registry, sandbox.native_id)
        entry = registry.find(sandbox.native_id)
        if entry is not None and not registry.problem and entry.cloud == "paired":
            seen = await self._looker.paired(entry, seen)
        return verdicts.of_look(classify(seen), seen.tool)

    async def log_streams(self, sandbox: SandboxId) -> tuple[LogStream, ...]:
        return ()

    async def logs(self, sandbox: SandboxId, stream: str = "") -> AsyncIterator[str]:
        yield f"{plain(sandbox.native_id, 80)}: {NO_LOGS}."

    async def close(self) -> None:
        """Connections live no longer than one look."""

    async def _portrait(self, registry: Registry, entry: Entry) -> Portrait:
        seen = await self._looker.assistant(registry, entry.id)
        return draw(self.info.key, registry, entry, seen, classify(seen))
