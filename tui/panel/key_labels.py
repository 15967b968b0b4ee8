"""Every key of the panel: where it lives, what it can be changed to, and how it reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from textual.app import App
from textual.binding import Binding, BindingType

from tui.dashboard import Dashboard
from tui.panel import keymap
from widgets.panes.action_button import ActionButton
from widgets.panes.queues import QueuePane
from widgets.panes.repair_bar import RepairBar
from widgets.panes.shell_tabs import ShellTabs
from widgets.panes.shells import ShellPane
from widgets.panes.table_pane import TablePane
from widgets.table.filter_input import FilterInput
from widgets.table.record_table import RecordTable
from widgets.table.stream_table import StreamTable

PLACES = {
    "Dashboard": "Everywhere",
    "WakedeckApp": "Panel",
    "QueuePane": "Queues",
    "TablePane": "This pane",
    "RecordTable": "This table",
    "RepairBar": "Repair bar",
    "ShellPane": "Shells",
    "LogScreen": "Log",
    "LogPane": "Log",
    "LogView": "Lines",
}
"""How the places of `widgets.panes.binding_rows.key_sections` read."""


def rebindable(of_app: Iterable[BindingType]) -> list[keymap.Bound]:
    """Every action that can be given another key; the app says its own."""
    return [*on_dashboard(of_app), *elsewhere()]


def on_dashboard(of_app: Iterable[BindingType]) -> list[keymap.Bound]:
    """Those of the screen that is always there."""
    return _bound(
        ("panel", Dashboard.BINDINGS),
        ("app", of_app),
        ("repair", [*RepairBar.BINDINGS, *ActionButton.BINDINGS]),
        ("pane", TablePane.BINDINGS),
        ("table", RecordTable.BINDINGS),
        ("stream", StreamTable.BINDINGS),
        ("queues", QueuePane.BINDINGS),
        ("shells", ShellPane.BINDINGS),
        ("tabs", ShellTabs.BINDINGS),
        ("filter", FilterInput.BINDINGS),
    )


def elsewhere() -> list[keymap.Bound]:
    """Those of the screens and dialogs over it, none of which the first frame needs."""
    from tui.panel.log_screen import LogScreen
    from widgets.dialogs.cell_picker import CellPicker
    from widgets.dialogs.confirm import ConfirmDialog
    from widgets.dialogs.edit_text import EditableConfirm, EditTextDialog
    from widgets.dialogs.help import HelpScreen
    from widgets.log.controls import SearchLine
    from widgets.log.pane import LogPane
    from widgets.log.view import LogView
    from widgets.panes.details import DetailPane

    return _bound(
        ("log", [*LogScreen.BINDINGS, *LogPane.BINDINGS, *LogView.BINDINGS]),
        ("log search", SearchLine.BINDINGS),
        ("details", DetailPane.BINDINGS),
        ("cells", CellPicker.BINDINGS),
        ("help", HelpScreen.BINDINGS),
        ("confirm", [*ConfirmDialog.BINDINGS, *EditableConfirm.BINDINGS]),
        ("words", EditTextDialog.BINDINGS),
    )


def _bound(*places: tuple[str, Iterable[BindingType]]) -> list[keymap.Bound]:
    return [bound for place, bindings in places for bound in keymap.bound_in(place, bindings)]


class KeyLabels:
    """How the keys of an action read now."""

    def __init__(
        self, app: App[Any], bound: Iterable[keymap.Bound], changed: Mapping[str, str]
    ) -> None:
        self._app = app
        self._keys = _first_keys(bound)
        self._changed = {name: typed.split(",")[0].strip() for name, typed in changed.items()}
        self._all = False

    def of(self, id: str) -> str:
        """The first key of an action, as on a button; empty for an unknown id."""
        key = self._changed.get(id) or self._keys.get(id)
        if key is None and not self._all:
            self._all = True
            self._keys = _first_keys(elsewhere()) | self._keys
            key = self._keys.get(id)
        return "" if key is None else self._app.get_key_display(Binding(key, "", ""))


def _first_keys(bound: Iterable[keymap.Bound]) -> dict[str, str]:
    return {one.id: one.keys[0] for one in reversed(list(bound))}
