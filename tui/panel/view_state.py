"""The dashboard as it was left: read before the first row, written while it is used."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from services.config.view_state import PaneView, View, place, recall, remember
from tui.panel.layout import NUMBERED, Deck, Pane
from widgets.panes.events import EventPane
from widgets.panes.queues import QueuePane
from widgets.panes.table_pane import TablePane

if TYPE_CHECKING:
    from tui.dashboard import Dashboard

WRITE_S = 3.0
"""How often a view that is another than before is written."""
_TABLES = tuple(pane for pane in NUMBERED if pane is not Pane.SHELL)


def view_of(dashboard: Dashboard, muted: bool) -> View:
    """As it stands."""
    zoomed = dashboard.query_one(Deck).places.zoomed
    panes: dict[str, PaneView] = {}
    for one in _TABLES:
        pane = dashboard.query_one(f"#{one.value}", TablePane)
        sort, reverse = pane.table.sort
        seen = PaneView(
            filter=pane.filter_text,
            sort=sort,
            reverse=reverse,
            paused=isinstance(pane, EventPane) and not pane.following,
            apart=isinstance(pane, QueuePane) and pane.apart,
        )
        if seen != PaneView():
            panes[one.value] = seen
    return View(
        focus=dashboard.focused_pane.value,
        zoomed=zoomed.value if zoomed else "",
        muted=muted,
        panes=panes,
    )


def restore(dashboard: Dashboard, view: View) -> None:
    """Arrange it like that; names that mean nothing here are passed over."""
    for one in _TABLES:
        seen = view.panes.get(one.value)
        if seen is None:
            continue
        pane = dashboard.query_one(f"#{one.value}", TablePane)
        if isinstance(pane, QueuePane):
            pane.apart = seen.apart
        pane.set_filter(seen.filter)
        for table in pane.tables():
            if seen.sort in {column.id for column in table.columns} or seen.sort is None:
                table.sort_by(seen.sort, reverse=seen.reverse)
    named = {pane.value: pane for pane in NUMBERED}
    zoomed, focus = named.get(view.zoomed), named.get(view.focus, Pane.SANDBOXES)
    if zoomed is not None:
        dashboard.query_one(Deck).arrange_anew(zoomed=zoomed)
    dashboard.focus_pane(focus)


class ViewMemory:
    """One profile's file; `folder` is the state directory."""

    def __init__(self, folder: Path, profile: str, on: bool) -> None:
        self._path = place(folder, profile)
        self._on = on
        self._written: View | None = None
        self._held = False
        self.recalled = recall(self._path) if on else View()

    def restore(self, dashboard: Dashboard) -> None:
        """Once, when the dashboard is there."""
        if self._on:
            restore(dashboard, self.recalled)

    def hold_timeline(self, dashboard: Dashboard, journal_read: bool) -> None:
        """Once the past is there, stay with it where it was held still."""
        if not journal_read or self._held:
            return
        self._held = True
        seen = self.recalled.panes.get(Pane.EVENTS.value)
        if self._on and seen is not None and seen.paused:
            dashboard.query_one(EventPane).hold()

    async def keep(self, dashboard: Dashboard, muted: bool) -> None:
        """Write the view where it is another than the one that was written."""
        if not self._on or not self._held:
            return
        view = view_of(dashboard, muted)
        if view != self._written:
            self._written = view
            await asyncio.to_thread(remember, self._path, view)
