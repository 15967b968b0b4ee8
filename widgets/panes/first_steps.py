"""The hint of the first start: a few lines over the dashboard that close by themselves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from textual import events
from textual.content import Content
from textual.widgets import Static

from widgets.text.cell_text import sanitize_line
from widgets.text.styled_text import joined

Line = Sequence[tuple[str, str]]
"""(key, what it does) pairs of one line; a pair without a key is a sentence."""


def steps_text(lines: Sequence[Line]) -> Content:
    """Keys bold beside what they do."""
    return joined((_line(line) for line in lines), "\n")


def _line(line: Line) -> Content:
    parts: list[Content] = []
    for key, words in line:
        said = Content(sanitize_line(words, 120))
        if key:
            said = Content.assemble((sanitize_line(key, 20), "bold $text-accent"), " ", said)
        parts.append(said)
    return joined(parts, "   ")


class FirstSteps(Static):
    """An overlay at the lower edge without focus; a click or its time limit closes it."""

    DEFAULT_CSS = """
    FirstSteps {
        layer: hint;
        dock: bottom;
        width: 100%;
        height: auto;
        margin: 0 0 1 0;
        padding: 0 2;
        border: round $accent;
        border-title-color: $text;
        border-title-style: bold;
        border-subtitle-color: $text-muted;
        background: $panel;
    }
    """
    ALLOW_SELECT = False

    def __init__(
        self, lines: Sequence[Line], seconds: float, monotonic: Callable[[], float]
    ) -> None:
        super().__init__(steps_text(lines), markup=False)
        self._monotonic = monotonic
        self._until = monotonic() + seconds
        self.border_title = Content("Welcome to Wakedeck")

    def on_mount(self) -> None:
        """Start the countdown."""
        self._count()
        self.set_interval(0.5, self._count)

    def on_click(self, event: events.Click) -> None:
        """A click closes it."""
        event.stop()
        self.close()

    def close(self) -> None:
        """Remove the hint."""
        self.remove()

    def _count(self) -> None:
        left = self._until - self._monotonic()
        if left <= 0:
            self.close()
        else:
            words = f"esc or a click closes this; it goes in {math.ceil(left)} s"
            self.border_subtitle = Content(words)
