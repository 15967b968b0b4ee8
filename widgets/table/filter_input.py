"""The one line in which a filter is typed."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from widgets.text.line_input import LineInput


class FilterInput(LineInput):
    """Enter keeps the filter, Escape drops it; a pasted list of names finds any of them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "drop", "Drop the filter", id="filter.drop"),
        Binding("enter", "keep", "Keep the filter", id="filter.keep"),
    ]
    LINES_JOINED_BY = " | "

    def __init__(self) -> None:
        super().__init__('filter: words, !not, "a phrase", this | that')

    def on_blur(self) -> None:
        """Close when the keys go elsewhere, but not when the whole terminal loses them."""
        if self.app.app_focus:
            self.remove_class("-open")
