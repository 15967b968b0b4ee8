"""A dialog that lists the cells of a row, one of which is copied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from widgets.text.cell_text import sanitize_line


class CellPicker(ModalScreen[str]):
    """Returns the text of the chosen cell, or an empty string."""

    DEFAULT_CSS = """
    CellPicker {
        align: center middle;

        #cell-box {
            width: 76;
            max-width: 96%;
            height: auto;
            max-height: 80%;
            padding: 0 1;
            border: round $accent;
            border-title-color: $foreground;
            border-title-style: bold;
            background: $surface;
        }
        OptionList {
            height: auto;
            max-height: 100%;
            padding: 0;
            border: none;
            background: $surface;
            &:focus { border: none; }
        }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Leave", id="cells.leave"),
        Binding("j", "step(1)", "Next", id="cells.next", show=False),
        Binding("k", "step(-1)", "Previous", id="cells.previous", show=False),
    ]

    def __init__(self, cells: Sequence[tuple[str, str]]) -> None:
        """`cells` are (title of the column, its whole text)."""
        super().__init__()
        self._cells = tuple(cells)

    def compose(self) -> ComposeResult:
        column = max((len(title) for title, _ in self._cells), default=0)
        with Vertical(id="cell-box") as box:
            box.border_title = Content("Copy which cell?")
            yield OptionList(
                *(
                    Option(
                        Content.assemble(
                            (sanitize_line(title, 24).ljust(column), "$text-accent"),
                            "  ",
                            sanitize_line(text, 300),
                        )
                    )
                    for title, text in self._cells
                )
            )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Return the chosen cell."""
        event.stop()
        self.dismiss(self._cells[event.option_index][1])

    def action_step(self, step: int) -> None:
        """Move."""
        options = self.query_one(OptionList)
        if step > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()

    def action_leave(self) -> None:
        """Close without copying."""
        self.dismiss("")
