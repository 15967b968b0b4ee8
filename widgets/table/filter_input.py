"""The one line in which a filter is typed."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input


class FilterInput(Input):
    """Hidden until opened. Enter keeps the filter, Escape drops it; both close the line."""

    DEFAULT_CSS = """
    FilterInput {
        display: none;
        height: 1;
        border: none;
        padding: 0 1;
        background: $foreground 8%;
        color: $text;
        &.-open { display: block; }
        &:focus { border: none; background: $foreground 12%; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "drop", "Drop the filter", id="filter.drop"),
        Binding("enter", "keep", "Keep the filter", id="filter.keep"),
    ]

    class Closed(Message):
        """The line is done with; `text` is the filter that stays."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self) -> None:
        super().__init__(placeholder='filter: words, !not, "a phrase"', select_on_focus=False)

    def open(self, text: str) -> None:
        """Show the line with the filter as it is."""
        self.value = text
        self.cursor_position = len(text)
        self.add_class("-open")
        self.screen.set_focus(self)  # At once: what is typed next is for this line alone.

    def action_keep(self) -> None:
        """Close and keep."""
        self._close(self.value)

    def action_drop(self) -> None:
        """Close and drop."""
        self._close("")

    def on_blur(self) -> None:
        """Close when the keys go elsewhere, but not when the whole terminal loses them."""
        if self.app.app_focus:
            self.remove_class("-open")

    def _close(self, text: str) -> None:
        self.remove_class("-open")
        self.post_message(self.Closed(text))
