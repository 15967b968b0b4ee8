"""The view state of the dashboard: loaded before the first row, saved while it is used."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from services.config.view_state import PaneViewState, ViewState, load_view, save_view, view_file
from services.models import SandboxId
from tui.panel.layout import NUMBERED, Pane, PaneGrid
from tui.panel.pane_focus import PaneScreen
from widgets.panes.events import EventPane
from widgets.panes.queues import QueuePane
from widgets.panes.sandboxes import SandboxPane
from widgets.panes.table_pane import TablePane

WRITE_S = 3.0
"""How often a view that is another than before is written."""
_TABLES = tuple(pane for pane in NUMBERED if pane is not Pane.SHELL)


def view_of(dashboard: PaneScreen, muted: bool) -> ViewState:
    """The present view state."""
    zoomed = dashboard.query_one(PaneGrid).pane_layout.zoomed
    panes: dict[str, PaneViewState] = {}
    for one in _TABLES:
        pane = dashboard.query_one(f"#{one.value}", TablePane)
        sort, reverse = pane.table.sort
        seen = PaneViewState(
            filter=pane.filter_text,
            sort=sort,
            reverse=reverse,
            paused=isinstance(pane, EventPane) and not pane.following,
            apart=isinstance(pane, QueuePane) and pane.apart,
        )
        if seen != PaneViewState():
            panes[one.value] = seen
    return ViewState(
        focus=dashboard.focused_pane.value,
        zoomed=zoomed.value if zoomed else "",
        muted=muted,
        panes=panes,
    )


def restore(dashboard: PaneScreen, view: ViewState) -> None:
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
        dashboard.query_one(PaneGrid).rearrange(zoomed=zoomed)
    dashboard.focus_pane(focus)


class ViewStateStore:
    """The view state file of one profile; `folder` is the state directory.

    With `keeps_row` the cursor comes back too: a page that is reloaded is the same sitting.
    """

    def __init__(self, folder: Path, profile: str, on: bool, *, keeps_row: bool = False) -> None:
        self._path = view_file(folder, profile)
        self._on = on
        self._written: ViewState | None = None
        self._timeline_restored = False
        self.loaded = load_view(self._path) if on else ViewState()
        self._keeps_row = keeps_row
        self._wanted = self.loaded.row if keeps_row else None

    def restore(self, dashboard: PaneScreen) -> None:
        """Once, when the dashboard is there."""
        if self._on:
            restore(dashboard, self.loaded)

    def restore_row(self, dashboard: PaneScreen) -> None:
        """Put the cursor where it was once that row is there, unless the operator was faster."""
        if self._wanted is None:
            return
        if dashboard.query_one(SandboxPane).table.select(SandboxId(*self._wanted)):
            self._wanted = None

    def on_input(self) -> None:
        """The operator acts: from now on no row is chosen for them."""
        self._wanted = None

    def pause_timeline(self, dashboard: PaneScreen, journal_loaded: bool) -> None:
        """Once the journal is read, pause the timeline where it was left paused."""
        if not journal_loaded or self._timeline_restored:
            return
        self._timeline_restored = True
        seen = self.loaded.panes.get(Pane.EVENTS.value)
        if self._on and seen is not None and seen.paused:
            dashboard.query_one(EventPane).pause()

    async def save(self, dashboard: PaneScreen, muted: bool) -> None:
        """Write the view state where it changed."""
        if not self._on or not self._timeline_restored:
            return
        view = view_of(dashboard, muted)
        if self._keeps_row:
            at = dashboard.query_one(SandboxPane).current
            here = None if at is None else (at.source, at.native_id)
            view = msgspec.structs.replace(view, row=self._wanted or here)
        if view != self._written:
            self._written = view
            await asyncio.to_thread(save_view, self._path, view)
