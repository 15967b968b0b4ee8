"""Questions asked side by side end before the asking does."""

from __future__ import annotations

import asyncio

import pytest

from services.sources.openshell.gather import gather
from tests.support.waiting import eventually


async def test_answers_are_in_order() -> None:
    ended = [asyncio.Event() for _ in range(5)]
    order: list[int] = []

    async def late(value: int) -> int:
        if value < 4:
            await ended[value + 1].wait()
        order.append(value)
        ended[value].set()
        return value

    assert await gather(late(1), late(2), late(3), late(4)) == (1, 2, 3, 4)
    assert order == [4, 3, 2, 1]


@pytest.mark.parametrize("how", ["called off", "one failed"])
async def test_none_outlives_the_asking(how: str) -> None:
    begun: list[str] = []
    ended: list[str] = []

    async def slow_to_end(name: str) -> None:
        begun.append(name)
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(20):
                await asyncio.sleep(0)  # turns of the loop its clearing up takes
            ended.append(name)

    async def first() -> None:
        begun.append("first")
        try:
            await eventually(lambda: len(begun) == 3)
            if how == "called off":
                await asyncio.Event().wait()
            raise ValueError("no")
        finally:
            ended.append("first")

    asking = asyncio.create_task(gather(first(), slow_to_end("a"), slow_to_end("b")))
    await eventually(lambda: len(begun) == 3)
    if how == "called off":
        asking.cancel()
    with pytest.raises(asyncio.CancelledError if how == "called off" else ValueError):
        await asking
    assert sorted(ended) == ["a", "b", "first"]
