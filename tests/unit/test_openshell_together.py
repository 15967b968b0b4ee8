"""Questions asked side by side end before the asking does."""

from __future__ import annotations

import asyncio

import pytest

from services.sources.openshell.together import together


async def test_answers_are_in_order() -> None:
    async def late(value: int) -> int:
        await asyncio.sleep(0.01 / value)
        return value

    assert await together(late(1), late(2), late(3), late(4)) == (1, 2, 3, 4)


@pytest.mark.parametrize("how", ["called off", "one failed"])
async def test_none_outlives_the_asking(how: str) -> None:
    ended: list[str] = []

    async def slow_to_end(name: str) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            for _ in range(20):
                await asyncio.sleep(0)
            ended.append(name)

    async def first() -> None:
        try:
            await asyncio.sleep(0 if how == "one failed" else 60)
            raise ValueError("no")
        finally:
            ended.append("first")

    asking = asyncio.create_task(together(first(), slow_to_end("a"), slow_to_end("b")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    if how == "called off":
        asking.cancel()
    with pytest.raises(asyncio.CancelledError if how == "called off" else ValueError):
        await asking
    assert sorted(ended) == ["a", "b", "first"]
