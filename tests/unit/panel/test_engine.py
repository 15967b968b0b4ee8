"""The engine: looks end before their sources are closed, and no source waits for another."""

from __future__ import annotations

import asyncio
from pathlib import Path

from services.clock import SystemClock
from services.errors import UnavailableError
from services.models import Observation, Sandbox, SandboxId, SandboxState, Source
from services.sources.protocol.actor import ReadOnlyActor
from services.sources.protocol.observer import NoQueues
from services.sources.protocol.source import OpenSource
from tests.support.engines import engine
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


def engine_of(folder: Path, *sources: OpenSource) -> Engine:
    return engine(folder, sources, SystemClock(), [])


class Entered:
    """Processes of a source, started when the test says so or not at all."""

    def __init__(self, problem: str = "") -> None:
        self._problem = problem
        self.may_end = asyncio.Event()
        self.left = False

    async def enter(self) -> bool:
        await self.may_end.wait()
        if self._problem:
            raise UnavailableError(self._problem)
        return True

    async def leave(self) -> None:
        self.left = True


class OneRow(NoQueues):
    """A source with one sandbox, or none."""

    def __init__(self, key: str, rows: int = 1) -> None:
        super().__init__("no queues")
        self.info = Source(key, "local", key, "")
        self.rows = rows

    async def observe(self) -> Observation:
        now = SystemClock().now()
        row = Sandbox(SandboxId(self.info.key, "box"), "box", SandboxState.READY, "", now)
        return Observation(self.info.key, now, (), (row,) * self.rows)

    async def close(self) -> None:
        pass


async def test_a_source_that_is_slow_to_start_holds_up_no_other(tmp_path: Path) -> None:
    slow = Entered()
    engine = engine_of(
        tmp_path,
        OpenSource(OneRow("slow"), ReadOnlyActor(), slow),  # type: ignore[arg-type]
        OpenSource(OneRow("other"), ReadOnlyActor()),  # type: ignore[arg-type]
    )
    running = asyncio.create_task(engine.run())
    await eventually(lambda: {key.source for key in engine.board.sandboxes} == {"other"})
    assert engine.board.links["slow"].last_success_at is None, "looked at before it was started"
    slow.may_end.set()
    await eventually(lambda: len(engine.board.sandboxes) == 2)
    await engine.close()
    assert running.cancelled() and slow.left


async def test_why_a_source_was_not_started_is_kept_until_it_shows_a_sandbox(
    tmp_path: Path,
) -> None:
    observer, start = OneRow("world", rows=0), Entered("its folder is full")
    start.may_end.set()
    engine = engine_of(tmp_path, OpenSource(observer, ReadOnlyActor(), start))  # type: ignore[arg-type]
    running = asyncio.create_task(engine.run())
    await eventually(lambda: engine.board.links["world"].last_success_at is not None)
    assert engine.not_started == {"world": "its folder is full"}
    observer.rows = 1
    engine.pollers.refresh()
    await eventually(lambda: not engine.not_started)
    await engine.close()
    assert running.cancelled()


async def test_a_source_is_closed_after_its_look_has_ended(tmp_path: Path) -> None:
    source = LateToStop()
    engine = engine_of(tmp_path, OpenSource(source, ReadOnlyActor()))  # type: ignore[arg-type]
    running = asyncio.create_task(engine.run())
    await eventually(lambda: source.told == ["look"])
    await engine.close()
    assert source.told == ["look", "look ended", "closed"] and running.cancelled()
