"""What a pane's cursor is on, as text to copy."""

from __future__ import annotations

import dataclasses
import json
from enum import Enum
from typing import Any

from textual.widget import Widget

from services.models import Event, Gateway, Message, Sandbox
from tui import reports
from widgets.table_pane import TablePane


def _json(record: Any, now: float) -> Any:
    match record:
        case Sandbox():
            return reports.sandbox_json(record, now)
        case Gateway():
            return reports.gateway_json(record, now)
        case Message():
            return reports.message_json(record)
        case Event():
            return reports.event_json(record)
    for inner in dataclasses.fields(record) if dataclasses.is_dataclass(record) else ():
        value = getattr(record, inner.name)
        if isinstance(value, Sandbox | Gateway | Message | Event):
            return _json(value, now)
    return str(record.value if isinstance(record, Enum) else record)


def record_of(pane: Widget, now: float) -> str:
    """The record under the cursor as JSON; empty where there is none."""
    if not isinstance(pane, TablePane):
        return ""
    table = pane.table
    if table.cursor_key is None:
        return ""
    return json.dumps(_json(table.record(table.cursor_key), now), indent=2, ensure_ascii=False)


def cell_of(pane: Widget) -> str:
    """The text of the cell under the cursor; empty where there is none."""
    if not isinstance(pane, TablePane) or pane.table.cursor_key is None:
        return ""
    return pane.table.cell_text(pane.table.cursor_key)
