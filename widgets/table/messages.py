"""The messages a record table posts; they carry the table as a plain widget."""

from __future__ import annotations

from typing import Any

from textual.message import Message
from textual.widget import Widget


class TableMessage(Message):
    """Something about one table."""

    def __init__(self, table: Widget) -> None:
        super().__init__()
        self.table = table

    @property
    def control(self) -> Widget:
        """The table it is about."""
        return self.table


class Highlighted(TableMessage, namespace="record_table"):
    """The cursor is on another record; `key` is None when there is none."""

    def __init__(self, table: Widget, key: Any) -> None:
        super().__init__(table)
        self.key = key

    def can_replace(self, message: Message) -> bool:
        """A newer cursor makes an older one uninteresting."""
        return isinstance(message, Highlighted) and message.table is self.table


class CursorLost(TableMessage, namespace="record_table"):
    """The record under the cursor went away or was filtered out; the cursor is on `now_on`."""

    def __init__(self, table: Widget, key: Any, now_on: Any) -> None:
        super().__init__(table)
        self.key, self.now_on = key, now_on


class Opened(TableMessage, namespace="record_table"):
    """The operator asked for the details of a record."""

    def __init__(self, table: Widget, key: Any) -> None:
        super().__init__(table)
        self.key = key


class Sorted(TableMessage, namespace="record_table"):
    """The order is another; `column` is None for the natural one."""

    def __init__(self, table: Widget, column: str | None, reverse: bool) -> None:
        super().__init__(table)
        self.column, self.reverse = column, reverse


class Filtered(TableMessage, namespace="record_table"):
    """The filter is another."""

    def __init__(self, table: Widget, text: str) -> None:
        super().__init__(table)
        self.text = text


class MarksChanged(TableMessage, namespace="record_table"):
    """Other records are marked."""

    def __init__(self, table: Widget, keys: tuple[Any, ...]) -> None:
        super().__init__(table)
        self.keys = keys
