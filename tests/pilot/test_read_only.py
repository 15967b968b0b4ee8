"""A read-only panel: every key, button and palette entry there is acts on nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from textual.widgets import Button

from services.sources.protocol.read_only import ReadOnlyActor
from services.terminal.exec.requests import ShellChoice
from tests.support.panels import panel, toasts
from tests.support.scenes import Stage, populated, settings
from tests.support.stage import SANDBOXES
from tui.app import bound_actions
from tui.panel.palette import PanelCommands

LEAVES = ("app.quit", "app.suspend", "app.picture")
"""What ends or hides the panel, or writes a file of the operator's own: not on a sandbox."""
OPENS = {"app.help", "app.palette", "panel.logs"}


@asynccontextmanager
async def read_only(folder: Path) -> AsyncIterator[Stage]:
    """A read-only panel whose source could do everything, and whose actor would be seen to."""
    async with panel(folder, populated(), settings(read_only=True)) as stage:
        yield stage
        assert acted(stage) == []


def acted(stage: Stage) -> list[object]:
    """Whatever reached the source."""
    script = stage.script
    return [*script.woken, *stage.app.shells.open_shells()]
