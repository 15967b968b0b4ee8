"""What needs somebody: the order, the filter and the key that goes there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from services.models import SandboxState
from tests.support.panels import drawn, panel, toasts
from tests.support.scenes import populated
from tests.support.stage import sandbox
from widgets.panes.sandboxes import SandboxPane, needs_attention, urgency

ASKS = replace(sandbox("asks"), needs_me="Apply the change?")
ROWS = (
    sandbox("calm"),
    sandbox("cut", SandboxState.CUT_OFF, "gateway is down."),
    ASKS,
    sandbox("dead", SandboxState.DOWN, "Process 4245 has died."),
)


def test_a_question_comes_before_what_is_broken_and_that_before_what_is_cut_off() -> None:
    order = [one.name for one in sorted(ROWS, key=urgency)]
    assert order == ["asks", "dead", "cut", "calm"]
    assert [one.name for one in ROWS if needs_attention(one)] == ["cut", "asks", "dead"]


@pytest.mark.slow
async def test_one_key_goes_from_one_to_the_next_and_around(tmp_path: Path) -> None:
    script = populated()
    script.sandboxes = ROWS
    async with panel(tmp_path, script) as stage:
        pane = stage.app.dashboard.query_one(SandboxPane)
        went = []
        for _ in range(4):
            await stage.press("N")
            assert pane.current is not None
            went.append(pane.current.native_id)
        assert went == ["dead", "cut", "asks", "dead"]


async def test_where_nothing_does_the_key_says_so(tmp_path: Path) -> None:
    async with panel(tmp_path) as stage:
        await stage.press("N")
        assert toasts(stage.app) == ["No sandbox needs you now."]


async def test_the_filter_shows_them_alone_in_their_order_and_all_again(tmp_path: Path) -> None:
    script = populated()
    script.sandboxes = ROWS
    async with panel(tmp_path, script) as stage:
        pane = stage.app.dashboard.query_one(SandboxPane)
        await stage.press("n")
        assert [key.native_id for key in pane.table.keys] == ["asks", "dead", "cut"]
        assert "◈ Apply the change?" in drawn(stage.app)
        await stage.press("n")
        assert [key.native_id for key in pane.table.keys] == ["asks", "calm", "cut", "dead"]
