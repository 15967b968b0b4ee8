"""A dead peer is noticed after a minute; a busy or blocked one is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.models import Retry, ShellState
from services.terminal.transport.base import CloseReason
from services.terminal.transport.keepalive import watch_keepalive
from tests.support.clock import FakeClock, settle
from tests.unit.terminal.session.test_input_queue import Slow


class Peer(Slow):
    """Answers pings, or not."""

    def __init__(self, answer: bool | None) -> None:
        super().__init__()
        self.answer = answer
        self.pings = 0
        self.outstanding = False
        self.last_received_at = 0.0

    async def ping(self) -> bool:
        self.pings += 1
        if self.answer is None:
            await asyncio.Event().wait()
        return bool(self.answer)


@asynccontextmanager
async def watched(peer: Peer) -> AsyncIterator[tuple[FakeClock, asyncio.Task[CloseReason]]]:
    clock = FakeClock()
    task = asyncio.create_task(
        watch_keepalive(peer, clock, lambda: peer.last_received_at, lambda: peer.outstanding)
    )
    await settle()
    try:
        yield clock, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_peer_that_answers_is_asked_every_quarter_minute() -> None:
    peer = Peer(True)
    async with watched(peer) as (clock, task):
        await clock.advance(14)
        assert peer.pings == 0
        await clock.advance(106)
        assert peer.pings == 8
        assert not task.done()


async def test_a_peer_that_talks_is_not_asked() -> None:
    peer = Peer(None)
    async with watched(peer) as (clock, task):
        for _ in range(20):
            await clock.advance(10)
            peer.last_received_at = clock.monotonic()
        assert peer.pings == 0 and not task.done()


async def test_a_silent_peer_is_lost_after_a_minute() -> None:
    peer = Peer(None)
    async with watched(peer) as (clock, task):
        await clock.advance(59)
        assert not task.done()
        await clock.advance(2)
        ending = task.result()
        assert (ending.state, ending.retry, ending.code) == (ShellState.LOST, Retry.AUTO, None)
        assert "unknown" in ending.reason


async def test_a_frame_while_the_pong_is_late_starts_the_count_again() -> None:
    peer = Peer(None)
    async with watched(peer) as (clock, task):
        await clock.advance(50)
        peer.last_received_at = clock.monotonic()
        await clock.advance(50)
        assert not task.done()
        await clock.advance(30)
        assert task.done()


async def test_a_peer_stuck_on_our_input_owes_no_pong() -> None:
    peer = Peer(None)
    peer.outstanding = True
    async with watched(peer) as (clock, task):
        await clock.advance(600)
        assert peer.pings == 0 and not task.done()
        peer.outstanding = False
        await clock.advance(80)
        assert task.done()


async def test_a_connection_that_is_gone_is_left_to_the_reader() -> None:
    peer = Peer(False)
    async with watched(peer) as (clock, task):
        await clock.advance(300)
        assert not task.done()
