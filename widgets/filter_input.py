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
        """The line is done with; `keep` is whether the filter stays."""

        def __init__(self, keep: bool) -> None:
            super().__init__()
            self.keep = keep

    def __init__(self) -> None:
        super().__init__(placeholder='filter: words, !not, "a phrase"', select_on_focus=False)

    def open(self, text: str) -> None:
        """Show the line with the filter as it is."""
        self.value = text
        self.cursor_position = len(text)
        self.add_class("-open")
        self.focus()

    def action_keep(self) -> None:
        """Close and keep."""
        self._close(keep=True)

    def action_drop(self) -> None:
        """Close and drop."""
        self._close(keep=False)

    def _close(self, *, keep: bool) -> None:
        self.remove_class("-open")
        self.post_message(self.Closed(keep))
