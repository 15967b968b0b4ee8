"""The pollers of the panel: their deadline is longer than what it bounds."""

from __future__ import annotations

import pytest

from services.board.deltas import BoardDelta
from services.board.lag import LagMeter
from services.models import Observation, Sandbox, SandboxId, SandboxState
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
