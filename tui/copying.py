"""What a pane's cursor is on, as text to copy."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from textual.widget import Widget

from services.models import Event, Gateway, Message, Sandbox
from tui import reports
from widgets.table_pane import TablePane


def _record(pane: Widget) -> Sandbox | Gateway | Message | Event | None:
    """The record under the cursor, out of whatever row of the table carries it."""
    if not isinstance(pane, TablePane):
        return None
    row = pane.table.record()
    if isinstance(row, Sandbox | Gateway | Message | Event):
        return row
    for inner in dataclasses.fields(row) if dataclasses.is_dataclass(row) else ():
        value = getattr(row, inner.name)
        if isinstance(value, Sandbox | Gateway | Message | Event):
            return value
    return None


def record_of(pane: Widget, now: float) -> str:
    """The record under the cursor as JSON; empty where there is none."""
    shape: dict[str, Any]
    match _record(pane):
        case None:
            return ""
        case Sandbox() as sandbox:
            shape = reports.sandbox_json(sandbox, now)
        case Gateway() as gateway:
            shape = reports.gateway_json(gateway, now)
        case Message() as message:
            shape = reports.message_json(message)
        case Event() as event:
            shape = reports.event_json(event)
    return json.dumps(shape, indent=2, ensure_ascii=False)


def name_of(pane: Widget) -> str:
    """What the record under the cursor is called, or says; empty where there is none."""
    match _record(pane):
        case Sandbox(id=identity) | Gateway(id=identity):
            return str(identity)
        case Message(text=text) | Event(text=text):
            return text
    return ""
