"""The panel over OpenShell, played by a script: hung probes, long lists, attaching to the agent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from services.clock import SystemClock
from services.config.settings import Settings, SourceSettings
from services.config.sources import OpenShellTable
from services.models import SandboxId, SandboxState, ShellState
from services.sources.registry import open_sources
from tests.support.openshell_script import Script, register, script
from tests.support.waiting import eventually
from tui.app import WakedeckApp
from widgets.dialogs.confirm import ConfirmDialog
from widgets.dialogs.help import HelpScreen
from widgets.panes.sandboxes import SandboxPane

ALPHA = SandboxId("os", "nemoclaw/alpha")


@asynccontextmanager
async def panel(folder: Path) -> AsyncIterator[tuple[WakedeckApp, Pilot[int]]]:
    """A live one over whatever `openshell` is first on PATH."""
    table = OpenShellTable(interval_s=1.0)
    settings = Settings("default", (SourceSettings("os", "openshell", table),), animation=False)
    clock = SystemClock()
    app = WakedeckApp(settings, open_sources(settings, clock), clock, state=folder)
    async with app.run_test(size=(140, 40)) as pilot:
        yield app, pilot
        app.action_leave()
        await until(pilot, lambda: not app.is_running)


async def until(pilot: Pilot[int], holds: Callable[[], bool]) -> None:
    """Wait for it, and for what it set off on the screen."""
    await eventually(holds)
    await pilot.pause()


def boxes(names: int, *more: str) -> dict[str, dict[str, str]]:
    listed = {f"box-{n:03}": "Ready" for n in range(names)}
    return {"nemoclaw": {**listed, **dict.fromkeys(more, "Ready")}}


def started(made: Script) -> int:
    """How many calls there have been, of every kind."""
    return len(made.environments())


@pytest.mark.slow
async def test_keys_work_while_every_probe_hangs_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateways = {"nemoclaw": "connected"}
    made = script(tmp_path / "os", monkeypatch, sandboxes=boxes(30), gateways=gateways)
    async with panel(tmp_path) as (app, pilot):
        await until(pilot, lambda: len(app.engine.board.sandboxes) == 30)
        before = started(made)
        made.set(hung=True)
        await until(pilot, lambda: started(made) > before)
        pane = app.dashboard.query_one(SandboxPane)
        first = pane.current
        for _ in range(5):
            await pilot.press("j")
        assert pane.current is not None and pane.current != first
        await pilot.press("k")
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        await pilot.press("escape")
        await pilot.press("slash", *"box-017", "enter")
        assert isinstance(app.focused, Input) or pane.current is not None
        await until(pilot, lambda: pane.current == SandboxId("os", "nemoclaw/box-017"))
        await pilot.press("escape", "z", "z", "2", "1")
        await pilot.press("ctrl+p")
        assert len(app.screen_stack) == 2
        await pilot.press("escape")
        assert len(app.engine.board.sandboxes) == 30
        # What was seen before is kept and says that it is old.
        await until(pilot, lambda: all(one.stale for one in app.engine.board.sandboxes.values()))
        await pilot.press("g")
        assert pane.current is not None


@pytest.mark.slow
async def test_the_panel_opens_and_can_be_used_though_nothing_ever_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "os", monkeypatch, hung=True)
    async with panel(tmp_path) as (app, pilot):
        await pilot.press("j", "r", "w", "s", "A", "question_mark")
        assert isinstance(app.screen, HelpScreen)
        await pilot.press("escape", "2", "tab", "z")
        await until(pilot, lambda: bool(app.engine.board.links["os"].reason))
        assert "openshell itself does not answer" in app.engine.board.links["os"].reason


@pytest.mark.slow
async def test_all_of_three_hundred_are_on_the_screen_and_the_cursor_stays_on_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While rows come and go before and behind it, a verb still means what was looked at."""
    gateways = {"nemoclaw": "connected"}
    made = script(tmp_path / "os", monkeypatch, sandboxes=boxes(300, "mine"), gateways=gateways)
    mine = SandboxId("os", "nemoclaw/mine")
    async with panel(tmp_path) as (app, pilot):
        pane = app.dashboard.query_one(SandboxPane)
        await until(pilot, lambda: pane.table.total == 301)
        await pilot.press("slash", *"mine", "enter")
        await until(pilot, lambda: pane.current == mine)
        await pilot.press("escape")
        await until(pilot, lambda: pane.table.total == 301)
        assert pane.current == mine
        for turn in (boxes(40, "mine", "aaa"), boxes(200, "zzz", "mine"), boxes(0, "mine", "b")):
            # In the middle of a list: what follows its first page is of the new one.
            made.set(turns=[turn["nemoclaw"]])
            size = len(turn["nemoclaw"])
            await until(pilot, lambda size=size: len(app.engine.board.sandboxes) == size)  # type: ignore[misc]
            assert pane.current == mine and app.dashboard.selected == mine


@pytest.mark.slow
async def test_attaching_asks_first_and_leaving_does_not_end_the_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = script(tmp_path / "os", monkeypatch, gateways={"nemoclaw": "connected"})

    def connects() -> int:
        return sum("sandbox connect" in call for call in made.calls())

    async with panel(tmp_path) as (app, pilot):
        await until(pilot, lambda: len(app.engine.board.sandboxes) == 2)
        pane = app.dashboard.query_one(SandboxPane)
        await until(pilot, lambda: pane.current == ALPHA)
        await pilot.press("A")
        assert isinstance(app.screen, ConfirmDialog)
        await pilot.press("escape")
        assert not list(app.shells) and connects() == 0
        await pilot.press("A", "y")
        await until(
            pilot, lambda: any(one.session.shell.state is ShellState.OPEN for one in app.shells)
        )
        (shell,) = app.shells
        await until(pilot, lambda: "agent$" in "".join(shell.emulator.display))
        assert "ending it puts the sandbox in Error" in shell.session.shell.notice
        app.dashboard.shell_controller.close_one(shell.session.shell.id)
        await until(pilot, lambda: "left by keys" in made.calls())
        assert connects() == 1
        await until(pilot, lambda: app.engine.board.sandboxes[ALPHA].state is SandboxState.READY)
        # The keys the warning names reach the agent, not the panel.
        await pilot.press("A", "y")
        await until(
            pilot, lambda: any("agent$" in "".join(one.emulator.display) for one in app.shells)
        )
        await pilot.press("ctrl+p", "ctrl+q")
        await until(pilot, lambda: made.calls().count("left by keys") == 2)
        assert len(app.screen_stack) == 1 and app.is_running
    assert made.state()["sandboxes"]["nemoclaw"]["alpha"] == "Ready"


@pytest.mark.slow
async def test_what_nemoclaw_keeps_to_itself_is_copied_from_the_palette(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    script(tmp_path / "os", monkeypatch, gateways={"nemoclaw": "connected"})
    register(home, "alpha", dashboardPort=None)
    async with panel(tmp_path) as (app, pilot):
        pane = app.dashboard.query_one(SandboxPane)
        await until(pilot, lambda: pane.current == ALPHA)
        await pilot.press("ctrl+p", *"rebuild")
        palette = app.screen
        await until(pilot, lambda: palette.query_one(OptionList).option_count == 1)
        await pilot.press("enter")
        await until(pilot, lambda: app.clipboard == "nemoclaw alpha rebuild")
