"""What stands behind a way is shown anew where the way changed, and is as if that were always."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.board.board import Board
from services.board.deltas import BoardDelta
from services.board.lag import VoidLook
from services.board.poller import ProbeFailure
from services.board.shown import OwnRows, shown
from services.models import (
    Gateway,
    GatewayId,
    GatewayState,
    Observation,
    Sandbox,
    SandboxId,
    SandboxState,
    Source,
    Unknown,
    as_stale,
    in_state_since,
    seen_again,
)
from tests.support.clock import FakeClock

SOURCES = tuple(Source(key, "local", key, "/world") for key in ("a", "b"))
WAYS = tuple(GatewayId(source, name) for source in ("a", "b") for name in ("x", "y"))
BOXES = tuple(SandboxId(source, str(n)) for source in ("a", "b") for n in range(4))
GATEWAY = Gateway(WAYS[0], "x", GatewayState.READY, "", 1000.0)


class AlwaysAnew(OwnRows):
    """Takes every gateway that was touched for another way."""

    def behind_changed(
        self, gateways: Iterable[GatewayId], ways: Mapping[GatewayId, Gateway]
    ) -> list[Sandbox]:
        return self.behind(gateways)


class World:
    """Two sources that answer anything, from a seed."""

    def __init__(self, seed: int, at: float) -> None:
        self.chance = random.Random(seed)
        self.at = at
        self.gateways = {one: self._gateway(one) for one in WAYS}

    def look(self) -> Observation | ProbeFailure | VoidLook:
        chance, source = self.chance, self.chance.choice(("a", "b"))
        match chance.randrange(10):
            case 0:
                return ProbeFailure(source, self.at, "No answer.", 1, self.at + 5)
            case 1:
                return VoidLook(source, self.at, 3.0)
        for one in WAYS:
            if chance.random() < 0.25:
                self.gateways[one] = self._gateway(one)
            latency = chance.random()
            self.gateways[one] = replace(
                self.gateways[one], latency_s=latency, observed_at=self._seen()
            )
        lost = chance.random() < 0.15
        ways = [one for one in WAYS if one.source == source and chance.random() < 0.9]
        boxes = [one for one in BOXES if one.source == source and chance.random() < 0.8]
        return Observation(
            source,
            self.at,
            tuple(map(self.gateways.__getitem__, ways)),
            tuple(map(self._box, boxes)),
            ((None, Unknown[Sandbox]("No list.")),) if lost else (),
            frozenset(one for one in BOXES if one.source == source and chance.random() < 0.1),
        )

    def _seen(self) -> float:
        return self.at - self.chance.choice((0, 0, 0, 40))

    def _gateway(self, key: GatewayId) -> Gateway:
        state = self.chance.choice(list(GatewayState))
        reason = self.chance.choice(("", "It does not answer."))
        since = self.chance.choice((None, self.at))
        return Gateway(key, key.native_id, state, reason, self.at, since=since)

    def _box(self, key: SandboxId) -> Sandbox:
        states = [one for one in SandboxState if one is not SandboxState.CUT_OFF]
        needs = tuple(self.chance.sample(WAYS, self.chance.choice((0, 1, 1, 2))))
        state = self.chance.choice((SandboxState.READY, *states))
        return Sandbox(key, key.native_id, state, "", self._seen(), needs=needs)


def told(delta: BoardDelta) -> object:
    """A delta in which the order of rows does not count."""
    rows = {row.id: row for row in delta.sandboxes}
    touched = (dict(delta.touched_gateways), dict(delta.touched_sandboxes))
    gone = set(delta.sandboxes_removed)
    return rows, gone, delta.gateways, delta.events, touched, delta.staleness


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32 - 1))
def test_joining_what_changed_is_joining_everything(seed: int) -> None:
    clock = FakeClock()
    board, full = Board(clock, SOURCES), Board(clock, SOURCES)
    full._own = AlwaysAnew()
    world = World(seed, clock.now())
    for _ in range(25):
        clock.jump(clock.now() + world.chance.choice((1, 1, 5, 20)))
        world.at = clock.now()
        if world.chance.random() < 0.15:
            deltas = [one.expire(world.at) for one in (board, full)]
        else:
            seen = world.look()
            deltas = [one.merge(seen) for one in (board, full)]
        assert told(deltas[0]) == told(deltas[1])
        assert dict(board.sandboxes) == dict(full.sandboxes)
        assert board.totals() == full.totals()


def test_a_latency_alone_shows_nothing_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    board = Board(clock, SOURCES)
    at = clock.now()
    boxes = tuple(
        Sandbox(one, "box", SandboxState.READY, "", at, needs=WAYS[:1]) for one in BOXES[:4]
    )
    asked: list[SandboxId] = []

    def counted(own: Sandbox, ways: Mapping[GatewayId, Gateway]) -> Sandbox:
        asked.append(own.id)
        return shown(own, ways)

    for place in ("board", "comparison"):
        monkeypatch.setattr(f"services.board.{place}.shown", counted)
    board.merge(Observation("a", at, (replace(GATEWAY, observed_at=at),), boxes))
    ways = (
        (replace(GATEWAY, latency_s=0.5), 1),
        (replace(GATEWAY, latency_s=0.6), 1),
        (replace(GATEWAY, state=GatewayState.DOWN), 2),
    )
    for number, (way, times) in enumerate(ways, 1):
        asked.clear()
        gateway = replace(way, observed_at=at + number)
        again = tuple(seen_again(one, at + number) for one in boxes)
        delta = board.merge(Observation("a", at + number, (gateway,), again))
        assert delta.gateways, "the gateway's own row changed"
        assert len(asked) == times * len(boxes)
    assert {one.state for one in board.sandboxes.values()} == {SandboxState.CUT_OFF}


def test_a_row_seen_again_is_the_same_but_for_the_instant() -> None:
    row = Sandbox(
        BOXES[0], "box", SandboxState.STUCK, "Why.", 1.0, WAYS[0], tool="Bash", needs=WAYS[:1]
    )
    again = seen_again(row, 2.0)
    assert again == replace(row, observed_at=2.0) and row.observed_at == 1.0
    assert as_stale(row) == replace(row, stale=True) and not row.stale
    assert in_state_since(row, 3.0) == replace(row, since=3.0) and row.since is None
    assert [getattr(again, one.name) for one in fields(Sandbox)] == [
        getattr(replace(row, observed_at=2.0), one.name) for one in fields(Sandbox)
    ]


def test_a_gateway_is_no_sandbox_of_that_name() -> None:
    gateway, sandbox = GatewayId("a", "x"), SandboxId("a", "x")
    both: set[object] = {gateway, sandbox}
    assert len(both) == 2
    assert str(gateway) == str(sandbox) == "a/x"
    assert SandboxId("a", "x") == sandbox and sorted([SandboxId("b", "a"), sandbox])[0] is sandbox
