"""What is asked every second is asked on one beat, and shown in one turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from services.board import beat, pollers
from services.board.beat import Beat, Together
from services.models import Observation, QueueSnapshot, SandboxId
from tests.support.clock import FakeClock, settle
from tests.support.polling import polling
from tests.support.scripted import Scripted
from tests.support.waiting import eventually


@pytest.mark.parametrize(
    ("now", "pause", "took", "due"),
    [
        (10.25, 1.0, 0.0, 11.25),
        (10.28, 1.0, 0.03, 11.25),
        (10.40, 1.0, 0.01, 11.25),
        (10.10, 1.0, 0.01, 10.25),
        (10.30, 5.0, 0.05, 15.25),
        (10.20, 1.0, 0.9, 11.20),
        (10.60, 1.0, 0.9, 11.25),
        (10.25, 0.5, 0.01, 10.75),
    ],
)
def test_it_is_asked_on_the_beat_and_never_later_than_its_pause(
    now: float, pause: float, took: float, due: float
) -> None:
    found = Beat(0.25).due(now, pause, took)
    assert found == pytest.approx(due)
    assert now < found <= now + pause + 1e-9


async def test_what_comes_first_waits_for_what_was_asked_with_it_and_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    awaited, told = [True], list[str]()

    def broken() -> None:
        raise ValueError("one of them")

    together = Together(lambda: awaited[0])
    monkeypatch.setattr(beat, "HOLD_S", 3600.0)
    together.hand_over(lambda: told.append("first"))
    together.hand_over(broken)
    assert told == []
    awaited[0] = False
    together.hand_over(lambda: told.append("last"))
    assert told == ["first", "last"]
    awaited[0] = True
    monkeypatch.setattr(beat, "HOLD_S", 0.01)
    together.hand_over(lambda: told.append("what is late"))
    await eventually(lambda: told[2:] == ["what is late"])


ONE = SandboxId("s", "one")


class Queued(Scripted):
    """A source whose look and whose queue note when they were asked."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.asked: dict[str, list[float]] = {"look": [], "queue": []}
        self.takes_s = 0.02

    async def observe(self) -> Observation:
        self.asked["look"].append(self.clock.monotonic())
        await self.clock.sleep(self.takes_s)
        return await super().observe()

    async def queue(self, sandbox: SandboxId, window: int) -> QueueSnapshot:
        self.asked["queue"].append(self.clock.monotonic())
        return QueueSnapshot(sandbox, self.clock.now(), (), (), ())


@asynccontextmanager
async def beating(clock: FakeClock, source: Queued) -> AsyncIterator[list[str]]:
    heard: list[str] = []

    def hear(what: str) -> None:
        heard.append(what)
        asyncio.get_running_loop().call_soon(heard.append, "|")

    async with polling(
        clock,
        source,
        queue=ONE,
        on_delta=lambda _: hear("look"),
        on_queue=lambda _: hear("queue"),
        until_s=0.05,
    ):
        yield heard


async def test_a_look_and_the_queue_are_asked_at_one_instant_and_told_in_one_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(beat, "HOLD_S", 3600.0)
    monkeypatch.setattr(pollers, "HOLD_S", 3600.0)
    clock = FakeClock()
    source = Queued(clock)
    async with beating(clock, source) as heard:
        await clock.advance(2)
        for asked in source.asked.values():
            asked.clear()
        heard.clear()
        await clock.advance(10)
        looks, queues = source.asked["look"], source.asked["queue"]
        assert len(looks) == len(queues) == 10
        assert looks == pytest.approx(queues)
        gaps = [b - a for a, b in pairwise(looks)]
        assert gaps == pytest.approx([1.0] * 9)
        turns = [sorted(turn) for turn in _turns(heard)]
        assert turns == [["look", "queue"]] * 10


async def test_a_source_that_is_late_is_told_by_itself_and_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = FakeClock()
    source = Queued(clock)
    source.takes_s = 0.6
    monkeypatch.setattr(beat, "HOLD_S", 0.0)
    async with beating(clock, source) as heard:
        heard.clear()
        await clock.advance(3)
        await settle()
        await eventually(lambda: heard.count("queue") >= 3)
        assert heard.count("look") >= 1
        assert ["look", "queue"] not in [sorted(turn) for turn in _turns(heard)]
        gaps = [b - a for a, b in pairwise(source.asked["look"])]
        assert all(gap >= 0.6 + 0.5 for gap in gaps), "it is not asked without a pause"


def _turns(heard: list[str]) -> list[list[str]]:
    """What was told in one go, in order."""
    turns: list[list[str]] = [[]]
    for word in heard:
        if word == "|":
            turns.append([])
        else:
            turns[-1].append(word)
    return [turn for turn in turns if turn]
