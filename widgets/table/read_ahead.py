"""Prepares the search text of a long list in small batches, before a filter is typed."""

from __future__ import annotations

from typing import Any

from textual.timer import Timer
from textual.widget import Widget

from widgets.table.record_model import RecordModel

FROM = 1000
"""Shorter lists are filtered quickly enough as they are."""
AT_ONCE, EVERY_S = 250, 0.03


class ReadAhead:
    """Reads the records of one widget's model; idle while there is nothing left to read."""

    def __init__(self, widget: Widget, model: RecordModel[Any, Any]) -> None:
        self._widget = widget
        self._model = model
        self._timer: Timer | None = None

    def begin(self) -> None:
        """Records have come or changed."""
        if self._timer is None and self._model.total >= FROM and self._widget.is_attached:
            self._timer = self._widget.set_timer(EVERY_S, self._read)

    def _read(self) -> None:
        self._timer = None
        if self._model.prepare(AT_ONCE):
            self.begin()
