"""Keys in one burst, as from a paste or a slow link: none acts on what the last one left."""

from __future__ import annotations

from pathlib import Path

from textual import events

from services.models import Gateway
from tests.support.panels import panel
from tests.support.scenes import Stage, populated
from tests.support.waiting import on_screen
from tui.panel.layout import Pane
from widgets.panes.details import DetailPane
from widgets.table.filter_input import FilterInput


def burst(stage: Stage, *keys: tuple[str, str | None]) -> None:
    for key, character in keys:
        stage.app.post_message(events.Key(key, character))


async def test_what_is_typed_right_after_the_slash_is_no_verb(
    tmp_path: Path,
) -> None:
    script = populated()
    async with panel(tmp_path, script) as stage:
        burst(stage, ("slash", "/"), *((letter, letter) for letter in "wrpc"))
        await stage.until(lambda: isinstance(stage.app.focused, FilterInput))
        await stage.settle()
        assert script.woken == []
        assert not stage.app.engine.pollers.paused


async def test_enter_right_after_a_number_opens_what_that_pane_shows(tmp_path: Path) -> None:
    async with panel(tmp_path) as stage:
        burst(stage, ("2", "2"), ("enter", "\r"))
        await stage.until(lambda: on_screen(stage.app, DetailPane))
        opened = stage.app.screen
        assert isinstance(opened, DetailPane)
        assert isinstance(opened.subject, Gateway)
        assert stage.app.dashboard.focused_pane is Pane.GATEWAYS
