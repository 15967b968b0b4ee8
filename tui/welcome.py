"""The hint of the first start: what it says, and that it was given once."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual.screen import Screen

from services.config import Settings
from widgets.binding_rows import keys_of
from widgets.first_steps import FirstSteps, Line

if TYPE_CHECKING:
    from tui.app import WakedeckApp

SECONDS = 10.0
_NAME = "welcomed"


def wanted(state: Path) -> bool:
    """Whether it was never given; from now on it was. None where that cannot be remembered."""
    try:
        os.close(os.open(state / _NAME, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError:
        return False
    return True


def greet(screen: Screen[int], panel: WakedeckApp, chord: str) -> None:
    """Show the hint on a screen whose keys are live."""
    said = lines(panel.settings, partial(keys_of, screen), chord)
    screen.mount(FirstSteps(said, SECONDS, panel.clock.monotonic))


def lines(settings: Settings, key: Callable[[str], str], chord: str) -> tuple[Line, ...]:
    """What to do first, with the keys as they are bound."""

    def first(action: str) -> str:
        return key(action).split(", ")[0]

    embedded = all(one.kind == "local" for one in settings.sources)
    palette = first("app.palette")
    about: Line = (("", "`wakedeck doctor` says what each source needs"),)
    if embedded:
        about = ((palette, "“break”: these are real, and made to be broken; doctor finds yours"),)
    return (
        (
            ("↑ ↓", "choose"),
            (first("repair.wake"), "wakes it"),
            (first("repair.reconnect"), "reconnects it"),
            (first("panel.shell"), "shell"),
            (chord, "leaves it"),
        ),
        (
            (first("table.open"), "details"),
            (first("pane.filter"), "filters"),
            ("1–5", "panes"),
            (first("panel.zoom"), "zooms"),
            (first("app.quit"), "quits"),
        ),
        ((first("app.help"), "every key"), (palette, "everything by its name")),
        about,
    )
