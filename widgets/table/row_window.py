"""Which rows of a table are on the screen, and which record its cursor is on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from textual.geometry import Region, Size
from textual.scroll_view import ScrollView

from widgets.table import messages
from widgets.table.record_model import RecordModel

K = TypeVar("K", bound=Hashable)

HEADER = 1
"""Lines above the first row."""


class ViewPosition(NamedTuple, Generic[K]):
    """The view before a change: visible keys, row of the cursor, first row on the screen."""

    keys: Sequence[K]
    cursor: int | None
    top: int


class RowWindow(Generic[K]):
    """The cursor and the scroll position of one table."""

    def __init__(
        self, table: ScrollView, model: RecordModel[K, Any], first: Callable[[], K | None]
    ) -> None:
        self._table, self._model = table, model
        self._first = first
        """The record the cursor starts on where there was none."""
        self.cursor: K | None = None
        self.hover: int | None = None
        """The row under the mouse."""
        self._spilled: tuple[int, ...] = ()
        """Rows with a second line, in order; only where every line is on the screen."""

    @property
    def page_rows(self) -> int:
        """Rows that fit."""
        return max(1, self._table.container_size.height - HEADER)

    @property
    def top(self) -> int:
        """The first row on the screen."""
        return self._table.scroll_offset.y

    def on_screen(self) -> Iterator[int]:
        """Rows now on the screen."""
        top = self.top
        return iter(range(top, min(top + self.page_rows, len(self._model))))

    def row_at(self, y: int) -> int | None:
        """The row on that line of the table."""
        return None if y < HEADER else self.at_line(self.top + y - HEADER)[0]

    def at_line(self, line: int) -> tuple[int | None, bool]:
        """The row on a line, counted from the first row's, and whether it is its second line."""
        row = line
        for spilled in self._spilled:
            if spilled >= row:
                break
            if spilled == row - 1:
                return spilled, True
            row -= 1
        return (row if row < len(self._model) else None), False

    def line_of(self, row: int) -> int:
        """The line of a row, counted from the first row's."""
        return row + sum(spilled < row for spilled in self._spilled)

    def spill(self, rows: tuple[int, ...]) -> bool:
        """Give these rows a second line; whether that is another view."""
        if rows == self._spilled:
            return False
        self._spilled = rows
        self.count_rows()
        return True

    def refresh_key(self, key: K | None) -> None:
        """Repaint the row of a record, where it is on the screen."""
        self.refresh_row(self._model.row(key))

    def refresh_row(self, row: int | None) -> None:
        """Repaint a row, where it is on the screen."""
        if row is not None and self._is_on_screen(row, self._table.scroll_offset.y):
            line = self.line_of(row) + HEADER
            self._table.refresh_line(line)
            if row in self._spilled:
                self._table.refresh_line(line + 1)

    def refresh_cells(self, key: K, cells: Sequence[tuple[int, int]]) -> None:
        """Repaint some cells of a record's first line, and its second one with them."""
        row = self._model.row(key)
        if not cells or row is None or not self._is_on_screen(row, self.top):
            return
        if row in self._spilled:
            self.refresh_row(row)
            return
        y = self.line_of(row) - self.top + HEADER
        for x, width in cells:
            self._table.refresh(Region(x, y, width, 1))

    def refresh_keys(self, keys: Collection[K]) -> None:
        """Repaint the rows of records that are on the screen."""
        for row in self.on_screen():
            if self._model.visible[row] in keys:
                self.refresh_row(row)

    def hover_over(self, row: int | None) -> None:
        """The mouse is over another row, or over none."""
        if row != self.hover:
            before, self.hover = self.hover, row
            self.refresh_row(before)
            self.refresh_row(row)

    def position(self) -> ViewPosition[K]:
        """Where the cursor and the rows are, to be restored after a change."""
        return ViewPosition(
            self._model.visible, self._model.row(self.cursor), round(self._table.scroll_target_y)
        )

    def restore(self, place: ViewPosition[K]) -> None:
        """After rows came, went or moved: the cursor on its record, the record where it was."""
        self.count_rows()
        row = self._model.row(self.cursor)
        if row is None and self.cursor is not None and place.cursor is not None:
            lost = self.cursor
            self.set_cursor(self._model.nearest_visible(place.keys, place.cursor))
            self._table.post_message(messages.CursorLost(self._table, lost, self.cursor))
        elif row is None:
            self.set_cursor(self._first())
        row = self._model.row(self.cursor)
        if (
            place.cursor is not None
            and row is not None
            and self._is_on_screen(place.cursor, place.top)
        ):
            top: int | None = row - (place.cursor - place.top)
        else:
            top = self._model.row(self._model.nearest_visible(place.keys, place.top))
        if top is not None:
            self.scroll(top)
        self._table.refresh()

    def count_rows(self) -> None:
        """Tell the table how high it is."""
        table, high = self._table, len(self._model) + len(self._spilled) + HEADER
        if high == table.virtual_size.height:
            return
        size, room, height = Size(0, high), table.container_size.height, table.styles.height
        fixed = room and height is not None and not height.is_auto
        if fixed and table.show_vertical_scrollbar is (high > room):
            # A new layout of the whole screen would move nothing: only the scrollbar differs.
            table.set_reactive(ScrollView.virtual_size, size)
            table._scroll_update(size)
        else:
            table.virtual_size = size

    def set_cursor(self, key: K | None) -> None:
        """Put the cursor on a record, wherever it is."""
        if key == self.cursor:
            return
        self.refresh_key(self.cursor)
        self.cursor = key
        self.refresh_key(key)
        self._table.post_message(messages.Highlighted(self._table, key))

    def go(self, row: int) -> None:
        """Move the cursor to the nearest existing row and show it."""
        if not len(self._model):
            return
        row = max(0, min(row, len(self._model) - 1))
        self.set_cursor(self._model.visible[row])
        self.reveal(row)

    def scroll(self, top: int) -> None:
        """Make `top` the first row on the screen."""
        # Forced: the scrollbar that would allow it is laid out only after the rows are counted.
        if self._table.is_attached:
            self._table.scroll_to(y=top, animate=False, force=True)

    def reveal(self, row: int) -> None:
        """Scroll no further than needed to show a row."""
        top = round(self._table.scroll_target_y)
        if row < top:
            self.scroll(row)
        elif row >= top + self.page_rows:
            self.scroll(row - self.page_rows + 1)

    def _is_on_screen(self, row: int, top: int) -> bool:
        return top <= row < top + self.page_rows
