"""Pane 4 while no shell is open: the selected sandbox, its events and the end of its log."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from textual.strip import Strip
from textual.visual import Visual
from textual.widget import Widget

from services.models import Capability, Event, SandboxState, Severity
from tests.support.panels import drawn, panel
from tests.support.scenes import LOG, logged, open_shell, populated
from tests.support.stage import GATEWAY, NOW, SANDBOXES, sandbox
from tui.panel.layout import Pane
from tui.panel.shell_controller import REST_S
from widgets.panes.sandbox_now import SandboxNow


@pytest.mark.slow
async def test_it_tells_state_way_in_events_and_log_live(tmp_path: Path) -> None:
    script = logged()
    red = replace(sandbox("data-pull", SandboxState.STUCK, "No progress."), needs=(GATEWAY,))
    script.sandboxes = (red, *SANDBOXES[1:])
    async with panel(tmp_path, script, size=(160, 48)) as stage:
        happened = Event(NOW, Severity.WORSE, "local", "data-pull", "sandbox", "data-pull is stuck")
        stage.app.details.on_events([happened])
        stage.app.dashboard.tick()
        await stage.settle()
        await stage.clock.advance(REST_S)
        await stage.until(lambda: LOG[1][:30] in drawn(stage.app))
        said = drawn(stage.app)
        assert "4 now · data-pull" in said
        assert "reached by ◉ gateway ready" in said
        assert "↓ data-pull is stuck" in said
        script.logs["agent"].put_nowait("[01:07:00.000] INFO one more line")
        await stage.until(lambda: "one more line" in drawn(stage.app))


@pytest.mark.slow
async def test_another_selection_is_another_sandbox_and_a_shell_takes_the_place(
    tmp_path: Path,
) -> None:
    async with panel(tmp_path, logged(), size=(160, 48)) as stage:
        await stage.press("down")
        assert "4 now · inbox-triage" in drawn(stage.app)
        await stage.press("up")
        await open_shell(stage)
        assert "4 now" not in drawn(stage.app)
        stage.app.dashboard.tick()
        feed = stage.app.dashboard.shell_controller._now
        assert feed is not None and feed._followed is None, "nobody sees it: nothing is read"
        await stage.press("ctrl+right_square_bracket", "x")
        await stage.until(lambda: "4 now · data-pull" in drawn(stage.app))
        assert stage.app.dashboard.focused_pane is Pane.SANDBOXES


@pytest.mark.slow
async def test_no_log_is_said_and_nothing_is_asked_for(tmp_path: Path) -> None:
    script = populated()
    no = ((Capability.LOGS, "this source keeps none"),)
    script.sandboxes = (replace(SANDBOXES[0], unavailable=no), *SANDBOXES[1:])
    script.logs = {"agent": asyncio.Queue()}
    async with panel(tmp_path, script, size=(160, 48)) as stage:
        await stage.until(lambda: "No log: this source keeps none." in drawn(stage.app))


@pytest.mark.slow
async def test_a_line_that_only_moved_is_not_drawn_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = logged()
    async with panel(tmp_path, script, size=(160, 48)) as stage:
        await stage.clock.advance(REST_S)
        await stage.until(lambda: LOG[-1][:30] in drawn(stage.app))
        view = stage.app.dashboard.query_one(SandboxNow)
        made: list[str] = []
        really = Visual.to_strips

        def counted(widget: Widget, visual: Visual, *rest: object) -> list[Strip]:
            if widget is view:
                made.append(str(visual))
            return really(widget, visual, *rest)  # type: ignore[arg-type]

        monkeypatch.setattr(Visual, "to_strips", counted)
        for number in range(60):
            script.logs["agent"].put_nowait(f"[01:07:00.000] INFO line {number}")
        await stage.until(lambda: "line 59" in drawn(stage.app))
        made.clear()
        script.logs["agent"].put_nowait("[01:07:00.000] INFO one more line")
        await stage.until(lambda: "one more line" in drawn(stage.app))
        assert "line 59" in drawn(stage.app) and "line 58" in drawn(stage.app)
        assert [one for one in made if "INFO" in one] == ["[01:07:00.000] INFO one more line"]


async def test_time_alone_repaints_nothing(tmp_path: Path) -> None:
    async with panel(tmp_path, size=(160, 48)) as stage:
        view = stage.app.dashboard.query_one(SandboxNow)
        await stage.settle()
        before = view._drawn
        await stage.clock.advance(0.4)
        stage.app.dashboard.tick()
        await stage.settle()
        assert view._drawn is before
