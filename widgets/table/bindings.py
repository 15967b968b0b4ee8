"""The keys of every list: those that move through it, and those of a table."""

from __future__ import annotations

from textual.binding import Binding, BindingType


def movement(place: str, first: str, last: str) -> list[BindingType]:
    """The keys that move through a list; ids begin with `place`, `first` and `last` name its ends.

    The list has `action_move`, `action_first`, `action_last` and `action_page`.
    """
    return [
        Binding("up,k", "move(-1)", "Up", show=False, id=f"{place}.up"),
        Binding("down,j", "move(1)", "Down", show=False, id=f"{place}.down"),
        Binding("home,g", "first", first, show=False, id=f"{place}.first"),
        Binding("end,G", "last", last, show=False, id=f"{place}.last"),
        Binding("pageup", "page(-1.0)", "Page up", show=False, id=f"{place}.page_up"),
        Binding("pagedown", "page(1.0)", "Page down", show=False, id=f"{place}.page_down"),
        Binding("ctrl+u", "page(-0.5)", "Half a page up", show=False, id=f"{place}.half_up"),
        Binding("ctrl+d", "page(0.5)", "Half a page down", show=False, id=f"{place}.half_down"),
    ]


TABLE_BINDINGS: list[BindingType] = [
    *movement("table", "First row", "Last row"),
    Binding("enter", "open", "Details", id="table.open"),
    Binding("o", "sort_next", "Sort by the next column", show=False, id="table.sort"),
    Binding("O", "sort_flip", "Reverse the order", show=False, id="table.sort_flip"),
    Binding("space", "mark", "Mark", show=False, id="table.mark"),
    Binding("v,shift+space", "mark_range", "Mark up to here", show=False, id="table.mark_range"),
    Binding("escape", "clear", "Clear marks or filter", show=False, id="table.clear"),
]
