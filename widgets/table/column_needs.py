"""How wide a table's columns would have to be for what they lately said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from widgets.table.columns import Cell, Column
from widgets.text.cell_text import width_of

KEPT_S = 5.0
"""A text that has gone keeps its cells this long, twice at the most: columns do not jump."""


class ColumnNeeds:
    """The widest text of each column, at least its title; what has gone is forgotten by and by.

    A column of one width alone needs that.
    """

    def __init__(self) -> None:
        self._now: dict[str, int] = {}
        self._before: dict[str, int] = {}
        self._since = 0.0
        self.changed = False
        """Whether columns placed by it would be placed otherwise now."""

    @property
    def widths(self) -> Mapping[str, int]:
        """Cells by the id of the column."""
        return {
            id: max(self._now.get(id, 0), self._before.get(id, 0))
            for id in {*self._now, *self._before}
        }

    def note(self, column: Column[Any], cell: Cell) -> None:
        """A column says this of some row."""
        id, needed = column.id, cell.needed
        if needed <= self._now.get(id, -1):
            return
        if id not in self._now:
            title = width_of(column.title) + bool(column.sort_key)
            needed = max(needed, title if column.least else column.width)
        self.changed |= needed > max(self._now.get(id, -1), self._before.get(id, -1))
        self._now[id] = needed

    def is_due(self, now: float) -> bool:
        """Whether it is time to forget; what is on the screen has to be noted then."""
        if abs(now - self._since) < KEPT_S:
            return False
        before = self.widths
        self._now, self._before, self._since = {}, self._now, now
        self.changed |= before != self.widths
        return True

    def clear(self) -> None:
        """Other rows are to come."""
        self._now, self._before = {}, {}
        self.changed = True
