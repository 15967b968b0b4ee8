"""Where our files are: the XDG folders, on every system."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs.unix import Unix

from services.files.private import private_folder

_DIRS = Unix("wakedeck", appauthor=False)


def config_file() -> Path:
    """The one configuration file; it need not exist."""
    named = os.environ.get("WAKEDECK_CONFIG")
    return Path(named).expanduser() if named else _DIRS.user_config_path / "config.toml"


def state_dir() -> Path:
    """Journal, log, locks, pictures and the embedded world."""
    return _DIRS.user_state_path


def private_dir(path: Path) -> Path:
    """Make a folder, owner only; return it.

    Raises:
        OSError: it cannot be made or may not be used.
    """
    return private_folder(path)


def journal_file() -> Path:
    """Transitions and operator actions."""
    return state_dir() / "journal.db"


def log_file() -> Path:
    """What went wrong inside, redacted, rotating."""
    return state_dir() / "wakedeck.log"


def locks_dir() -> Path:
    """One lock file for each gateway under repair, shared by every panel of this user."""
    return state_dir() / "locks"


def open_shells_dir() -> Path:
    """What runs of ours in pods, for the panel that comes after one that was killed."""
    return state_dir() / "open-shells"


def openclaw_devices_dir() -> Path:
    """The keys that gateways on other machines know this panel by."""
    return state_dir() / "openclaw-devices"


def screenshots_dir() -> Path:
    """Screenshots the operator asked for."""
    return state_dir() / "screenshots"


def local_world() -> Path:
    """The embedded world, unless the configuration names another folder."""
    return state_dir() / "local"


def page_views_dir() -> Path:
    """The views of the tabs of `wakedeck serve`, a folder for each server."""
    return state_dir() / "pages"


def view_root() -> Path:
    """What the views are saved below; each tab of `wakedeck serve` names a folder of its own."""
    named = os.environ.get("WAKEDECK_VIEWS")
    return Path(named) if named else state_dir()
