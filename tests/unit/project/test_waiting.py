"""Tests wait for things: the one helper that does it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from textual.screen import Screen

from tests.support.waiting import eventually, eventually_sync


def answers(*given: object) -> Iterator[object]:
    """The answers one after the other, the last for ever."""
    yield from given
    while True:
        yield given[-1]


async def test_the_first_true_answer_is_given_back() -> None:
    of = answers(0, "", None, "there", "later")
    assert await eventually(lambda: next(of)) == "there"
    of = answers([], [3])
    assert eventually_sync(lambda: next(of)) == [3]


async def test_a_coroutine_is_asked_as_well() -> None:
    of = answers(0, 7)

    async def probe() -> object:
        await asyncio.sleep(0)  # one turn of the loop
        return next(of)

    assert await eventually(probe) == 7


async def test_an_assertion_means_not_yet_and_is_what_was_seen_last() -> None:
    of = answers(1, 2, 3)

    def probe() -> bool:
        one = next(of)
        assert one == 3, f"{one} instead of 3"
        return True

    assert await eventually(probe)

    def never() -> bool:
        raise AssertionError("two rows: alpha, beta")

    with pytest.raises(pytest.fail.Exception, match=r"never .* 0\.01 s; last seen: two rows"):
        await eventually(never, limit=0.01)
    with pytest.raises(pytest.fail.Exception, match="last seen: two rows: alpha, beta"):
        eventually_sync(never, limit=0.01)


async def test_it_says_what_it_waited_for_and_what_is_there_instead() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"^the prompt; .*last seen: None"):
        await eventually(lambda: None, limit=0.01, what="the prompt")
    with pytest.raises(pytest.fail.Exception, match=r"^a screen; .*last seen: 0"):
        eventually_sync(lambda: 0, limit=0.01, what=lambda: "a screen")


async def test_a_probe_that_hangs_is_given_up_as_well() -> None:
    async def hangs() -> bool:
        return await asyncio.Event().wait()

    with pytest.raises(pytest.fail.Exception, match="a probe that never answered"):
        await eventually(hangs, limit=0.01)


@pytest.mark.parametrize(
    "missing",
    [
        lambda: next(iter(())),
        lambda: os.environ["NO_SUCH_VARIABLE"],
        lambda: ""[0],
        lambda: Path("/no such file").read_text("utf-8"),
        lambda: int(""),
        lambda: psutil.Process(2**22 + 1).status(),
        lambda: Screen[None]().query_one("#row"),
    ],
)
async def test_what_says_that_a_thing_is_not_there_means_not_yet(
    missing: Callable[[], object],
) -> None:
    tries: Iterator[Callable[[], object]] = iter([missing, missing, lambda: "there"] * 2)

    def probe() -> object:
        return next(tries)()

    assert await eventually(probe) == "there"
    assert eventually_sync(probe) == "there"
    with pytest.raises(pytest.fail.Exception, match=r"last seen: [\w.]+\("):
        await eventually(missing, limit=0.01)


async def test_any_other_error_comes_through_at_once() -> None:
    def broken() -> bool:
        raise TypeError("a mistake")

    with pytest.raises(TypeError, match="a mistake"):
        await eventually(broken)
    with pytest.raises(TypeError, match="a mistake"):
        eventually_sync(broken)

    async def own() -> bool:
        raise TimeoutError("a timeout of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        await eventually(own)
