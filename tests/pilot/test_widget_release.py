"""Widgets that are gone are gone from memory."""

from __future__ import annotations

import gc

import pytest
from textual._styles_cache import StylesCache
from textual.app import App
from textual.widgets import Static

from tui.gc_control import clear_styles_cache

MANY = 25


def pictures() -> int:
    """How many widgets' drawn lines are in memory."""
    gc.collect()
    return sum(isinstance(one, StylesCache) for one in gc.get_objects())


@pytest.mark.slow
async def test_nothing_is_kept_of_what_was_on_the_screen() -> None:
    app: App[None] = App()
    async with app.run_test(size=(60, 30)) as pilot:
        await pilot.pause()
        clear_styles_cache()
        before = pictures()
        for number in range(MANY):
            shown = Static(f"number {number}")
            shown.styles.background = f"rgb({number},0,0)"
            await app.mount(shown)
            await pilot.pause()
            await shown.remove()
        del shown
        await pilot.pause()
        clear_styles_cache()
        assert pictures() < before + MANY // 4
