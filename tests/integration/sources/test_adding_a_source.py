"""The source of `docs/adding-a-source.md` is taken from the page and used as any other."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from services.board.board import Board
from services.clock import SystemClock
from services.errors import UnavailableError
from services.models import AttemptState, SandboxId, SandboxState, Verb
from services.repair.attempts import Attempts
from services.sources.protocol.source import OpenSource
from tests.support.scenes import PLAIN
from tests.support.waiting import eventually
from tui.app import WakedeckApp

PAGE = Path(__file__).resolve().parents[3] / "docs/adding-a-source.md"
WALKER = SandboxId("home", "walker")


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The code blocks of the page as one module."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    place = tmp_path_factory.mktemp("example") / "wakedeck_example_source.py"
    place.write_text("\n".join(blocks), "utf-8")
    spec = importlib.util.spec_from_file_location(place.stem, place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[place.stem] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[place.stem]


@pytest.fixture
def agents(tmp_path: Path) -> Path:
    """One agent that can be started, one that cannot."""
    for name, script in (("walker", "touch beat"), ("lame", "echo no legs >&2; exit 3")):
        folder = tmp_path / "agents" / name
        folder.mkdir(parents=True)
        start = folder / "start"
        start.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
        start.chmod(0o755)
    return tmp_path / "agents"


def opened(example: ModuleType, root: Path) -> OpenSource:
    source: OpenSource = example.open_folders("home", "Home", root, SystemClock())
    return source


async def test_it_is_seen_judged_and_woken(
    example: ModuleType, agents: Path, tmp_path: Path
) -> None:
    source, clock = opened(example, agents), SystemClock()
    board = Board(clock, [source.info])
    board.merge(await source.observer.observe())
    assert {one.name: one.state for one in board.sandboxes.values()} == {
        "walker": SandboxState.ASLEEP,
        "lame": SandboxState.ASLEEP,
    }
    attempts = Attempts({"home": source}, clock, tmp_path, lambda _: None)
    try:
        woken = await attempts.request(Verb.WAKE, WALKER).wait()
        assert woken.state is AttemptState.DONE, woken
        again = await attempts.request(Verb.RECONNECT, WALKER).wait()
        assert again.state is AttemptState.DONE, again
        lame = await attempts.request(Verb.WAKE, SandboxId("home", "lame")).wait()
        assert lame.state is AttemptState.FAILED
        assert "no legs" in f"{lame.summary} {lame.original} {lame.last}"
    finally:
        await attempts.close()
    board.merge(await source.observer.observe())
    assert board.sandboxes[WALKER].state is SandboxState.READY
    old = time.time() - 120
    os.utime(agents / "walker" / "beat", (old, old))
    board.merge(await source.observer.observe())
    assert board.sandboxes[WALKER].state is SandboxState.STUCK
    assert board.sandboxes[WALKER].reason.startswith("Its last beat was 12")


async def test_a_folder_that_is_not_there_is_a_value(example: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot be read"):
        await opened(example, tmp_path / "none").observer.observe()


async def test_the_panel_serves_it(example: ModuleType, agents: Path, tmp_path: Path) -> None:
    app = WakedeckApp(PLAIN, (opened(example, agents),), SystemClock(), state=tmp_path / "state")
    (tmp_path / "state").mkdir()
    async with app.run_test(size=(140, 40)) as pilot:
        await eventually(lambda: WALKER in app.engine.board.sandboxes)
        await pilot.pause()
        await pilot.press("down", "w")
        await eventually(lambda: app.engine.board.sandboxes[WALKER].state is SandboxState.READY)
        await app.engine.close()
