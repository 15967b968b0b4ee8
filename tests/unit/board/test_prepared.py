"""A look compared in parts is taken in as one compared at once, and nothing of it before."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.board import comparison
from services.board.board import Board
from services.board.comparison import ROWS_AT_ONCE, SandboxComparison
from services.board.poller import ProbeFailure
from services.board.pollers import Pollers
from services.clock import SystemClock
from services.models import (
    GatewayId,
    Observation,
    Sandbox,
    SandboxId,
    SandboxState,
    Source,
    seen_again,
)
from tests.support.clock import FakeClock
from tests.unit.board.test_joins import GATEWAY, SOURCES, World, told

MANY = 10_000


def rows(source: str, at: float, count: int = MANY) -> tuple[Sandbox, ...]:
    return tuple(
        Sandbox(SandboxId(source, f"box-{n}"), f"box-{n}", SandboxState.READY, "", at)
        for n in range(count)
    )


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32 - 1))
def test_in_parts_is_as_a_whole_whatever_happens_between(seed: int) -> None:
    clock = FakeClock()
    parts, whole = Board(clock, SOURCES), Board(clock, SOURCES)
    world, chance = World(seed, clock.now()), random.Random(seed)
    size, comparison.ROWS_AT_ONCE = comparison.ROWS_AT_ONCE, chance.choice((1, 2, 3))
    try:
        for _ in range(20):
            clock.jump(clock.now() + chance.choice((1, 1, 5, 20)))
            world.at = clock.now()
            begun: list[tuple[Observation, Iterator[int]]] = []
            for _ in range(chance.choice((1, 1, 2, 3))):
                seen = world.look()
                if isinstance(seen, Observation) and chance.random() < 0.8:
                    begun.append((seen, parts.prepare(seen)))
                    for _ in range(chance.randrange(4)):
                        next(begun[-1][1], None)
                    continue
                assert told(parts.merge(seen)) == told(whole.merge(seen))
            if chance.random() < 0.2:
                assert told(parts.expire(world.at)) == told(whole.expire(world.at))
            chance.shuffle(begun)
            for seen, rest in begun:
                before = dict(parts.sandboxes), parts.totals()
                if chance.random() < 0.9:
                    for _ in rest:
                        assert (dict(parts.sandboxes), parts.totals()) == before
                assert told(parts.merge(seen)) == told(whole.merge(seen))
            assert dict(parts.sandboxes) == dict(whole.sandboxes)
            assert dict(parts.gateways) == dict(whole.gateways)
            assert parts.totals() == whole.totals()
            assert parts.staleness == whole.staleness
    finally:
        comparison.ROWS_AT_ONCE = size


def test_no_part_of_a_long_look_has_more_rows_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    added: list[int] = []
    add = SandboxComparison.add

    def counted(self: SandboxComparison, found: Iterable[Sandbox]) -> None:
        added.append(len(tuple(found)))
        add(self, found)

    monkeypatch.setattr(SandboxComparison, "add", counted)
    clock = FakeClock()
    board = Board(clock, [Source("a", "local", "a", "/world")])
    board.merge(Observation("a", clock.now(), (), rows("a", clock.now())))
    seen = Observation("a", clock.now(), (), rows("a", clock.now() + 1))
    added.clear()
    told_parts = list(board.prepare(seen))
    assert told_parts == added and sum(added) == MANY and max(added) == ROWS_AT_ONCE
    added.clear()
    delta = board.merge(seen)
    assert not added, "what was compared is not compared again"
    assert len(delta.touched_sandboxes) == MANY and not delta.sandboxes


class Far:
    """An observer of ten thousand."""

    info = Source("a", "fleet", "a", "nowhere")

    def __init__(self) -> None:
        self.rows = rows("a", 0.0)

    async def observe(self) -> Observation:
        at = SystemClock().now()
        return Observation("a", at, (), tuple(seen_again(one, at) for one in self.rows))


async def test_others_have_their_turn_between_the_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = 0
    at_turn: list[int] = []
    add = SandboxComparison.add

    def counted(self: SandboxComparison, found: Iterable[Sandbox]) -> None:
        at_turn.append(turns)
        add(self, found)

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)  # a turn of the loop

    monkeypatch.setattr(SandboxComparison, "add", counted)
    clock, done = SystemClock(), asyncio.Event()
    pollers = Pollers(
        [Far()],  # type: ignore[list-item]
        {"a": 60.0},
        Board(clock, [Far.info]),
        clock,
        jitter=random.Random(1),
        on_delta=lambda _: done.set(),
        on_queue=lambda _: None,
    )
    tasks = [asyncio.create_task(turn()), asyncio.create_task(pollers.run())]
    async with asyncio.timeout(60):
        await done.wait()
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert len(at_turn) >= MANY // ROWS_AT_ONCE
    assert len(set(at_turn)) == len(at_turn), "a turn between any two parts"


def test_when_all_sources_are_late_no_row_is_replaced() -> None:
    clock = FakeClock()
    keys = ("a", "b")
    board = Board(clock, [Source(key, "local", key, "/world") for key in keys])
    for key in keys:
        board.merge(Observation(key, clock.now(), (), rows(key, clock.now(), 500)))
    before = dict(board.sandboxes)
    clock.jump(clock.now() + 60)
    delta = board.expire(clock.now())
    assert not delta.sandboxes and delta.staleness == frozenset(keys)
    assert all(row.stale for row in board.sandboxes.values())
    totals = board.totals()
    assert (totals.stale, totals.sandboxes, totals.attention) == (1000, (), 1000)
    assert not board.expire(clock.now() + 1)
    back = {key: row for key, row in before.items() if key.source == "a"}
    board.merge(Observation("a", clock.now(), (), tuple(back.values())))
    assert all(board.sandboxes[key].stale for key in back), "told again, and no later"
    fresh = tuple(seen_again(row, clock.now()) for row in back.values())
    delta = board.merge(Observation("a", clock.now(), (), fresh))
    assert [row.stale for row in board.every_row(delta).sandboxes] == [False] * 500
    assert board.totals().stale == 500


def test_a_row_of_a_lost_source_is_not_current_again_because_its_way_is() -> None:
    clock = FakeClock()
    board = Board(clock, SOURCES)
    at, way = clock.now(), replace(GATEWAY, id=GatewayId("b", "x"))
    box = Sandbox(SandboxId("a", "box"), "box", SandboxState.READY, "", at, needs=(way.id,))
    board.merge(Observation("b", at, (replace(way, observed_at=at),)))
    board.merge(Observation("a", at, (), (box,)))
    board.merge(ProbeFailure("b", at + 1, "No answer."))
    assert board.sandboxes[box.id].stale
    board.merge(ProbeFailure("a", at + 2, "No answer."))
    delta = board.merge(Observation("b", at + 3, (replace(way, observed_at=at + 3),)))
    assert board.sandboxes[box.id].stale, "its own source is still lost"
    assert all(row.stale for row in board.every_row(delta).sandboxes)
    board.merge(Observation("a", at + 4, (), (seen_again(box, at + 4),)))
    assert not board.sandboxes[box.id].stale
