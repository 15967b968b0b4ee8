"""The reason of a red row, whole, where its column is too narrow and there is room below."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Static

from services.models import SandboxState
from tests.support.panels import drawn, line_of, panel
from tests.support.scenes import populated
from tests.support.stage import SANDBOXES, sandbox
from widgets.panes.sandboxes import SandboxPane
from widgets.table.stream_table import StreamTable

LONG = "The importer has made no progress since its last claim; its heartbeat is 412 s old."


@pytest.mark.slow
async def test_a_red_row_gets_a_second_line_and_a_calm_one_does_not(tmp_path: Path) -> None:
    script = populated()
    script.sandboxes = (
        sandbox("data-pull", SandboxState.STUCK, LONG),
        sandbox("inbox-triage", reason=LONG),
        *SANDBOXES[2:],
    )
    async with panel(tmp_path, script, size=(120, 40)) as stage:
        lines = drawn(stage.app).splitlines()
        at = next(y for y, line in enumerate(lines) if "⊖ stuck" in line and "data-pull" in line)
        assert LONG in lines[at + 1]
        assert "inbox-triage" in lines[at + 2] and LONG not in lines[at + 3]
        await stage.press("down")
        pane = stage.app.dashboard.query_one(SandboxPane)
        assert pane.current == SANDBOXES[1].id
        table = pane.table
        assert await stage.pilot.click(table, offset=(10, 2))  # type: ignore[union-attr]
        await stage.settle()
        assert pane.current == SANDBOXES[0].id, "a click on the second line is on its row"
        script.sandboxes = SANDBOXES
        await stage.clock.advance(2.0)
        await stage.until(lambda: LONG not in drawn(stage.app))


async def test_where_rows_need_the_room_there_is_one_line_each(tmp_path: Path) -> None:
    script = populated()
    script.sandboxes = tuple(
        sandbox(f"agent-{number:03d}", SandboxState.STUCK, LONG) for number in range(60)
    )
    async with panel(tmp_path, script, size=(120, 40)) as stage:
        table = stage.app.dashboard.query_one(SandboxPane).table
        top = table.region.y + 1
        assert "agent-000" in line_of(stage.app, top) and "agent-001" in line_of(stage.app, top + 1)


async def test_a_long_name_is_whole_and_the_bar_is_as_high_as_what_it_says(tmp_path: Path) -> None:
    script = populated()
    name = "importer-of-everything-that-the-night-shift-has-left-behind-in-the-mailbox"
    script.sandboxes = (sandbox(name, SandboxState.STUCK, LONG), *SANDBOXES[1:])
    async with panel(tmp_path, script, size=(80, 24)) as stage:
        await stage.until(lambda: name in drawn(stage.app))
        bar = stage.app.dashboard.query_one("#repair")
        assert any(name in line_of(stage.app, y) for y in range(bar.region.y, bar.region.bottom))
        assert "Wake (w)" in drawn(stage.app)
        high = bar.region.height
        await stage.press("down")
        assert bar.region.height < high
        assert not any(isinstance(one, Static) and one.max_scroll_y for one in bar.query("*"))


async def test_thumbs_stand_where_the_rows_are(tmp_path: Path) -> None:
    script = populated()
    snapshot = script.queues[SANDBOXES[0].id]
    from dataclasses import replace

    first = snapshot.messages[0]
    many = tuple(replace(first, id=f"in-{n}", seq=2 * n) for n in range(100))
    script.queues[SANDBOXES[0].id] = replace(snapshot, messages=many)
    async with panel(tmp_path, script) as stage:
        table = stage.app.dashboard.query_one("#queue-in", StreamTable)
        await stage.until(lambda: table.max_scroll_y > 0 and table.show_vertical_scrollbar)
        assert table.scroll_offset.y > 10
        assert abs(table.vertical_scrollbar.position - table.scroll_offset.y) <= 1
