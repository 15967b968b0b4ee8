"""Cells that say something else as time passes, such as ages."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

from textual.geometry import Region
from textual.widget import Widget

from widgets.table.record_model import RecordModel
from widgets.table.row_painter import GUTTER, RowPainter
from widgets.table.row_window import HEADER, RowWindow

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")


class LiveCells(Generic[K, R]):
    """Repaints the live cells of one table, and nothing else."""

    def __init__(
        self,
        table: Widget,
        model: RecordModel[K, R],
        window: RowWindow[K],
        painter: RowPainter[K, R],
    ) -> None:
        self._table, self._model, self._window, self._painter = table, model, window, painter

    def renew(self, records: Mapping[K, R], *, sorted_by_live: bool) -> bool:
        """Take records that differ in live columns alone; whether rows moved."""
        seen = [self._model.visible[row] for row in self._window.on_screen()]
        held = [(key, self._model.record(key)) for key in seen]
        self._model.renew(records)
        moved = sorted_by_live and self._model.rearrange()
        for key, before in held:
            record = self._model.record(key)
            if before is not None and record is not None and record is not before:
                self._painter.renew(key, before, record)
        return moved

    def repaint(self, now: float) -> None:
        """Repaint the cells on the screen that read differently at `now`."""
        top = self._window.top
        for row in self._window.on_screen():
            key = self._model.visible[row]
            record = self._model.record(key)
            if record is None:
                continue
            for placed in self._painter.changed_columns(key, record, now):
                x, y = GUTTER + placed.x, self._window.line_of(row) - top + HEADER
                self._table.refresh(Region(x, y, placed.width, 1))
