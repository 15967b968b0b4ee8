"""What stops something is done only after its name was typed."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input

from services.clock import SystemClock
from services.config.settings import Settings, SourceSettings
from services.config.sources import NanoClawTable
from services.models import SandboxId
from services.sources.registry import open_sources
from tests.support.nanoclaw import (
    ALPHA,
    NOW,
    ScriptedDocker,
    hosted,
    install_states,
    short_folder,
)
from tests.support.waiting import eventually, on_screen
from tui.app import WakedeckApp
from widgets.dialogs.confirm import ConfirmDialog

MIXED = SandboxId("claw", "sess-fx-mixed")


@pytest.fixture
def root() -> Iterator[Path]:
    with short_folder() as folder:
        yield install_states(folder / "claw")


@asynccontextmanager
async def panel(root: Path, state: Path) -> AsyncIterator[tuple[WakedeckApp, Pilot[int]]]:
    table = NanoClawTable(root=str(root), interval_s=0.5)
    settings = Settings("default", (SourceSettings("claw", "nanoclaw", table),))
    app = WakedeckApp(settings, open_sources(settings, SystemClock()), SystemClock(), state=state)
    async with hosted(root), app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: MIXED in app.engine.board.sandboxes)
        try:
            yield app, pilot
        finally:
            await app.engine.close()


async def until(pilot: Pilot[int], holds: Callable[[], bool]) -> None:
    await eventually(holds)


@pytest.mark.slow
async def test_a_container_is_stopped_only_after_its_name_was_typed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = ScriptedDocker(tmp_path / "bin", root)
    monkeypatch.setenv("PATH", f"{docker.folder}:{os.environ['PATH']}")
    (name,) = docker.run((ALPHA, "sess-fx-mixed", NOW))
    stops = [["stop", "-t", "1", name]]

    def stopped() -> list[list[str]]:
        return [one for one in docker.asked if one[0] == "stop"]

    async with panel(root, tmp_path) as (app, pilot):
        app.confirmations.ask(MIXED, "stop its container")
        await until(pilot, lambda: on_screen(app, ConfirmDialog))
        await until(pilot, lambda: bool(app.screen.query("#confirm-typed")))
        typed = app.screen.query_one("#confirm-typed", Input)
        await until(pilot, lambda: app.focused is typed)
        await pilot.press("y", "enter")
        assert isinstance(app.screen, ConfirmDialog), "neither y nor Enter agrees by itself"
        assert typed.value == "y"
        assert app.screen.query_one("#confirm-yes", Button).disabled
        typed.value = name[:-1]
        typed.cursor_position = len(name) - 1
        await pilot.press("enter")
        assert isinstance(app.screen, ConfirmDialog)
        assert stopped() == []
        await pilot.press(name[-1], "enter")
        await until(pilot, lambda: stopped() == stops)


async def test_escape_leaves_it_running(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = ScriptedDocker(tmp_path / "bin", root)
    monkeypatch.setenv("PATH", f"{docker.folder}:{os.environ['PATH']}")
    docker.run((ALPHA, "sess-fx-mixed", NOW))
    async with panel(root, tmp_path) as (app, pilot):
        app.confirmations.ask(MIXED, "restart its group")
        await until(pilot, lambda: on_screen(app, ConfirmDialog))
        assert app.screen.query_one("#confirm-typed", Input).display
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, ConfirmDialog))
        assert not [one for one in docker.asked if one[0] in ("stop", "restart")]
