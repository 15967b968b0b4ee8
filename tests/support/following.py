"""A log followed as the panel does it, against whatever serves it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from services.clock import Clock
from services.logs.follower import LogFollower
from services.logs.reader import LogReader
from services.models import LogLine


@asynccontextmanager
async def followed(reader: LogReader, clock: Clock) -> AsyncIterator[list[LogLine]]:
    """The lines so far, which grow while the block runs."""
    lines: list[LogLine] = []

    def deliver(more: Sequence[LogLine]) -> None:
        lines.extend(more)

    task = asyncio.create_task(LogFollower(reader, deliver, lambda _why, _at: None, clock).run())
    try:
        yield lines
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def own(lines: Sequence[LogLine]) -> list[str]:
    """What the log itself said."""
    return [line.text for line in lines if not line.ours]


def notes(lines: Sequence[LogLine]) -> list[str]:
    """What was said about the log."""
    return [line.text for line in lines if line.ours]
