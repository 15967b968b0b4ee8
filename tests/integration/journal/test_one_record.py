"""One happening is one record, whoever looks; an attempt whose panel was killed gets an end."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from services.clock import SystemClock
from services.journal.store import Journal
from services.models import (
    Event,
    Observation,
    Sandbox,
    SandboxId,
    SandboxState,
    Severity,
    Source,
)
from services.sources.protocol.actor import ReadOnlyActor
from services.sources.protocol.observer import NoQueues
from services.sources.protocol.source import OpenSource
from tests.support.engines import engine
from tests.support.waiting import eventually
from tui.engine import Engine

ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Truth:
    """What every observer finds."""

    state: SandboxState = SandboxState.READY


class Looking(NoQueues):
    """An observer of one box."""

    def __init__(self, truth: Truth) -> None:
        super().__init__("no queues")
        self.info = Source("here", "local", "here", "")
        self._truth = truth

    async def observe(self) -> Observation:
        now = time.time()
        box = Sandbox(SandboxId("here", "box"), "box", self._truth.state, "", now)
        return Observation("here", now, sandboxes=(box,))

    async def close(self) -> None:
        pass


def looking_on(state: Path, truth: Truth, heard: list[Event]) -> Engine:
    opened = OpenSource(Looking(truth), ReadOnlyActor())  # type: ignore[arg-type]
    shown, seed = {"here": 0.05}, len(heard)
    return engine(state, (opened,), SystemClock(), heard, intervals=shown, seed=seed)


async def recorded(path: Path) -> list[Event]:
    journal = Journal(path, SystemClock())
    await journal.open()
    found = await journal.recent(100)
    await journal.close()
    return list(found[::-1])


async def test_ten_panels_see_each_change_and_record_it_once(tmp_path: Path) -> None:
    truth = Truth()
    heard: list[list[Event]] = [[] for _ in range(10)]
    panels = [looking_on(tmp_path, truth, one) for one in heard]
    running = [asyncio.create_task(one.run()) for one in panels]
    box = SandboxId("here", "box")

    def ready() -> bool:
        return all(one.journal_loaded and box in one.board.sandboxes for one in panels)

    def told(count: int) -> bool:
        return all(len(one) == count for one in heard)

    await eventually(ready)
    for number, state in enumerate((SandboxState.ASLEEP, SandboxState.STUCK, SandboxState.READY)):
        truth.state = state
        await eventually(partial(told, number + 1))
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    for panel in panels:
        await panel.close()
    assert [one.after for one in await recorded(tmp_path / "journal.db")] == [
        "asleep",
        "stuck",
        "ready",
    ]
    for one in heard:
        assert [event.after for event in one] == ["asleep", "stuck", "ready"]


async def test_what_could_not_be_written_is_recorded_by_the_next_panel(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.mkdir()
    first = Journal(path, SystemClock())
    await first.open()
    done = Event(time.time(), Severity.ACTION, "here", "box", "attempt", "box is served")
    first.record(done)
    await first.close()
    assert first.dropped == 0
    later = Journal(path, SystemClock())
    await later.open()
    assert done in await later.recent(9)
    await later.close()
    path.rmdir()
    assert await recorded(path) == [done]
    assert [one.name for one in tmp_path.iterdir() if "unwritten" in one.name] == []


KILLED = """
import asyncio, sys, time
from pathlib import Path
from services.clock import SystemClock
from services.journal.store import Journal
from services.models import Attempt, AttemptState, SandboxId, Verb

async def main():
    journal = Journal(Path(sys.argv[1]), SystemClock())
    await journal.open()
    for n in range(2):
        attempt = Attempt(f"a{n}", SandboxId("here", "box"), Verb.RECONNECT, AttemptState.PROBE,
                          time.time())
        journal.begin_attempt(attempt)
    journal.end_attempt(attempt, time.time())
    while journal._pending or journal._lock.locked():
        await asyncio.sleep(0.01)
    print("begun", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_an_attempt_whose_panel_was_killed_gets_one_end(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    panel = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert panel.stdout is not None
    assert await asyncio.to_thread(panel.stdout.readline) == b"begun\n"
    assert [one.after for one in await recorded(path)] == ["probe"]
    panel.send_signal(signal.SIGKILL)
    panel.wait(10)
    panel.stdout.close()
    await asyncio.gather(*(recorded(path) for _ in range(5)))
    ends = await recorded(path)
    assert [one.after for one in ends] == ["probe", "lost"]
    assert "its panel went away" in ends[-1].text


async def test_a_journal_set_aside_by_another_panel_is_not_written_to(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = Journal(path, SystemClock())
    await journal.open()
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).rename(tmp_path / f"aside.db{ending}")
    what = Event(time.time(), Severity.ACTION, "here", "box", "panel", "after it")
    journal.record(what)
    await journal.close()
    assert replace(what) in await recorded(path)
