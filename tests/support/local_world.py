"""A real embedded world in a temporary folder, ended whatever the test does."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from services.clock import SystemClock
from services.config.sources import LocalTable
from services.models import (
    Attempt,
    Gateway,
    Observation,
    Sandbox,
    SandboxId,
    SandboxState,
    Verb,
)
from services.repair.attempts import Attempts
from services.sources.local import process_records, world
from services.sources.local.layout import ProcessRecord, World
from services.sources.local.source import open_local
from services.sources.protocol.source import OpenSource
from tests.support.waiting import eventually

PATIENCE_S = 60.0


@dataclass
class LiveWorld:
    """The world, the source that serves it and the attempts on it."""

    world: World
    source: OpenSource
    attempts: Attempts
    seen: list[Attempt]

    def id(self, name: str) -> SandboxId:
        return SandboxId("local", name)

    async def until(self, holds: Callable[[Observation], bool]) -> Observation:
        """Look until what is seen satisfies; fails with the last look."""

        async def looked() -> Observation | None:
            observation = await self.source.observer.observe()
            assert holds(observation), observation
            return observation

        found = await eventually(looked, limit=PATIENCE_S)
        assert found is not None
        return found

    async def ready(self) -> Observation:
        """Look until every sandbox and gateway serves."""
        return await self.until(all_ready)

    async def repair(self, verb: Verb, name: str) -> Attempt:
        return await self.attempts.request(verb, self.id(name)).wait()

    def records(self) -> list[ProcessRecord]:
        found = (self.world.read_record(role) for role in world.roles(self.world))
        return [one for one in found if one is not None]


def sandbox(observation: Observation, name: str) -> Sandbox:
    return next(one for one in observation.sandboxes if one.name == name)


def gateway(observation: Observation, name: str = "gateway") -> Gateway:
    return next(one for one in observation.gateways if one.id.native_id == name)


def all_ready(observation: Observation) -> bool:
    fronts = all(one.state.value == "ready" for one in observation.gateways)
    return (
        fronts
        and len(observation.sandboxes) == 4
        and all(one.state is SandboxState.READY for one in observation.sandboxes)
    )


@contextlib.asynccontextmanager
async def live_world(folder: Path, *, enter: bool = True) -> AsyncIterator[LiveWorld]:
    """Bring one up, give it, end it; nothing of it may be alive afterwards."""
    place = World(folder / "world")
    clock = SystemClock()
    source = open_local("local", LocalTable(), clock, place.root)
    seen: list[Attempt] = []
    locks = folder / "locks"
    locks.mkdir(exist_ok=True)
    attempts = Attempts({"local": source}, clock, locks, seen.append)
    live = LiveWorld(place, source, attempts, seen)
    assert source.lifecycle is not None
    records: list[ProcessRecord] = []
    try:
        if enter:
            await source.lifecycle.enter()
        yield live
        records = live.records()
    finally:
        await attempts.close()
        await source.lifecycle.leave()
        await world.take_down(place)
    # One that found itself not needed takes its record away first, and is gone a little later.
    left = [one for one in records if not process_records.alive(one).over]
    await eventually(
        lambda: all(process_records.alive(one).over for one in left), what=lambda: left
    )
