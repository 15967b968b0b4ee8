"""The panel without colours, in few colours and without motion, driven as it is."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator

import pytest
from rich.color import ColorType
from rich.segment import Segment
from textual.widgets import Input

from tests.support.scenes import NORMAL, PLAIN, Scene, Stage, broken, nothing, settings
from tui.app import WakedeckApp


@contextlib.asynccontextmanager
async def stage_of(scene: Scene) -> AsyncIterator[Stage]:
    stage = scene.stage()
    try:
        async with stage.app.run_test(size=scene.size) as pilot:
            await scene.perform(stage, pilot)
            yield stage
            await stage.app.engine.close()
    finally:
        shutil.rmtree(stage.state, ignore_errors=True)


def drawn(app: WakedeckApp) -> list[list[Segment]]:
    return [list(strip) for strip in app.screen._compositor.render_strips()]


def text(app: WakedeckApp) -> str:
    return "\n".join("".join(segment.text for segment in line) for line in drawn(app))


def used(app: WakedeckApp) -> set[ColorType]:
    found = set()
    for line in drawn(app):
        for segment in line:
            for colour in (segment.style.color, segment.style.bgcolor) if segment.style else ():
                if colour is not None:
                    found.add(colour.type)
    return found


@pytest.mark.slow
async def test_no_color_means_none_and_every_state_is_still_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    scene = Scene("no-colour", NORMAL, nothing, broken, settings(theme="ansi-dark"))
    async with stage_of(scene) as stage:
        assert used(stage.app) <= {ColorType.DEFAULT}
        said = text(stage.app)
        for state in ("⊖ stuck", "✕ down", "◉ ready", "◆ working"):
            assert state in said
        # Where the keys go is told by the frame.
        assert "┏━ 1 sandboxes" in said
        await stage.press("2")
        said = text(stage.app)
        assert "┏━ 2 gateways" in said and "┏━ 1" not in said


async def test_no_color_wins_over_a_theme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    scene = Scene("no-colour", NORMAL, nothing, broken, settings(theme="wakedeck-dark"))
    async with stage_of(scene) as stage:
        assert used(stage.app) <= {ColorType.DEFAULT}


async def test_sixteen_colours_are_the_terminals_own() -> None:
    scene = Scene("ansi", NORMAL, nothing, broken, settings(theme="ansi-dark"))
    async with stage_of(scene) as stage:
        assert used(stage.app) <= {ColorType.DEFAULT, ColorType.STANDARD}
        assert ColorType.STANDARD in used(stage.app)
        await stage.press("t")
        assert stage.app.theme == "ansi-light"


@pytest.mark.slow
async def test_without_motion_nothing_blinks_and_nothing_flashes() -> None:
    scene = Scene("still", NORMAL, nothing, broken, PLAIN)
    async with stage_of(scene) as stage:
        assert stage.app.animation_level == "none"
        await stage.press("slash")
        focused = stage.app.focused
        assert isinstance(focused, Input)
        assert not focused.cursor_blink
        await stage.press("escape", "question_mark")
        assert isinstance(stage.app.focused, Input)
        assert not stage.app.focused.cursor_blink
        await stage.press("escape", "ctrl+p")
        assert isinstance(stage.app.focused, Input)
        assert not stage.app.focused.cursor_blink


async def test_with_motion_a_cursor_blinks() -> None:
    scene = Scene("moving", NORMAL, nothing, broken, settings(animation=True))
    async with stage_of(scene) as stage:
        await stage.press("slash")
        focused = stage.app.focused
        assert isinstance(focused, Input)
        assert focused.cursor_blink == (stage.app.animation_level != "none")
