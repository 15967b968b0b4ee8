"""Workers are begun in one place, which leaves no coroutine behind that nobody awaits."""

from __future__ import annotations

import gc
import re
from pathlib import Path

from textual.app import App

from widgets.workers import run_worker

ROOT = next(up for up in Path(__file__).resolve().parents if (up / "pyproject.toml").exists())
PLACE = Path("widgets/workers.py")


def test_workers_are_begun_in_one_place() -> None:
    begin = [
        path.relative_to(ROOT)
        for room in ("tui", "widgets")
        for path in (ROOT / room).rglob("*.py")
        if re.search(r"\.run_worker\(", path.read_text("utf-8"))
    ]
    assert begin == [PLACE]


async def test_one_called_off_before_its_first_step_is_silent_and_the_next_runs() -> None:
    done: list[int] = []

    async def save(number: int) -> None:
        done.append(number)

    app = App[None]()
    async with app.run_test() as pilot:
        for number in range(3):
            run_worker(app, save, number, group="view", exclusive=True)
        await pilot.pause()
        await app.workers.wait_for_complete()
        gc.collect()
    assert done == [2]


async def test_a_failure_is_the_workers_own() -> None:
    async def fail() -> None:
        raise ValueError("nothing to write to")

    app = App[None]()
    async with app.run_test() as pilot:
        worker = run_worker(app, fail)
        await pilot.pause()
        assert app.is_running
    assert isinstance(worker.error, ValueError)
