"""Ages are renewed with each look, and by themselves where none comes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from services.board.deltas import BoardDelta
from tests.support.panels import panel
from tui import dashboard


async def test_a_look_renews_the_ages_and_puts_off_the_tick(tmp_path: Path) -> None:
    async with panel(tmp_path) as stage:
        shown = stage.app.dashboard
        stage.app.engine.pollers.pause(True)
        await stage.settle()
        before = shown._next_tick
        assert before is not None
        shown.apply_delta(BoardDelta())
        asked = asyncio.get_running_loop().time()
        put_off = shown._next_tick
        assert put_off is not None and before.cancelled()
        assert put_off.when() - asked > dashboard.TICK_S, "the next look comes first"
        shown.tick()
        assert put_off.cancelled()


@pytest.mark.slow
async def test_without_a_look_the_ages_go_on_by_themselves(tmp_path: Path) -> None:
    async with panel(tmp_path) as stage:
        stage.app.engine.pollers.pause(True)
        await stage.settle()
        shown = stage.app.dashboard
        shown.tick()
        for _ in range(2):
            waiting = shown._next_tick
            assert waiting is not None
            await stage.until(lambda: shown._next_tick is not waiting)  # noqa: B023
    assert shown._next_tick is not None
    shown.on_unmount()
    assert shown._next_tick.cancelled()
