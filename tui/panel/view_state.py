"""The view state of the dashboard: loaded before the first row, saved while it is used."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import tempfile
from pathlib import Path

import msgspec

from services.files.bounded import UnfitError, json_reader
from services.files.private import private_folder
from services.models import SandboxId
from services.text.sanitize import sanitize
from tui.panel.layout import NUMBERED, Pane, PaneGrid
from tui.panel.pane_focus import PaneScreen
from widgets.panes.events import EventPane
from widgets.panes.queues import QueuePane
from widgets.panes.sandboxes import SandboxPane
from widgets.panes.table_pane import TablePane

WRITE_S = 3.0
"""How often a view that is another than before is written."""
_TABLES = tuple(pane for pane in NUMBERED if pane is not Pane.SHELL)
MOST_BYTES = 64 * 1024
LONGEST_FILTER = 400
_LOG = logging.getLogger(__name__)


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


class PaneViewState(msgspec.Struct, frozen=True, omit_defaults=True):
    """Saved filter, sort and pause of one pane."""

    filter: str = ""
    sort: str | None = None
    """Column id; None for the natural order."""
    reverse: bool = False
    paused: bool = False
    """Whether a timeline was held still."""
    apart: bool = False
    """Whether the two queues had rows of their own."""


class ViewState(msgspec.Struct, frozen=True, omit_defaults=True):
    """Saved state of the dashboard; unknown fields of the file are ignored."""

    focus: str = ""
    """Name of a pane."""
    zoomed: str = ""
    muted: bool = False
    panes: dict[str, PaneViewState] = {}
    row: tuple[str, str] | None = None
    """Source and native id of the sandbox under the cursor, where that is kept."""


_read = json_reader(ViewState)


def view_file(state: Path, profile: str) -> Path:
    """Path of the file of a profile; any profile name makes a safe file name."""
    safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in profile)[:64]
    return state / "views" / f"{safe}.json"


def load_view(path: Path) -> ViewState:
    """Read the file; the defaults where it is missing, foreign or malformed."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ViewState()
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid():
            return ViewState()
        view = _read(os.read(handle, MOST_BYTES))
    except (OSError, UnfitError):
        return ViewState()
    finally:
        os.close(handle)
    panes = {
        name: msgspec.structs.replace(pane, filter=sanitize(pane.filter, LONGEST_FILTER))
        for name, pane in view.panes.items()
    }
    return msgspec.structs.replace(view, panes=panes)


def save_view(path: Path, view: ViewState) -> None:
    """Write the file atomically, mode 0600; a failure is logged, not raised."""
    try:
        private_folder(path.parent)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".view-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.encode(view))
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        _LOG.warning("the view could not be remembered: %s", error)
