"""What a far side tells of its board, as the mirror on the near side has it: true, and little."""

from __future__ import annotations

import random
from dataclasses import replace

import msgspec
import pytest

from services.board.board import Board
from services.models import (
    Capability,
    Gateway,
    GatewayId,
    GatewayState,
    Observation,
    Sandbox,
    SandboxId,
    SandboxState,
    Source,
)
from services.source_server.pictures import Pictures
from services.sources.remote.mirror import Mirror
from services.watch.aggregates import Aggregates
from services.wire.messages import (
    Delta,
    Hello,
    Ping,
    SourceInfo,
    WireSandbox,
    decode,
    encode,
)
from tests.support.clock import FakeClock

NOW = 1_800_000_000.0
RENEW_S = 4.0
NEAR = Source("box", "remote", "box", "there", frozenset(Capability))


class Told:
    """A board there, its pictures, and the mirror that takes them in here."""

    def __init__(self) -> None:
        self.clock = FakeClock(NOW)
        info = Source("local", "local", "local", "here", frozenset(Capability))
        self.board = Board(self.clock, [info], interval_s=1.0)
        self.pictures = Pictures(self.board, self.clock, ["local"])
        self.mirror = Mirror("box", GatewayId("box", "box"), self.clock)
        self.mirror.begin(Hello(1, "w", "1", now=NOW, sources=[SourceInfo("local")]))

    def look(self, *names: str, latency_s: float = 0.01, lag_s: float = 0.003) -> None:
        """A look of the source there that ended now; each row was read a moment before."""
        now = self.clock.now()
        gateway = GatewayId("local", "gateway")
        rows = tuple(
            Sandbox(
                SandboxId("local", name), name, SandboxState.READY, "", now - lag_s, gateway=gateway
            )
            for name in names
        )
        way = Gateway(gateway, "gateway", GatewayState.READY, "", now - lag_s, latency_s=latency_s)
        self.pictures.changed(self.board.merge(Observation("local", now, (way,), rows)))

    def push(self) -> list[Delta]:
        """Tell what there is to tell."""
        told = list(self.pictures.due())
        for delta in told:
            assert self.mirror.take(delta)
        return told

    def ages(self) -> dict[str, float]:
        now = self.clock.now()
        return {row.name: now - row.observed_at for row in self.mirror.sandboxes(RENEW_S)}


@pytest.mark.parametrize("lag_s", [0.0, 0.003, 0.4, 0.9])
async def test_what_is_looked_at_and_does_not_change_stays_fresh(lag_s: float) -> None:
    told = Told()
    for _ in range(60):
        told.look("alpha", "beta", lag_s=lag_s)
        told.push()
        await told.clock.advance(1.0)
        assert max(told.ages().values()) <= RENEW_S + 2.0


async def test_a_host_at_rest_says_little() -> None:
    """Latencies of each look are told every five seconds."""
    told, dice = Told(), random.Random(3)
    told.look("alpha", "beta", "gamma", "delta")
    told.push()
    size, latencies = 0, set()
    for _ in range(60):
        await told.clock.advance(1.0)
        told.look("alpha", "beta", "gamma", "delta", latency_s=dice.uniform(0.001, 0.05))
        size += sum(len(encode(one)) for one in told.push())
        latencies.add(next(told.mirror.gateways()).latency_s)
    assert 10 <= len(latencies) <= 14
    assert size / 60 + len(encode(Ping(1e6))) / 5 <= 200


async def test_what_changes_while_a_picture_is_sent_is_told_next() -> None:
    told = Told()
    many = [f"box-{number:04}-{'x' * 400}" for number in range(1500)]
    told.look(*many)
    parts = told.pictures.due()
    assert told.mirror.take(next(parts)), "the first of several"
    for names in (many[1:], many[1:]):
        await told.clock.advance(1.0)
        told.look(*names)
    assert sum(1 for one in parts if told.mirror.take(one)) > 1
    told.push()
    assert many[0] not in told.ages() and len(told.ages()) == 1499


async def test_a_whole_picture_asked_for_while_one_is_sent_is_told() -> None:
    told = Told()
    told.look("alpha", "beta")
    sending = told.pictures.due()
    next(sending)
    assert told.pictures.again("local")
    assert list(sending) == []
    assert [one.full for one in told.push()] == [True]


async def test_parts_that_come_late_together_are_no_proof_of_another_clock() -> None:
    told = Told()
    told.look(*(f"box-{number:04}-{'x' * 400}" for number in range(3000)))
    parts = list(told.pictures.due())
    assert len(parts) > 3
    await told.clock.advance(2.0)
    assert all(map(told.mirror.take, parts))
    assert told.mirror.offset_s == 0 and told.mirror.complete


async def test_what_came_back_before_it_was_told_is_there() -> None:
    told = Told()
    told.look("alpha", "beta")
    told.push()
    for names in (("beta",), ("beta",), ("alpha", "beta")):
        await told.clock.advance(1.0)
        told.look(*names)
    told.push()
    assert set(told.ages()) == {"alpha", "beta"}


async def test_costs_other_names_and_the_pool_travel_and_are_metrics_here() -> None:
    told, near, now = Told(), Board(FakeClock(NOW), [NEAR]), NOW
    sums = Aggregates(FakeClock(NOW))

    def look(**more: float) -> None:
        rows = [
            Sandbox(SandboxId("local", name), name, SandboxState.READY, "", now, cost_usd=cost)
            for name, cost in more.items()
        ]
        rows.append(Sandbox(SandboxId("local", "free"), "free", SandboxState.READY, "", now))
        pod = Sandbox(SandboxId("local", "pod"), "pod", SandboxState.READY, "", now, stock=True)
        rows.append(replace(pod, aliases=("pod-x7f", "claim")))
        told.pictures.changed(told.board.merge(Observation("local", now, (), tuple(rows))))
        for delta in told.pictures.due():
            said = decode(encode(delta).removeprefix(encode(delta)[:4]))
            assert isinstance(said, Delta) and told.mirror.take(said)
        here = tuple(told.mirror.sandboxes(0))
        sums.on_delta(near.merge(Observation("box", now, (), here)))

    look(a=0.1, b=0.2, nothing=0.0)
    found = {row.name: row for row in told.mirror.sandboxes(0)}
    assert [found[one].cost_usd for one in ("a", "nothing", "free")] == [0.1, 0.0, None]
    assert found["pod"].stock and found["pod"].aliases == ("pod-x7f", "claim")
    assert not found["a"].stock and found["a"].aliases == ()
    assert sums.costs_usd() == {("box",): 0.3} and sums.reporting_costs[("box",)] == 3
    look(a=0.4)
    assert sums.costs_usd()[("box",)] == pytest.approx(0.6), "absence needs two looks"


def test_a_row_that_tells_no_cost_is_as_long_as_before() -> None:
    assert b"cost" not in msgspec.msgpack.encode(WireSandbox("a", "ready"))
