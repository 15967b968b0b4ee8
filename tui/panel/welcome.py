"""The hint of the first start: its text, and the file that records it was shown."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from textual.screen import Screen

from services.config.paths import private_dir
from services.config.settings import Settings
from tui.context import Context

if TYPE_CHECKING:
    from widgets.panes.first_steps import Line

SECONDS = 10.0
_NAME = "welcomed"


def claim_first_start(state: Path) -> bool:
    """Whether this is the first start; records that it was. False where it cannot write."""
    try:
        private_dir(state)
        os.close(os.open(state / _NAME, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError:
        return False
    return True


def show_welcome(screen: Screen[int], context: Context, chord: str) -> None:
    """Show the hint on a screen."""
    from widgets.panes.first_steps import FirstSteps

    said = lines(context.settings, context.key, chord)
    screen.mount(FirstSteps(said, SECONDS, context.clock.monotonic))


def lines(settings: Settings, key: Callable[[str], str], chord: str) -> tuple[Line, ...]:
    """What to do first, with the keys as they are bound."""

    embedded = all(one.kind == "local" for one in settings.sources)
    palette = key("app.palette")
    about: Line = (("", "`wakedeck doctor` says what each source needs"),)
    if embedded:
        about = (
            (palette, "“break”: these are real, and made to be broken"),
            ("", "`wakedeck doctor` finds yours"),
        )
    return (
        (
            ("↑ ↓", "choose"),
            (key("repair.wake"), "wakes it"),
            (key("repair.reconnect"), "reconnects it"),
            (key("panel.shell"), "shell"),
            (chord, "leaves it"),
        ),
        (
            (key("table.open"), "details"),
            (key("pane.filter"), "filters"),
            ("1–5", "panes"),
            (key("panel.zoom"), "zooms"),
            (key("app.quit"), "quits"),
        ),
        ((key("app.help"), "every key"), (palette, "everything by its name")),
        about,
    )
