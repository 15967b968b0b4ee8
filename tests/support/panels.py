"""A panel on a scripted world, open for one test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.config.settings import Settings
from tests.support.acted import Script
from tests.support.scenes import PLAIN, Stage, populated
from tui.app import WakedeckApp


@asynccontextmanager
async def panel(
    state: Path,
    script: Script | None = None,
    settings: Settings = PLAIN,
    *,
    size: tuple[int, int] = (140, 40),
) -> AsyncIterator[Stage]:
    """Open it, wait for the first look, and end its services afterwards."""
    state.mkdir(parents=True, exist_ok=True)
    stage = Stage(populated() if script is None else script, settings, state)
    async with stage.app.run_test(size=size) as pilot:
        stage.pilot = pilot
        await stage.seen()
        try:
            yield stage
        finally:
            await stage.app.engine.close()


def toasts(app: WakedeckApp) -> list[str]:
    """What the operator was told, oldest first."""
    return [one.message for one in app._notifications]


def line_of(app: WakedeckApp, y: int) -> str:
    """One line of the screen as it is drawn."""
    return "".join(segment.text for segment in app.screen._compositor.render_strips()[y])


def drawn(app: WakedeckApp) -> str:
    """The whole screen as it is drawn."""
    return "\n".join(line_of(app, y) for y in range(app.size.height))
