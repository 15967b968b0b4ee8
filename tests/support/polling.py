"""Pollers that run over one source, under a clock that moves when told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from services.board.board import Board
from services.board.deltas import BoardDelta
from services.board.lag import LagMeter
from services.board.pollers import Pollers
from services.models import QueueSnapshot, SandboxId
from tests.support.clock import FakeClock
from tests.support.scripted import Scripted


def _ignore(_: object) -> None:
    """Nobody listens."""


@asynccontextmanager
async def polling(
    clock: FakeClock,
    source: Scripted,
    interval_s: float = 1.0,
    *,
    meter: LagMeter | None = None,
    queue: SandboxId | None = None,
    on_delta: Callable[[BoardDelta], None] = _ignore,
    on_queue: Callable[[QueueSnapshot], None] = _ignore,
    until_s: float = 0.1,
) -> AsyncIterator[Board]:
    """The board of the source, and perhaps of one queue, `until_s` after the first look began."""
    board = Board(clock, [source.info], interval_s=interval_s)
    pollers = Pollers(
        [source],
        {source.info.key: interval_s},
        board,
        clock,
        jitter=random.Random(1),
        on_delta=on_delta,
        on_queue=on_queue,
        meter=meter,
    )
    if queue is not None:
        pollers.watch_queue(queue)
    running = asyncio.create_task(pollers.run())
    try:
        await clock.advance(until_s)
        yield board
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
