"""A probe run for ever under a clock that moves when told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from services.board.poller import JITTER, Poller, ProbeFailure
from services.errors import UnavailableError
from tests.support.clock import FakeClock, settle


class Peer:
    """Answers as told, and counts how often it is asked and by how many at once."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.mode = "ok"
        self.asked: list[float] = []
        self.inside = 0
        self.most = 0

    async def probe(self) -> int:
        self.asked.append(self.clock.monotonic())
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            match self.mode:
                case "slow":
                    await self.clock.sleep(2)
                case "fail":
                    raise UnavailableError("It is away. token=hunter2")
                case "crash":
                    raise ZeroDivisionError("secret detail")
                case "hang":
                    await self.clock.sleep(10_000)
                case "cut":
                    raise asyncio.CancelledError
                case "deaf":
                    until = self.clock.monotonic() + 100
                    while self.clock.monotonic() < until:
                        try:
                            await self.clock.sleep(until - self.clock.monotonic())
                        except asyncio.CancelledError:
                            continue
            return len(self.asked)
        finally:
            self.inside -= 1


Running = tuple[Peer, Poller[int], list[int | ProbeFailure]]


@asynccontextmanager
async def running(
    clock: FakeClock, deliver: Callable[[int | ProbeFailure], None] | None = None, mode: str = "ok"
) -> AsyncIterator[Running]:
    peer = Peer(clock)
    peer.mode = mode
    got: list[int | ProbeFailure] = []
    feed: Poller[int] = Poller(
        "peer",
        peer.probe,
        deliver or got.append,
        clock=clock,
        interval_s=5,
        deadline_s=6,
        jitter=random.Random(7),
        source="s",
    )
    task = asyncio.ensure_future(feed.run())
    await settle()
    try:
        yield peer, feed, got
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_looks_at_once_and_then_at_its_interval_with_jitter() -> None:
    clock = FakeClock()
    async with running(clock) as (peer, _, got):
        assert got == [1]
        await clock.advance(100)
        pauses = [b - a for a, b in zip(peer.asked, peer.asked[1:], strict=False)]
        assert len(pauses) >= 17
        assert all(5 * (1 - JITTER) - 0.01 <= pause <= 5 * (1 + JITTER) + 0.01 for pause in pauses)
        assert len({round(pause, 6) for pause in pauses}) > 3


async def test_failures_back_off_to_the_longest_and_success_ends_that() -> None:
    clock = FakeClock()
    async with running(clock, mode="fail") as (peer, feed, got):
        await clock.advance(200)
        pauses = [b - a for a, b in zip(peer.asked, peer.asked[1:], strict=False)]
        assert 9 <= pauses[0] <= 11
        assert 18 <= pauses[1] <= 22
        assert all(27 <= pause <= 30.01 for pause in pauses[2:])
        first = got[0]
        assert isinstance(first, ProbeFailure)
        assert first.reason == "It is away. token=***"
        assert first.failures == 1
        assert first.retry_at == pytest.approx(first.failed_at + pauses[0], abs=0.01)
        assert [f.failures for f in got if isinstance(f, ProbeFailure)] == list(
            range(1, len(got) + 1)
        )
        peer.mode = "ok"
        feed.refresh()
        await settle()
        assert isinstance(got[-1], int)
        before = len(got)
        await clock.advance(5.6)
        assert len(got) == before + 1


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("crash", "internal error: ZeroDivisionError"),
        ("hang", "No answer within 6 s."),
        ("cut", "The poll was cancelled."),
    ],
)
async def test_every_way_to_fail_is_a_sentence(mode: str, reason: str) -> None:
    clock = FakeClock()
    async with running(clock, mode=mode) as (_, _, got):
        await clock.advance(6)
        (failure,) = got
        assert isinstance(failure, ProbeFailure)
        assert failure.reason == reason


async def test_a_probe_that_ignores_its_end_does_not_pile_up() -> None:
    clock = FakeClock()
    async with running(clock, mode="deaf") as (peer, feed, got):
        for _ in range(9):
            await clock.advance(10)
            feed.refresh()
        assert peer.most == 1
        assert len(peer.asked) == 1
        assert len(got) > 5
        last = got[-1]
        assert isinstance(last, ProbeFailure)
        assert "not finished" in last.reason
        peer.mode = "ok"
        await clock.advance(60)
        assert isinstance(got[-1], int)
        # What came back late was not delivered.
        assert got.count(1) == 0


async def test_refresh_looks_now_and_many_are_one() -> None:
    clock = FakeClock()
    async with running(clock) as (peer, feed, _):
        for _ in range(5):
            feed.refresh()
        await settle()
        assert len(peer.asked) == 2
        peer.mode = "slow"
        feed.refresh()
        await clock.advance(1)
        assert len(peer.asked) == 3
        feed.refresh()
        feed.refresh()
        await clock.advance(1.5)
        # Asked for during a look: once more after it, since that look may be too old.
        assert len(peer.asked) == 4
        assert peer.most == 1


async def test_paused_looks_only_when_asked() -> None:
    clock = FakeClock()
    async with running(clock) as (peer, feed, got):
        feed.pause()
        assert feed.paused
        await clock.advance(100)
        assert len(peer.asked) == 1
        feed.refresh()
        await settle()
        assert len(peer.asked) == 2
        peer.mode = "fail"
        feed.refresh()
        await settle()
        last = got[-1]
        assert isinstance(last, ProbeFailure)
        assert last.retry_at is None
        peer.mode = "ok"
        feed.resume()
        await settle()
        assert len(peer.asked) == 4
        await clock.advance(6)
        assert len(peer.asked) == 5


async def test_a_receiver_that_breaks_does_not_end_the_feed() -> None:
    clock = FakeClock()

    def broken(result: int | ProbeFailure) -> None:
        raise RuntimeError("painting failed")

    async with running(clock, broken) as (peer, _, _):
        await clock.advance(20)
        assert len(peer.asked) > 3


async def test_ending_the_feed_ends_its_look() -> None:
    clock = FakeClock()
    async with running(clock, mode="hang") as (peer, _, _):
        await clock.advance(1)
        assert peer.inside == 1
    assert peer.inside == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_probe_need_not_be_a_coroutine_function() -> None:
    clock = FakeClock()
    got: list[int | ProbeFailure] = []

    def probe() -> Awaitable[int]:
        raise UnavailableError("It cannot even begin.")

    feed: Poller[int] = Poller(
        "x",
        probe,
        got.append,
        clock=clock,
        interval_s=1,
        deadline_s=1,
        jitter=random.Random(1),
        source="s",
    )
    task = asyncio.ensure_future(feed.run())
    await settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert isinstance(got[0], ProbeFailure)
