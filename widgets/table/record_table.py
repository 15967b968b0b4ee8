"""A virtual table of records known by key, with the keys and the mouse of every list here."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import ClassVar, Generic, TypeAlias, TypeVar

from textual import events
from textual.binding import Binding, BindingType

from widgets.table import messages
from widgets.table.columns import Column
from widgets.table.record_view import HEADER, RecordView
from widgets.table.row_painter import GUTTER

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")


class RecordTable(RecordView[K, R], Generic[K, R], can_focus=True, inherit_bindings=False):
    """Moves, sorts, filters, marks and opens rows; it acts on keys, never on row numbers."""

    BINDINGS: ClassVar[list[BindingType]] = [
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
        Binding(
            "v,shift+space", "mark_range", "Mark up to here", show=False, id="table.mark_range"
        ),
        Binding("escape", "clear", "Clear marks or filter", show=False, id="table.clear"),
    ]

    Highlighted: TypeAlias = messages.Highlighted
    CursorLost: TypeAlias = messages.CursorLost
    Opened: TypeAlias = messages.Opened
    Sorted: TypeAlias = messages.Sorted
    Filtered: TypeAlias = messages.Filtered
    MarksChanged: TypeAlias = messages.MarksChanged

    @property
    def filter_text(self) -> str:
        """The active filter, as typed."""
        return self._model.filter

    @property
    def sort(self) -> tuple[str | None, bool]:
        """Column id (None: natural order) and whether it is reversed."""
        return self._sort

    @property
    def marked(self) -> tuple[K, ...]:
        """Marked records that are shown, in their order: the ones a verb is for."""
        return self._marks.among(self._model.visible)

    def set_columns(self, columns: Sequence[Column[R]]) -> None:
        """Show other columns; a sort by one that is gone ends."""
        self._columns = tuple(columns)
        self._revision += 1
        if self._sort[0] is not None and self._sort[0] not in {c.id for c in columns}:
            self.sort_by(None)
        self.refresh()

    def set_filter(self, text: str) -> None:
        """Show only what matches (`filter.terms`)."""
        if text == self._model.filter:
            return
        place = self._view_position()
        if self._model.set_filter(text):
            self._restore_position(place)
        self.refresh()
        self.refresh_bindings()
        self.post_message(self.Filtered(self, text))

    def sort_by(self, column: str | None, *, reverse: bool = False) -> None:
        """Order by a column with a sort key, or naturally."""
        by = next((c.sort_key for c in self._columns if c.id == column), None)
        self._sort = (column if by else None, reverse)
        place = self._view_position()
        if self._model.set_sort(by, reverse=reverse):
            self._restore_position(place)
        self.refresh()
        self.post_message(self.Sorted(self, *self._sort))

    def select(self, key: K) -> bool:
        """Put the cursor on a record; False where it is not shown."""
        row = self._model.row(key)
        if row is None:
            return False
        self._go(row)
        return True

    def clear_marks(self) -> None:
        """Unmark everything."""
        if self._marks.clear():
            self._marks_changed()

    def action_move(self, rows: int) -> None:
        """Move the cursor."""
        self._go((self._model.row(self._cursor) or 0) + rows)

    def action_first(self) -> None:
        """Go to the first row."""
        self._go(0)

    def action_last(self) -> None:
        """Go to the last row."""
        self._go(len(self._model) - 1)

    def action_page(self, pages: float) -> None:
        """Move the cursor by a part of the screen."""
        step = max(1, int((self._page_rows - 1) * abs(pages)))
        self.action_move(step if pages > 0 else -step)

    def action_open(self) -> None:
        """Ask for the details of the record under the cursor."""
        if self._cursor is not None:
            self.post_message(self.Opened(self, self._cursor))

    def action_sort_next(self) -> None:
        """Order by the next column that orders anything, then naturally again."""
        self._lay_out()
        ids = [p.column.id for p in self._painter.placed if p.column.sort_key]
        chosen, _ = self._sort
        after = ids.index(chosen) + 1 if chosen in ids else 0
        self.sort_by(ids[after] if after < len(ids) else None)

    def action_sort_flip(self) -> None:
        """Reverse the order."""
        column, reverse = self._sort
        self.sort_by(column, reverse=not reverse)

    def action_mark(self) -> None:
        """Mark or unmark the record under the cursor and go on to the next."""
        if self._cursor is not None:
            self._marks.toggle(self._cursor)
            self._marks_changed()
            self.action_move(1)

    def action_mark_range(self) -> None:
        """Mark from the last marked record to the cursor."""
        if self._cursor is not None and self._marks.extend(self._model.visible, self._cursor):
            self._marks_changed()

    def action_clear(self) -> None:
        """Drop the marks; where there are none, the filter."""
        if len(self._marks):
            self.clear_marks()
        else:
            self.set_filter("")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape belongs to others while there is nothing to clear."""
        if action == "clear":
            return bool(len(self._marks) or self._model.filter)
        return True

    def on_click(self, event: events.Click) -> None:
        """A row: select, and open on the second click. A title: sort, reverse, natural again."""
        if event.y < HEADER:
            self._click_title(event.x - GUTTER)
            return
        row = self.scroll_offset.y + event.y - HEADER
        if row >= len(self._model):
            return
        self._go(row)
        if event.chain == 2:
            self.action_open()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Show which row a click would take."""
        row = self.scroll_offset.y + event.y - HEADER
        self._hover_over(row if event.y >= HEADER and row < len(self._model) else None)

    def on_leave(self, _: events.Leave) -> None:
        """The mouse is elsewhere."""
        self._hover_over(None)

    def _hover_over(self, row: int | None) -> None:
        if row != self._hover:
            before, self._hover = self._hover, row
            self._refresh_row(before)
            self._refresh_row(row)

    def _click_title(self, x: int) -> None:
        for placed in self._painter.placed:
            if placed.x <= x < placed.x + placed.width and placed.column.sort_key:
                same, reverse = self._sort[0] == placed.column.id, self._sort[1]
                if same and reverse:
                    self.sort_by(None)
                else:
                    self.sort_by(placed.column.id, reverse=same)
                return

    def _marks_changed(self) -> None:
        self.refresh()
        self.refresh_bindings()
        self.post_message(self.MarksChanged(self, self.marked))
