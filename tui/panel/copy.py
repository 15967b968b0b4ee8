"""What a pane's cursor is on, as text to copy."""

from __future__ import annotations

from typing import Any

from textual.app import App
from textual.widget import Widget

from services.models import Event, Gateway, Message, Sandbox
from tui.panel.actions import Notify
from widgets.panes.detail_text import Subject, record_json
from widgets.panes.table_pane import TablePane


def _record(pane: Widget, key: Any = None) -> Subject | None:
    """The record of `key`, or the one under the cursor, out of whatever row carries it."""
    if not isinstance(pane, TablePane):
        return None
    row = pane.table.record(key)
    if isinstance(row, Sandbox | Gateway | Message | Event):
        return row
    for value in row if isinstance(row, tuple) else ():
        if isinstance(value, Sandbox | Gateway | Message | Event):
            return value
    return None


def record_of(pane: Widget) -> str:
    """The marked records as a JSON array, or the one under the cursor; empty for none."""
    marked = pane.table.marked if isinstance(pane, TablePane) else ()
    records = [one for key in marked if (one := _record(pane, key)) is not None]
    if records:
        return record_json(tuple(records))
    record = _record(pane)
    return "" if record is None else record_json(record)


def name_of(pane: Widget) -> str:
    """What the record under the cursor is called, or says; empty where there is none."""
    match _record(pane):
        case Sandbox(id=identity) | Gateway(id=identity):
            return str(identity)
        case Message(text=text) | Event(text=text):
            return text
    return ""


def cells_of(pane: Widget) -> list[tuple[str, str]]:
    """(title, whole text) of every cell of the row under the cursor that says something."""
    if not isinstance(pane, TablePane):
        return []
    table = pane.table
    said = ((column.title or column.id, table.cell_text(column.id)) for column in table.columns)
    return [(title, text) for title, text in said if text]


class Copier:
    """Copies records, names, cells and selections to the clipboard and notifies."""

    def __init__(self, app: App[int], notify: Notify) -> None:
        self._app = app
        self._notify = notify

    def record(self, pane: Widget) -> None:
        """The marked records of a pane, or the one under its cursor, as JSON."""
        self.text(record_of(pane))

    def name(self, pane: Widget) -> None:
        """What the record under a pane's cursor is called or says."""
        self.text(name_of(pane))

    def cell(self, pane: Widget) -> None:
        """One cell of the row under a pane's cursor, chosen from a list."""
        cells = cells_of(pane)
        if cells:
            from widgets.dialogs.cell_picker import CellPicker

            self._app.push_screen(CellPicker(cells), self._chosen)
        else:
            self.text("")

    def selection(self) -> None:
        """What is selected on the screen; where nothing is, how to quit."""
        selected = self._app.screen.get_selected_text()
        if selected:
            self.text(selected)
        else:
            self._notify("Nothing is selected. q quits.", "information")

    def text(self, text: str) -> None:
        """This text, on the operator's clipboard by way of the terminal."""
        if text:
            self._app.copy_to_clipboard(text)
            self._notify("Copied.", "information")
        else:
            self._notify("Nothing to copy here.", "information")

    def _chosen(self, text: str | None) -> None:
        if text:
            self.text(text)
