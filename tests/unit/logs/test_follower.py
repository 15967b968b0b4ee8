"""A log followed: batches, losses said once, nothing told twice, floods that leave room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import UnavailableError
from services.logs.follower import LogFollower, overlap
from services.models import LogLine
from tests.support.clock import FakeClock
from tests.support.waiting import LIMIT_S, eventually


class Heard:
    """What a follower said."""

    def __init__(self) -> None:
        self.lines: list[LogLine] = []
        self.batches = 0
        self.losses: list[tuple[str, float | None]] = []

    def deliver(self, lines: Sequence[LogLine]) -> None:
        self.lines += lines
        self.batches += 1

    def lost(self, why: str, retry_at: float | None) -> None:
        self.losses.append((why, retry_at))

    @property
    def log(self) -> list[str]:
        return [line.text for line in self.lines if not line.ours]

    @property
    def said(self) -> list[str]:
        return [line.text for line in self.lines if line.ours]


async def until(holds: Callable[[], bool]) -> None:
    await eventually(holds)


async def followed(
    streams: list[Callable[[], AsyncIterator[str]]], holds: Callable[[Heard], bool]
) -> Heard:
    """Follow these, one after the other, on a clock that moves on when asked for sleep."""
    heard, clock, turn = Heard(), FakeClock(), iter(streams)

    def opened() -> AsyncIterator[str]:
        return next(turn)()

    follower = LogFollower(opened, heard.deliver, heard.lost, clock)
    task = asyncio.create_task(follower.run())
    try:

        async def came() -> bool:
            if not holds(heard) and heard.losses and heard.losses[-1][1] is not None:
                await clock.advance(31)
            return holds(heard)

        await eventually(came)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return heard


def of(
    *lines: str, then: Exception | None = None, stays: bool = False
) -> Callable[[], AsyncIterator[str]]:
    async def stream() -> AsyncIterator[str]:
        for line in lines:
            yield line
        if then is not None:
            raise then
        if stays:
            await asyncio.Event().wait()

    return stream


async def test_lines_that_come_together_are_one_batch_and_harmless() -> None:
    heard = await followed(
        [of("one", "\x1b[31mtwo\x1b]52;c;aGk=\x07", "token=abcdefghijkl", stays=True)],
        lambda h: len(h.lines) == 3,
    )
    assert heard.log == ["one", "two", "token=***"]
    assert heard.batches == 1


async def test_a_lost_stream_is_taken_up_again_and_nothing_is_told_twice() -> None:
    heard = await followed(
        [
            of("a", "b", "c", then=UnavailableError("The peer went away.")),
            of("b", "c", "d", stays=True),
        ],
        lambda h: "d" in h.log,
    )
    assert heard.log == ["a", "b", "c", "d"]
    assert heard.said == ["— The peer went away: asked again by itself"]
    assert [why for why, _ in heard.losses] == ["", "The peer went away", ""]
    assert heard.losses[1][1] is not None


async def test_the_same_reason_is_said_once_and_waits_grow() -> None:
    gone = UnavailableError("No daemon.")
    heard = await followed(
        [of(then=gone)] * 6 + [of("back", stays=True)], lambda h: "back" in h.log
    )
    assert heard.said == ["— No daemon: asked again by itself"]
    assert len([why for why, _ in heard.losses if why]) == 6


async def test_an_error_of_ours_is_a_sentence_too(caplog: pytest.LogCaptureFixture) -> None:
    heard = await followed(
        [of("x", then=ValueError("surprise")), of("y", stays=True)], lambda h: "y" in h.log
    )
    assert heard.said == ["— the log could not be read (ValueError): asked again by itself"]
    assert "surprise" not in str(heard.lines)


async def test_a_flood_leaves_room_for_everything_else() -> None:
    async def flood() -> AsyncIterator[str]:
        number = 0
        while True:
            yield f"line {number}"
            number += 1

    heard = Heard()
    task = asyncio.create_task(LogFollower(flood, heard.deliver, heard.lost, FakeClock()).run())
    turns = 0
    async with asyncio.timeout(LIMIT_S):
        while len(heard.lines) < 3000:
            await asyncio.sleep(0)  # a turn of the loop, which is what is counted
            turns += 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert turns > 10
    assert heard.log[:2] == ["line 0", "line 1"]


@pytest.mark.parametrize(
    ("before", "again", "count"),
    [
        ("", "abc", 0),
        ("abc", "", 0),
        ("abc", "bcd", 2),
        ("abc", "abcd", 3),
        ("bc", "abcd", 3),
        ("abc", "xyz", 0),
        ("aab", "ab", 2),
    ],
)
def test_the_overlap_is_what_both_have(before: str, again: str, count: int) -> None:
    assert overlap(list(before), list(again)) == count


@given(st.lists(st.integers()), st.lists(st.integers()), st.integers(0, 40))
def test_a_replay_of_unique_lines_loses_and_repeats_nothing(
    old: list[int], new: list[int], shown: int
) -> None:
    before = [f"{at} {value}" for at, value in enumerate(old)]
    fresh = [f"{at + len(old)} {value}" for at, value in enumerate(new)]
    replay = before[max(0, len(before) - shown) :] + fresh
    assert before + replay[overlap(before, replay) :] == before + fresh
