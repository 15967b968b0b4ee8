"""What has room in a record table: the widths of its columns, and second lines."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from textual.scroll_view import ScrollView

from widgets.table.columns import Column
from widgets.table.ghosts import Ghosts
from widgets.table.record_model import RecordModel
from widgets.table.row_painter import RowPainter
from widgets.table.row_window import RowWindow

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")


class TableLayout(Generic[K, R]):
    """Fits columns and second lines to the rows on the screen, and draws anew what that moves."""

    def __init__(
        self,
        table: ScrollView,
        model: RecordModel[K, R],
        window: RowWindow[K],
        ghosts: Ghosts[K, R],
        painter: RowPainter[K, R],
        asked: Callable[[], tuple[tuple[Column[R], ...], int, float]],
    ) -> None:
        """`asked` gives all columns, the width that is sure, and the instant ages count from."""
        self._table, self._model, self._window = table, model, window
        self._ghosts, self._painter, self._asked = ghosts, painter, asked

    def place_columns(self) -> None:
        """Place the columns for the present width."""
        columns, sure, _ = self._asked()
        width = self._table.scrollable_content_region.width
        if self._painter.lay_out(columns, width, sure):
            self._table.refresh()

    def check(self) -> None:
        """Settle once more after what was drawn, where a text has outgrown its column."""
        if self._painter.needs.changed:
            self._table.call_later(self.settle)

    def settle(self) -> None:
        """Give columns and second lines to the rows that have more to say, where there is room."""
        if not self._table.is_attached:
            return
        self.place_columns()
        *_, now = self._asked()
        again = self._painter.needs.is_due(now)
        for row in self._window.on_screen():
            key = self._model.visible[row]
            record = self._model.record(key)
            if record is not None:
                self._painter.measure(key, record, now, again=again)
        self.place_columns()
        if self._window.spill(self._spilled()):
            self._table.refresh()

    def _spilled(self) -> tuple[int, ...]:
        """Rows that get a second line: those that have more to say, where all lines have room."""
        rows, page = len(self._model), self._window.page_rows
        if rows >= page:
            return ()
        spilled = [
            row
            for row, key in enumerate(self._model.visible)
            if key not in self._ghosts and self._painter.spilled_text(self._model.record(key))
        ]
        return tuple(spilled[: page - rows])
