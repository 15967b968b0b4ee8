"""What a pane's cursor is on, as text to copy."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, TypeAlias

from textual.widget import Widget

from services.models import Event, Gateway, Message, Sandbox
from tui import reports
from widgets.table_pane import TablePane

Record: TypeAlias = Sandbox | Gateway | Message | Event


def _record(pane: Widget, key: Any = None) -> Record | None:
    """The record of `key`, or the one under the cursor, out of whatever row carries it."""
    if not isinstance(pane, TablePane):
        return None
    row = pane.table.record(key)
    if isinstance(row, Sandbox | Gateway | Message | Event):
        return row
    for inner in dataclasses.fields(row) if dataclasses.is_dataclass(row) else ():
        value = getattr(row, inner.name)
        if isinstance(value, Sandbox | Gateway | Message | Event):
            return value
    return None


def record_of(pane: Widget, now: float) -> str:
    """The marked records as a JSON array, or the one under the cursor; empty for none."""
    marked = pane.table.marked if isinstance(pane, TablePane) else ()
    records = [one for key in marked if (one := _record(pane, key)) is not None]
    if records:
        return _json([_shape(one, now) for one in records])
    record = _record(pane)
    return "" if record is None else _json(_shape(record, now))


def _json(shape: object) -> str:
    return json.dumps(shape, indent=2, ensure_ascii=False)


def _shape(record: Record, now: float) -> dict[str, Any]:
    match record:
        case Sandbox():
            return reports.sandbox_json(record, now)
        case Gateway():
            return reports.gateway_json(record, now)
        case Message():
            return reports.message_json(record)
        case Event():
            return reports.event_json(record)


def name_of(pane: Widget) -> str:
    """What the record under the cursor is called, or says; empty where there is none."""
    match _record(pane):
        case Sandbox(id=identity) | Gateway(id=identity):
            return str(identity)
        case Message(text=text) | Event(text=text):
            return text
    return ""
