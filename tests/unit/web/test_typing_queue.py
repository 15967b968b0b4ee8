"""What is typed reaches the panel whole and in order, no faster than it can act on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from services.web.panel_process import PanelProcess
from services.web.typing_queue import BURST, MOST_HELD, PER_SECOND, TypingQueue, cost_of
from tests.support.waiting import eventually


class Taken:
    """What a panel was given."""

    def __init__(self) -> None:
        self.said: list[object] = []
        self.slept = 0.0

    async def type(self, text: str) -> None:
        self.said.append(text)

    async def tell(self, kind: str, **more: int) -> None:
        self.said.append((kind, *more.values()))

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds
        await asyncio.sleep(0)  # others get their turn

    @property
    def text(self) -> str:
        return "".join(one for one in self.said if isinstance(one, str))


@asynccontextmanager
async def handing_over() -> AsyncIterator[tuple[TypingQueue, Taken]]:
    taken = Taken()
    queue = TypingQueue(taken.sleep)
    task = asyncio.create_task(queue.hand_over(cast(PanelProcess, taken)))
    try:
        yield queue, taken
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_flood_is_paced_and_nothing_of_it_is_lost() -> None:
    async with handing_over() as (queue, taken):
        flood = "jk" * 100_000
        assert queue.put(flood)
        await eventually(lambda: len(taken.text) == len(flood))
        assert taken.text == flood
        assert taken.slept > 0.5 * (len(flood) - BURST) / PER_SECOND
        assert all(len(one) <= PER_SECOND for one in taken.said if isinstance(one, str))


async def test_a_paste_is_handed_over_whole_and_at_once() -> None:
    paste = "\x1b[200~" + "x" * 1_000_000 + "\x1b[201~"
    async with handing_over() as (queue, taken):
        assert queue.put("a") and queue.put(paste) and queue.put("b")
        await eventually(lambda: len(taken.said) == 3)
        assert taken.said == ["a", paste, "b"] and taken.slept == 0
    assert cost_of(paste + "jjj") > PER_SECOND, "a paste in name alone"


async def test_of_sizes_that_follow_each_other_the_last_counts() -> None:
    async with handing_over() as (queue, taken):
        for columns in range(80, 180):
            assert queue.put((columns, 24))
        assert queue.put(True) and queue.put("j")
        await eventually(lambda: len(taken.said) == 3)
        assert taken.said == [("resize", 179, 24), ("focus",), "j"]


def test_more_than_may_wait_is_told_at_once() -> None:
    queue = TypingQueue()
    assert queue.put("j" * (MOST_HELD - 64))
    assert not queue.put("j")
    queue = TypingQueue()
    taken = sum(queue.put(one) for _ in range(40_000) for one in ("", True, (80, 24)))
    assert taken < MOST_HELD / 64 + 1, "what has no length waits without bound"
