"""The engine ends its looks before it closes the sources they look at."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from services.clock import SystemClock
from services.models import Observation, Source
from services.sources.protocol.actor import ReadOnlyActor
from services.sources.protocol.observer import NoQueues
from services.sources.protocol.source import OpenSource
from tests.support.waiting import eventually
from tui.engine import Engine


class LateToStop(NoQueues):
    """A look that takes a few turns of the loop to stop once it is cancelled."""

    def __init__(self) -> None:
        super().__init__("no queues")
        self.info = Source("late", "local", "late", "")
        self.told: list[str] = []

    async def observe(self) -> Observation:
        self.told.append("look")
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(5):
                await asyncio.sleep(0)  # what it holds is let go in turns
            self.told.append("look ended")
        raise AssertionError("nothing wakes it")

    async def close(self) -> None:
        self.told.append("closed")


async def test_a_source_is_closed_after_its_look_has_ended(tmp_path: Path) -> None:
    source = LateToStop()
    engine = Engine(
        (OpenSource(source, ReadOnlyActor()),),  # type: ignore[arg-type]
        SystemClock(),
        intervals={},
        journal=tmp_path / "journal.db",
        locks=tmp_path / "locks",
        read_only=False,
        jitter=random.Random(1),
        on_delta=lambda _: None,
        on_queue=lambda _: None,
        on_attempt=lambda _: None,
        on_events=lambda _: None,
    )
    running = asyncio.create_task(engine.run())
    await eventually(lambda: source.told == ["look"])
    await engine.close()
    assert source.told == ["look", "look ended", "closed"] and running.cancelled()
