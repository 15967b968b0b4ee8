"""Acts that ask first: a dialog with the whole consequence, Cancel in front, nothing before Yes."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from services.clock import SystemClock
from services.config.settings import Settings, SourceSettings
from services.config.sources import NanoClawTable
from services.models import SandboxId
from services.sources.registry import open_sources
from tests.support.nanoclaw import (
    ALPHA,
    NOW,
    Host,
    ScriptedDocker,
    hosted,
    install_states,
    short_folder,
)
from tests.support.waiting import eventually, on_screen
from tui.app import WakedeckApp
from tui.cli.attempt import confirm_argument
from tui.panel.palette import PanelCommands
from widgets.dialogs.confirm import ConfirmDialog
from widgets.dialogs.edit_text import EditableConfirm, EditTextDialog

MIXED = SandboxId("claw", "sess-fx-mixed")


@pytest.fixture
def root() -> Iterator[Path]:
    with short_folder() as folder:
        yield install_states(folder / "claw")


@pytest.fixture
def docker(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedDocker:
    made = ScriptedDocker(tmp_path / "bin", root)
    monkeypatch.setenv("PATH", f"{made.folder}:{os.environ['PATH']}")
    return made


@asynccontextmanager
async def panel(
    root: Path, state: Path, *, read_only: bool = False
) -> AsyncIterator[tuple[WakedeckApp, Pilot[int], Host]]:
    table = NanoClawTable(root=str(root), interval_s=0.5, nudge_text="please go on")
    settings = Settings("default", (SourceSettings("claw", "nanoclaw", table),), read_only)
    app = WakedeckApp(settings, open_sources(settings, SystemClock()), SystemClock(), state=state)
    async with hosted(root) as host, app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: MIXED in app.engine.board.sandboxes)
        try:
            yield app, pilot, host
        finally:
            await app.engine.close()


async def until(pilot: Pilot[int], holds: Callable[[], bool]) -> None:
    await eventually(holds)
    await pilot.pause()


@pytest.mark.slow
async def test_a_nudge_asks_with_its_words_and_no_sends_nothing(
    root: Path, docker: ScriptedDocker, tmp_path: Path
) -> None:
    async with panel(root, tmp_path) as (app, pilot, host):
        app.confirmations.ask(MIXED, "nudge")
        await until(pilot, lambda: on_screen(app, ConfirmDialog))
        words = app.screen.query_one("#confirm-words").render()
        assert "please go on" in str(words)
        assert "Local CLI (cli)" in str(words)
        await until(pilot, lambda: app.focused is not None and app.focused.id == "confirm-no")
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, ConfirmDialog))
        assert host.chat == []


async def test_yes_sends_exactly_what_was_shown(
    root: Path, docker: ScriptedDocker, tmp_path: Path
) -> None:
    async with panel(root, tmp_path) as (app, pilot, host):
        host.on_chat = lambda: docker.run((ALPHA, "sess-fx-mixed", NOW))
        app.confirmations.ask(MIXED, "nudge")
        await until(pilot, lambda: on_screen(app, ConfirmDialog))
        await pilot.press("y")
        await until(pilot, lambda: bool(host.chat))
        assert json.loads(host.chat[0])["text"] == "please go on"
        await until(pilot, lambda: any("started" in one.message for one in app._notifications))
        assert len(host.chat) == 1


async def test_what_cannot_be_done_is_said_and_not_asked(
    root: Path, docker: ScriptedDocker, tmp_path: Path
) -> None:
    async with panel(root, tmp_path) as (app, pilot, _):
        app.confirmations.ask(MIXED, "stop its container")
        await until(pilot, lambda: bool(app._notifications))
        assert [one.message for one in app._notifications] == [
            "Not possible: no container of it runs."
        ]
        assert not isinstance(app.screen, ConfirmDialog)


@pytest.mark.slow
async def test_the_palette_offers_them_for_the_sandbox_under_the_cursor(
    root: Path, docker: ScriptedDocker, tmp_path: Path
) -> None:
    async with panel(root, tmp_path) as (app, pilot, _):
        await until(pilot, lambda: app.dashboard.selected is not None)
        provider = PanelCommands(app.dashboard)
        selected = app.engine.board.sandboxes[app.dashboard.selected]  # type: ignore[index]
        texts = [entry.text for entry in provider._proposals(selected)]
        assert [text.split(" ")[0] for text in texts] == ["Nudge", "Stop", "Restart", "Stop"]


async def test_the_command_line_has_the_same_name_typed(
    root: Path, docker: ScriptedDocker, tmp_path: Path
) -> None:
    docker.run((ALPHA, "sess-fx-mixed", NOW))
    async with panel(root, tmp_path) as (app, _, _):
        proposer = app.engine.sources["claw"].proposer
        assert proposer is not None
        nudge = await proposer.propose(MIXED, "nudge")
        assert confirm_argument(nudge) == "nudge"
        stop = await proposer.propose(MIXED, "stop its container")
        assert stop.typed_name
        assert confirm_argument(stop) == f"stop its container {stop.typed_name}"


async def test_a_read_only_panel_offers_none(
    root: Path, docker: ScriptedDocker, tmp_path: Path
) -> None:
    async with panel(root, tmp_path, read_only=True) as (app, pilot, host):
        await until(pilot, lambda: app.dashboard.selected is not None)
        selected = app.engine.board.sandboxes[app.dashboard.selected]  # type: ignore[index]
        assert list(PanelCommands(app.dashboard)._proposals(selected)) == []
        app.confirmations.ask(MIXED, "nudge")
        await until(pilot, lambda: bool(app._notifications))
        assert host.chat == []


@pytest.mark.slow
async def test_a_nudge_is_put_in_the_operators_own_words_and_sent_as_shown(
    root: Path, docker: ScriptedDocker, tmp_path: Path
) -> None:
    async with panel(root, tmp_path) as (app, pilot, host):
        host.on_chat = lambda: docker.run((ALPHA, "sess-fx-mixed", NOW))
        app.confirmations.ask(MIXED, "nudge")
        await until(pilot, lambda: on_screen(app, EditableConfirm))
        await until(pilot, lambda: app.focused is not None)
        await pilot.press("e")
        await until(pilot, lambda: on_screen(app, EditTextDialog))
        line = app.screen.query_one("#words-text", Input)
        assert line.value == "please go on"
        line.value = "/help me"
        await pilot.press("enter")
        await until(pilot, lambda: bool(app.screen.query("#words-problem")))
        said = str(app.screen.query_one("#words-problem", Static).render())
        assert "begins with / is a command to the host" in said
        app.screen.query_one("#words-text", Input).value = "what about [bold]the export[/]?"
        await pilot.press("enter")
        await until(pilot, lambda: on_screen(app, EditableConfirm))
        words = str(app.screen.query_one("#confirm-words").render())
        assert "what about [bold]the export[/]?" in words
        assert host.chat == []
        await pilot.press("y")
        await until(pilot, lambda: bool(host.chat))
        assert json.loads(host.chat[0])["text"] == "what about [bold]the export[/]?"
        await until(pilot, lambda: any("started" in one.message for one in app._notifications))
        assert len(host.chat) == 1


@pytest.mark.slow
async def test_leaving_the_words_sends_nothing(
    root: Path, docker: ScriptedDocker, tmp_path: Path
) -> None:
    async with panel(root, tmp_path) as (app, pilot, host):
        app.confirmations.ask(MIXED, "nudge")
        await until(pilot, lambda: on_screen(app, EditableConfirm))
        await until(pilot, lambda: bool(app.screen.query("#confirm-reword")))
        await until(pilot, lambda: app.screen.query_one("#confirm-reword").size.width > 0)
        await pilot.click("#confirm-reword")
        await until(pilot, lambda: on_screen(app, EditTextDialog))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.dashboard)
        app.confirmations.ask(MIXED, "nudge")
        await until(pilot, lambda: on_screen(app, EditableConfirm))
        await pilot.press("escape")
        assert host.chat == []
