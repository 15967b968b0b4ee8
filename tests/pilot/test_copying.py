"""Getting text out: a cell, a name, a record, what is selected in the details."""

from __future__ import annotations

import json
from pathlib import Path

from textual.widgets import OptionList

from tests.support.panels import panel, toasts
from widgets.dialogs.cell_picker import CellPicker


async def test_one_cell_is_chosen_from_the_row_and_copied_whole(tmp_path: Path) -> None:
    async with panel(tmp_path) as stage:
        await stage.press("C")
        assert isinstance(stage.app.screen, CellPicker)
        said = [str(one.prompt) for one in stage.app.screen.query_one(OptionList).options]
        assert said[0].split() == ["STATE", "◆", "working"]
        await stage.press("j", "enter")
        assert stage.app.clipboard == "data-pull"
        assert toasts(stage.app) == ["Copied."]


async def test_leaving_the_list_copies_nothing(tmp_path: Path) -> None:
    async with panel(tmp_path) as stage:
        await stage.press("C", "escape")
        assert not isinstance(stage.app.screen, CellPicker)
        assert stage.app.clipboard == ""
        await stage.press("4", "C")
        await stage.settle()
        assert toasts(stage.app) == ["Nothing to copy here."]


async def test_a_record_is_copied_as_json_from_every_pane_and_a_name_as_text(
    tmp_path: Path,
) -> None:
    async with panel(tmp_path) as stage:
        await stage.press("y")
        copied = json.loads(stage.app.clipboard)
        assert copied["id"] == {"source": "local", "native_id": "data-pull"}
        assert copied["evidence"]
        await stage.press("Y")
        assert stage.app.clipboard == "local/data-pull"
        await stage.press("2", "y")
        assert json.loads(stage.app.clipboard)["state"] == "ready"
        await stage.press("3")
        await stage.until(
            lambda: stage.app.dashboard.query_one("#queues").table.total > 0  # type: ignore[attr-defined]
        )
        await stage.press("y")
        assert json.loads(stage.app.clipboard)["direction"] in ("in", "out")


async def test_text_in_the_details_is_selected_by_mouse_and_copied(tmp_path: Path) -> None:
    async with panel(tmp_path) as stage:
        assert stage.pilot is not None
        await stage.press("enter")
        body = stage.app.screen.query_one("#detail-record")
        place = body.region.offset
        await stage.pilot.mouse_down(offset=(place.x + 1, place.y + 1))
        await stage.pilot.hover(offset=(place.x + 14, place.y + 1))
        await stage.pilot.mouse_up(offset=(place.x + 14, place.y + 1))
        await stage.settle()
        selected = stage.app.screen.get_selected_text()
        assert selected
        await stage.press("ctrl+c")
        assert stage.app.clipboard == selected
