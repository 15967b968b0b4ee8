"""How the panel looks: every named scene, drawn exactly.

After a change of the look, `make snapshots` and `make screenshots`; then open every picture.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.support.panels import toasts
from tests.support.scenes import SCENES, Scene
from tests.support.screenshots import FOLDER, drawn, picture
from tests.support.storyboard import cast, play, svg

_drawn: dict[str, str] = {}
"""The picture of each scene that has been played, so that it is not played again for that."""


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_a_scene_looks_as_it_did(scene: Scene, snap_compare: Callable[..., bool]) -> None:
    stage = scene.stage()

    async def play(pilot: Pilot[Any]) -> None:
        await scene.perform(stage, pilot)
        if not toasts(stage.app):  # the committed pictures have none
            _drawn[scene.name] = drawn(stage)
        await stage.app.engine.journal.close()

    try:
        assert snap_compare(stage.app, terminal_size=scene.size, run_before=play)
    finally:
        shutil.rmtree(stage.state, ignore_errors=True)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_the_committed_picture_is_of_today(scene: Scene) -> None:
    committed = FOLDER / f"{scene.name}.svg"
    now = _drawn.get(scene.name) or asyncio.run(picture(scene))
    assert committed.read_text("utf-8") == now, "run `make screenshots`"


async def test_the_committed_recording_is_of_today() -> None:
    frames = await play()
    for name, now in (("one-key.cast", cast(frames)), ("one-key.svg", svg(frames))):
        assert (FOLDER / name).read_text("utf-8") == now, "run `make screenshots`"
