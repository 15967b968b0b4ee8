"""Files that are being opened while everything is left: none stays open, no thread stays behind."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import psutil
import pytest

from services.clock import SystemClock
from services.journal.store import Journal
from services.models import Event, Severity
from services.queues.readonly import in_thread, open_readonly

ROOT = Path(__file__).resolve().parents[3]
STEPS = range(40)
"""How many turns of the loop it is given before it is called off: beyond its last."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal that is there already."""
    made = tmp_path / "state" / "journal.db"

    async def make() -> None:
        journal = Journal(made, SystemClock())
        await journal.open()
        await journal.close()

    asyncio.run(make())
    return made


@pytest.fixture
def complaints(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What threads and collected objects complain of."""
    heard: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda told: heard.append(str(told.exc_value)))
    monkeypatch.setattr(sys, "unraisablehook", lambda told: heard.append(str(told.exc_value)))
    yield heard
    gc.collect()
    assert heard == []


def held(folder: Path) -> list[str]:
    """The files below a folder that this process has open."""
    return [one.path for one in psutil.Process().open_files() if folder in Path(one.path).parents]


def turned_away(work: Callable[[], Awaitable[object]], steps: int, again: int | None) -> None:
    """Call it off after so many turns, perhaps once more, and end the loop at once."""

    async def leave() -> None:
        task = asyncio.ensure_future(work())
        for _ in range(steps):
            await asyncio.sleep(0)  # one turn of the loop
        task.cancel()
        if again is not None:
            for _ in range(again):
                await asyncio.sleep(0)  # one turn of the loop
            task.cancel()

    asyncio.run(leave())


@pytest.mark.parametrize("again", [None, 1, 4])
def test_a_queue_file_that_is_left_while_it_opens_is_closed(
    path: Path, complaints: list[str], again: int | None
) -> None:
    def count() -> None:
        with open_readonly(path) as db:
            db.fetch("SELECT count(*) FROM sqlite_master")

    async def read() -> None:
        await in_thread(count)

    for steps in STEPS:
        turned_away(read, steps, again)
        assert held(path.parent) == [], steps


@pytest.mark.parametrize("again", [None, 1, 4])
def test_a_journal_that_is_left_while_it_opens_lets_go(
    path: Path, complaints: list[str], again: int | None
) -> None:
    for steps in STEPS:
        journal = Journal(path, SystemClock())

        async def enter(journal: Journal = journal) -> None:
            try:
                await journal.open()
            finally:
                await journal.close()

        turned_away(enter, steps, again)
        assert held(path.parent) == [], steps


def test_one_that_cannot_be_opened_leaves_no_thread_that_would_speak_later(
    tmp_path: Path, complaints: list[str]
) -> None:
    folder = tmp_path / "state" / "journal.db"
    folder.mkdir(parents=True)

    async def enter() -> None:
        await Journal(folder, SystemClock()).open()

    for _ in STEPS:
        asyncio.run(enter())


async def test_a_journal_that_is_closed_while_it_opens_stays_closed(
    path: Path, complaints: list[str]
) -> None:
    for steps in STEPS:
        journal = Journal(path, SystemClock())
        opening = asyncio.create_task(journal.open())
        journal.record(Event(1.0, Severity.INFO, "", "", "panel", "something to write"))
        for _ in range(steps):
            await asyncio.sleep(0)  # one turn of the loop
        await journal.close()
        await opening
        assert asyncio.all_tasks() == {asyncio.current_task()}, steps
        assert held(path.parent) == [], steps


async def test_closing_that_is_called_off_closes_all_the_same(
    path: Path, complaints: list[str]
) -> None:
    for steps in STEPS[1:]:
        journal = Journal(path, SystemClock())
        await journal.open()
        journal.record(Event(1.0, Severity.INFO, "", "", "panel", "something to write"))
        closing = asyncio.create_task(journal.close())
        for _ in range(steps):
            await asyncio.sleep(0)  # one turn of the loop
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        assert held(path.parent) == [], steps


def test_one_that_nobody_closed_does_not_keep_the_process(tmp_path: Path) -> None:
    crashing = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from services.clock import SystemClock\n"
        "from services.journal.store import Journal\n"
        "journal = Journal(Path(sys.argv[1]), SystemClock())\n"
        "asyncio.run(journal.open())\n"
        "raise SystemExit(7)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", crashing, str(tmp_path / "journal.db")],
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.returncode == 7
