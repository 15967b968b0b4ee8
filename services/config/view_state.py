"""How the operator left the panel: one small file for each profile, and never worth a complaint.

What cannot be read, is not ours or says something else than expected is as good as no file.
"""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from pathlib import Path

import msgspec

from services.text.sanitize import plain

MOST_BYTES = 64 * 1024
LONGEST_FILTER = 400
_LOG = logging.getLogger(__name__)


class PaneView(msgspec.Struct, frozen=True, omit_defaults=True):
    """One pane."""

    filter: str = ""
    sort: str | None = None
    """Column id; None for the natural order."""
    reverse: bool = False
    paused: bool = False
    """Whether a timeline was held still."""
    apart: bool = False
    """Whether the two queues had rows of their own."""


class View(msgspec.Struct, frozen=True, omit_defaults=True):
    """The dashboard. Unknown names in the file are passed over: another version may know them."""

    focus: str = ""
    """Name of a pane."""
    zoomed: str = ""
    muted: bool = False
    panes: dict[str, PaneView] = {}


def place(state: Path, profile: str) -> Path:
    """The file of a profile, whatever it is called."""
    safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in profile)[:64]
    return state / "views" / f"{safe}.json"


def recall(path: Path) -> View:
    """What is there; the plain view where there is nothing that can be used."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return View()
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid():
            return View()
        view = msgspec.json.decode(os.read(handle, MOST_BYTES), type=View)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return View()
    finally:
        os.close(handle)
    panes = {
        name: msgspec.structs.replace(pane, filter=plain(pane.filter, LONGEST_FILTER))
        for name, pane in view.panes.items()
    }
    return msgspec.structs.replace(view, panes=panes)


def remember(path: Path, view: View) -> None:
    """Write it, for its owner alone, all or nothing; a failure goes to the log."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
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
