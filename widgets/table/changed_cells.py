"""Cells that say something else: states, lit for an instant, and ages, painted again."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

from textual.geometry import Region
from textual.widget import Widget

from widgets.table.record_model import Change, RecordModel
from widgets.table.row_painter import GUTTER, RowPainter
from widgets.table.row_window import HEADER, RowWindow

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")

FLASH_S = 0.7
LONGEST_S = 1.3
"""A flash ends in the paint that next renews the ages, or after this."""


class ChangedCells(Generic[K, R]):
    """The columns that flash, by record, and those whose words age."""

    def __init__(
        self,
        table: Widget,
        model: RecordModel[K, R],
        window: RowWindow[K],
        painter: RowPainter[K, R],
    ) -> None:
        self._table, self._model, self._window, self._painter = table, model, window, painter
        self._lit: dict[K, tuple[frozenset[str], float]] = {}
        """The columns, and when they were lit, by the steady clock."""

    def of(self, key: K) -> frozenset[str]:
        """Columns of a record that are lit."""
        return self._lit[key][0] if key in self._lit else frozenset()

    def clear(self) -> None:
        """Forget all."""
        self._lit.clear()

    def begin(self, change: Change[K, R], now: float) -> None:
        """Light what reads differently in the rows on the screen."""
        if not self._table.is_attached or self._table.app.animation_level == "none":
            return
        lit_at, began = time.monotonic(), False
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
                self._lit[key] = changed, lit_at
                began = True
        if began:
            self._table.set_timer(LONGEST_S, self.end_due)

    def end_due(self) -> None:
        """Put out what has been lit for long enough."""
        if not self._lit:
            return
        now = time.monotonic()
        for key in [key for key, (_, lit_at) in self._lit.items() if now - lit_at >= FLASH_S]:
            del self._lit[key]
            self._window.refresh_key(key)

    def renew_live(self, records: Mapping[K, R], *, sorted_by_live: bool) -> bool:
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

    def repaint_live(self, now: float) -> None:
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
