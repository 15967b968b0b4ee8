"""States that changed, lit for an instant."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Generic, TypeVar

from textual.widget import Widget

from widgets.table.record_model import Change, RecordModel
from widgets.table.row_painter import RowPainter
from widgets.table.row_window import RowWindow

K = TypeVar("K", bound=Hashable)

FLASH_S = 0.7


class ChangedCells(Generic[K]):
    """The columns that flash, by record."""

    def __init__(
        self,
        table: Widget,
        model: RecordModel[K, Any],
        window: RowWindow[K],
        painter: RowPainter[K, Any],
    ) -> None:
        self._table, self._model, self._window, self._painter = table, model, window, painter
        self._columns: dict[K, frozenset[str]] = {}

    def of(self, key: K) -> frozenset[str]:
        """Columns of a record that are lit."""
        return self._columns.get(key, frozenset())

    def clear(self) -> None:
        """Forget all."""
        self._columns.clear()

    def begin(self, change: Change[K, Any], now: float) -> None:
        """Light what reads differently in the rows on the screen."""
        if not self._table.is_attached or self._table.app.animation_level == "none":
            return
        began: list[K] = []
        visible = {self._model.visible[row] for row in self._window.on_screen()}
        for key, before, record in change.updated:
            if key not in visible:
                continue
            changed = frozenset(
                p.column.id
                for p in self._painter.placed
                if p.column.flash
                and p.column.render(before, now).text != p.column.render(record, now).text
            )
            if changed:
                self._columns[key] = changed
                began.append(key)
        if began:
            self._table.set_timer(FLASH_S, lambda: self._end(began))

    def _end(self, keys: Sequence[K]) -> None:
        for key in keys:
            if self._columns.pop(key, None) is not None:
                self._window.refresh_key(key)
