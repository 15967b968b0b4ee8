"""Which strip stands on which line of a record table."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from textual.strip import Strip

from widgets.table.changed_cells import ChangedCells
from widgets.table.ghosts import Ghosts
from widgets.table.marks import Marks
from widgets.table.record_model import Change, RecordModel
from widgets.table.row_painter import RowPainter, RowState
from widgets.table.row_window import HEADER, RowWindow
from widgets.table.sort_order import SortOrder

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")


class RowDrawing(Generic[K, R]):
    """Joins a record with what the table adds to it, and has it painted."""

    def __init__(
        self,
        model: RecordModel[K, R],
        window: RowWindow[K],
        marks: Marks[K],
        ghosts: Ghosts[K, R],
        changed: ChangedCells[K, R],
        painter: RowPainter[K, R],
        stale: Callable[[R], bool],
    ) -> None:
        self._model, self._window, self._marks, self._ghosts = model, window, marks, ghosts
        self._changed, self._painter, self._stale = changed, painter, stale

    def line(self, y: int, now: float, sort: SortOrder, empty: Callable[[], str]) -> Strip:
        """Line `y` of the table: the header, a record, the second line of one, or what is empty."""
        if y < HEADER:
            return self._painter.header(*sort)
        row, second = self._window.at_line(self._window.top + y - HEADER)
        if row is not None:
            return self._row(row, now, second)
        if len(self._model):
            return self._painter.blank()
        text, total = empty(), self._model.total
        if total:
            text = f"Nothing matches /{self._model.filter}\nEscape shows all {total}."
        return self._painter.message(text, y - HEADER - 1)

    def repaint(self, change: Change[K, R], now: float) -> None:
        """Repaint what a change that moved nothing made different: of a known row, its cells."""
        whole = {*change.added, *change.removed}
        shown = {self._model.visible[row] for row in self._window.on_screen()}
        for key, before, record in change.updated:
            if key not in shown:
                continue
            if self._stale(before) is not self._stale(record) or key in self._ghosts:
                whole.add(key)
                continue
            cells = self._painter.changed_cells(key, before, record, now)
            self._window.refresh_cells(key, cells)
            if not cells:
                self._painter.renew(key, before, record)
        self._window.refresh_keys(whole)

    def _row(self, row: int, now: float, second: bool) -> Strip:
        key = self._model.visible[row]
        record = self._model.record(key)
        assert record is not None
        row_state = RowState(
            cursor=key == self._window.cursor,
            marked=key in self._marks,
            hover=row == self._window.hover,
            stale=self._stale(record),
            flash=self._changed.of(key),
            gone=self._ghosts.of(key),
        )
        if second:
            return self._painter.second_line(record, row_state)
        return self._painter.row(key, record, row_state, now)
