"""Where OpenClaw keeps the state of each gateway (upstream/openclaw: Places)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from services.lazy_dataclass import dataclass

_DEFAULT = ".openclaw"
_LOCK = "gateway.state.lock"
_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_MOST, _MOST_USERS = 64, 8
"""State directories, and users of each, that are looked at."""


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """One gateway's state directory."""

    id: str
    """Its name in this source; it outlives every restart."""
    path: Path
    config: Path
    profile: str = ""
    unit: str = ""
    """Its systemd user unit; empty where no service can be its own."""
    default: bool = False
    """The one of no profile: its port is 18789 unless something else is said."""

    def locks(self) -> tuple[Path, ...]:
        """Where its lock is looked for: each user who ran it has a folder.

        Raises:
            OSError: they cannot be listed.
        """
        folder = self.path / "tmp"
        try:
            users = sorted(one for one in folder.iterdir() if one.name.startswith("openclaw-"))
        except (FileNotFoundError, NotADirectoryError):
            return ()
        return tuple(one / _LOCK for one in users[:_MOST_USERS])


def state_directories(named: str, environ: Mapping[str, str]) -> tuple[StateDirectory, ...]:
    """The one that is named, else those in the home folder that hold a gateway.

    The default one is last where nothing is in any. Reads names of files only.
    """
    home = Path(environ.get("OPENCLAW_HOME") or _account_home(environ))
    if named:
        return (_directory(Path(named).expanduser(), home, environ),)
    default = Path(environ.get("OPENCLAW_STATE_DIR") or home / _DEFAULT).expanduser()
    found = [_directory(default, home, environ, default=True)]
    try:
        profiles = sorted(home.glob(f"{_DEFAULT}-*"))[:_MOST]
    except OSError:
        profiles = []
    found += [_directory(one, home, environ) for one in profiles if one != default]
    if any(one.id == found[0].id for one in found[1:]):
        found[0] = replace(found[0], id=str(default))
    filled = tuple(one for one in found if is_filled(one))
    return filled or (found[0],)


def _directory(
    path: Path, home: Path, environ: Mapping[str, str], *, default: bool = False
) -> StateDirectory:
    name, profile, unit = path.name, "", ""
    if path.parent == home and name == _DEFAULT:
        default = True
    elif path.parent == home and name.startswith(f"{_DEFAULT}-"):
        profile = name.removeprefix(f"{_DEFAULT}-")
    # Its service commands refuse what is not in the account's own home.
    if path.parent == _account_home(environ) and name == _DEFAULT:
        unit = "openclaw-gateway.service"
    elif path.parent == _account_home(environ) and _PROFILE.fullmatch(profile):
        unit = f"openclaw-gateway-{profile}.service"
    config = path / "openclaw.json"
    if default and environ.get("OPENCLAW_CONFIG_PATH"):
        config = Path(environ["OPENCLAW_CONFIG_PATH"]).expanduser()
    return StateDirectory(name.lstrip(".") or str(path), path, config, profile, unit, default)


def _account_home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or Path.home())


def is_filled(one: StateDirectory) -> bool:
    """Whether a state directory holds a configuration or a lock, or is closed to us."""
    try:
        return one.config.exists() or any(path.exists() for path in one.locks())
    except OSError:
        return True  # it is there and closed to us: its row says so
