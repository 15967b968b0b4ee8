"""Draws every scene into `screenshots/`: `make screenshots`."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

from tests.support.scenes import SCENES, Scene, Stage

FOLDER = Path(__file__).resolve().parents[2] / "screenshots"


def drawn(stage: Stage) -> str:
    """What a stage shows, as SVG."""
    return stage.app.export_screenshot(title="Wakedeck", simplify=True)


async def picture(scene: Scene) -> str:
    """One scene as SVG."""
    stage = scene.stage()
    try:
        async with stage.app.run_test(size=scene.size) as pilot:
            await scene.perform(stage, pilot)
            shown = drawn(stage)
            await stage.app.engine.close()
    finally:
        shutil.rmtree(stage.state, ignore_errors=True)
    return shown


def main(names: list[str]) -> None:
    """Draw the named scenes, or all of them."""
    FOLDER.mkdir(exist_ok=True)
    for scene in SCENES:
        if not names or scene.name in names:
            (FOLDER / f"{scene.name}.svg").write_text(asyncio.run(picture(scene)), "utf-8")
            sys.stdout.write(f"{scene.name}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
