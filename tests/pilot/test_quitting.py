"""What `q` and Escape close, and the question before something would be lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.panels import drawn, panel
from tests.support.scenes import logged, open_shell, settings, wake, waking
from tests.support.waiting import on_screen
from tui.dashboard import Dashboard
from tui.panel.log_screen import LogScreen
from widgets.dialogs.cell_picker import CellPicker
from widgets.dialogs.confirm import ConfirmDialog
from widgets.dialogs.help import HelpScreen
from widgets.panes.details import DetailPane

ON_TOP = (
    ("enter", DetailPane, ("q", "escape")),
    ("L", LogScreen, ("q", "escape", "L")),
    ("C", CellPicker, ("q", "escape")),
    ("question_mark", HelpScreen, ("escape",)),
)
"""What a key opens, and the keys that close it; the help page is a line to type in."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("opens", "kind", "closes"),
    [(opens, kind, key) for opens, kind, keys in ON_TOP for key in keys],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
async def test_what_is_on_top_is_closed(
    tmp_path: Path, opens: str, kind: type, closes: str
) -> None:
    async with panel(tmp_path, logged()) as stage:
        await stage.press(opens)
        await stage.until(lambda: on_screen(stage.app, kind))
        await stage.press(closes)
        await stage.until(lambda: on_screen(stage.app, Dashboard))
        assert not stage.app._leaving


async def test_nothing_to_lose_is_no_question(tmp_path: Path) -> None:
    async with panel(tmp_path) as stage:
        await stage.press("q")
        assert stage.app._leaving


async def test_an_open_shell_is_named_and_cancel_stands_first(tmp_path: Path) -> None:
    async with panel(tmp_path) as stage:
        await open_shell(stage)
        await stage.press("ctrl+right_square_bracket", "q")
        await stage.until(lambda: on_screen(stage.app, ConfirmDialog))
        said = drawn(stage.app)
        assert "1 open shell" in said and "shell in data-pull" in said
        assert stage.app.focused is not None and stage.app.focused.id == "confirm-no"
        await stage.press("enter")
        assert not stage.app._leaving and isinstance(stage.app.screen, Dashboard)
        await stage.press("q")
        await stage.until(lambda: on_screen(stage.app, ConfirmDialog))
        await stage.press("y")
        assert stage.app._leaving


@pytest.mark.slow
async def test_an_attempt_under_way_is_named(tmp_path: Path) -> None:
    script = waking()
    async with panel(tmp_path, script) as stage:
        await wake(stage)
        await stage.press("q")
        await stage.until(lambda: on_screen(stage.app, ConfirmDialog))
        assert "waking data-pull" in drawn(stage.app)
        assert script.hold is not None
        await stage.press("n")
        script.hold.set()


@pytest.mark.parametrize(("when", "asks"), [("always", True), ("never", False)])
async def test_the_configuration_says_when(tmp_path: Path, when: str, asks: bool) -> None:
    async with panel(tmp_path, settings=settings(confirm_quit=when)) as stage:
        if when == "never":
            await open_shell(stage)
            await stage.press("ctrl+right_square_bracket")
        await stage.press("q")
        assert isinstance(stage.app.screen, ConfirmDialog) is asks
        assert stage.app._leaving is not asks


@pytest.mark.slow
async def test_a_tab_with_a_program_is_asked_about_and_an_idle_one_is_not(tmp_path: Path) -> None:
    async with panel(tmp_path) as stage:
        await open_shell(stage)
        opened = next(iter(stage.app.shells))
        opened.session._detacher.feed(b"\r\ncompiling 14 of 96\r\n")
        assert not opened.session.idle
        await stage.press("ctrl+right_square_bracket", "x")
        await stage.until(lambda: on_screen(stage.app, ConfirmDialog))
        await stage.press("n")
        assert list(stage.app.shells)
        opened.session._detacher.feed(b"\r\n~/work $ ")
        await stage.press("x")
        await stage.until(lambda: not list(stage.app.shells))
