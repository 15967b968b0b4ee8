"""The saved view of the panel: one JSON file for each profile.

What cannot be read, is not ours or says something else than expected is as good as no file.
"""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from pathlib import Path

import msgspec

from services.files.bounded import UnfitError, json_reader
from services.files.private import private_folder
from services.text.sanitize import sanitize

MOST_BYTES = 64 * 1024
LONGEST_FILTER = 400
_LOG = logging.getLogger(__name__)


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
