"""The keys of every table."""

from __future__ import annotations

from textual.binding import Binding, BindingType

TABLE_BINDINGS: list[BindingType] = [
    Binding("up,k", "move(-1)", "Up", show=False, id="table.up"),
    Binding("down,j", "move(1)", "Down", show=False, id="table.down"),
    Binding("home,g", "first", "First row", show=False, id="table.first"),
    Binding("end,G", "last", "Last row", show=False, id="table.last"),
    Binding("pageup", "page(-1.0)", "Page up", show=False, id="table.page_up"),
    Binding("pagedown", "page(1.0)", "Page down", show=False, id="table.page_down"),
    Binding("ctrl+u", "page(-0.5)", "Half a page up", show=False, id="table.half_up"),
    Binding("ctrl+d", "page(0.5)", "Half a page down", show=False, id="table.half_down"),
    Binding("enter", "open", "Details", id="table.open"),
    Binding("o", "sort_next", "Sort by the next column", show=False, id="table.sort"),
    Binding("O", "sort_flip", "Reverse the order", show=False, id="table.sort_flip"),
    Binding("space", "mark", "Mark", show=False, id="table.mark"),
    Binding("v,shift+space", "mark_range", "Mark up to here", show=False, id="table.mark_range"),
    Binding("escape", "clear", "Clear marks or filter", show=False, id="table.clear"),
]
