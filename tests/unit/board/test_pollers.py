"""The pollers of the panel: their deadline is longer than what it bounds."""

from __future__ import annotations

import asyncio
import random

import pytest

from services.board.board import Board
from services.board.deltas import BoardDelta
from services.board.lag import LagMeter
from services.board.pollers import Pollers
from services.errors import UnavailableError
from services.models import Observation, QueueSnapshot, Sandbox, SandboxId, SandboxState
from services.net import http
from services.sources.local import gateway_probe
from services.sources.nanoclaw import containers
from services.sources.nanoclaw import surveyor as nanoclaw
from services.sources.openshell import client, details_cache
from services.sources.openshell import observer as openshell
from services.sources.vellum import limits as vellum
from tests.support.clock import FakeClock
from tests.support.polling import polling
from tests.support.scripted import Scripted

LONGEST_S = {
    "local": gateway_probe.HEALTH_S + gateway_probe.READY_S + gateway_probe.MEMBERS_S,
    "nanoclaw": containers.PATIENCE_S + nanoclaw.BUDGET_S,
    "openshell": max(client.GATEWAY_PROBE_S, openshell.UNHURRIED_S + details_cache.ROUND_S),
    "pods": http.ANSWER_S,
    "vellum": vellum.PROBE_S,
}
"""How long one observation may take by the limits that the source itself keeps."""


class Slow(Scripted):
    """A source that takes its time."""

    takes_s = 0.0

    async def observe(self) -> Observation:
        await self.clock.sleep(self.takes_s)
        return await super().observe()


@pytest.mark.parametrize("kind", LONGEST_S)
async def test_a_source_that_takes_as_long_as_it_may_is_heard(kind: str) -> None:
    clock = FakeClock()
    source = Slow(clock)
    source.takes_s = LONGEST_S[kind]
    told: list[BoardDelta] = []
    until_s = source.takes_s + 0.1
    async with polling(clock, source, on_delta=told.append, until_s=until_s):
        assert [one.link.connected for one in told if one.link is not None] == [True]


class QueueThatFails(Scripted):
    """Its queues cannot be read, which takes seconds to see."""

    async def queue(self, sandbox: SandboxId, window: int) -> QueueSnapshot:
        await self.clock.sleep(2 if sandbox.native_id == "first" else 4)
        raise UnavailableError(f"{sandbox.native_id}: no such folder.")


async def test_why_one_queue_cannot_be_read_is_not_said_of_the_next() -> None:
    clock = FakeClock()
    source = QueueThatFails(clock)
    pollers = Pollers(
        [source],
        {"s": 1.0},
        Board(clock, [source.info]),
        clock,
        jitter=random.Random(1),
        on_delta=lambda _: None,
        on_queue=lambda _: None,
    )
    running = asyncio.create_task(pollers.run())
    try:
        pollers.watch_queue(SandboxId("s", "first"))
        await clock.advance(1)
        pollers.watch_queue(SandboxId("s", "second"))
        await clock.advance(2)
        assert pollers.queue_problem == ""
        await clock.advance(4)
        assert pollers.queue_problem == "second: no such folder."
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_pause_of_this_process_between_looks_is_said() -> None:
    clock, lost = FakeClock(), [0.0]
    meter = LagMeter(lambda: clock.monotonic() + lost[0], lambda: 0.0)
    still = LagMeter(lambda: lost[0], lambda: 0.0)
    async with polling(clock, Scripted(clock), 60, meter=still) as board:
        await clock.advance(1.5)
        assert board.held_up is None
    async with polling(clock, Scripted(clock), 60, meter=meter) as board:
        lost[0] += 8
        await clock.advance(1.5)
        assert board.held_up is not None
        assert board.held_up.held_up_s > 7


class Lapsing(Scripted):
    """What it says of its one sandbox holds for a while only."""

    looks = 0

    async def observe(self) -> Observation:
        self.looks += 1
        now = self.clock.now()
        row = Sandbox(SandboxId("s", "box"), "box", SandboxState.SETTLING, "", now, until=now + 10)
        return Observation("s", now, (), (row,))


async def test_what_lapses_is_judged_anew_at_that_instant() -> None:
    clock = FakeClock()
    source = Lapsing(clock)
    async with polling(clock, source, 600):
        await clock.advance(8)
        assert source.looks == 1
        await clock.advance(4)
        assert source.looks == 2
