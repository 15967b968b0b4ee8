"""Registrations read from the CLI's own folder, for versions that do not list them.

See upstream/openshell: Configuration folder.
"""

from __future__ import annotations

from pathlib import Path

from services.errors import UnavailableError
from services.files.bounded import open_regular, parse_json, read_bounded
from services.sources.openshell.records import DEFAULT_WORKSPACE, Registration, Target, safe_name
from services.text.sanitize import sanitize

_LARGEST = 64 * 1024


def active(folder: Path) -> str:
    """The name of the active gateway; empty where none is."""
    try:
        with open_regular(folder / "active_gateway") as stream:
            name = stream.read(400).decode("utf-8", "replace").strip()
    except OSError:
        return ""
    return name if safe_name(name) else ""


def registrations(folder: Path) -> tuple[Registration, ...]:
    """Every gateway with a folder there; one whose file is unreadable has no endpoint.

    Raises:
        UnavailableError: the folder is there and cannot be read.
    """
    chosen = active(folder)
    try:
        names = sorted(one.name for one in (folder / "gateways").iterdir() if one.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        why = sanitize(error.strerror or "its folder cannot be read")
        raise UnavailableError(f"Which gateways are registered is not known: {why}.") from error
    return tuple(
        _registration(folder / "gateways" / name, name, name == chosen)
        for name in names
        if safe_name(name)
    )


def _registration(folder: Path, name: str, chosen: bool) -> Registration:
    try:
        told = parse_json(read_bounded(folder / "metadata.json", _LARGEST))
    except (OSError, ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        return Registration(name, active=chosen)
    return Registration(
        name,
        sanitize(str(told.get("gateway_endpoint") or ""), 400),
        "remote" if told.get("is_remote") is True else "local",
        sanitize(str(told.get("auth_mode") or "mtls"), 40),
        active=chosen,
    )


def last_used(folder: Path, gateway: str) -> Target | None:
    """The sandbox the CLI was last used for there: all that is known while a gateway is down."""
    try:
        with open_regular(folder / "gateways" / gateway / "last_sandbox") as stream:
            lines = stream.read(1000).decode("utf-8", "replace").split()
    except OSError:
        return None
    if not lines or len(lines) > 2 or not all(map(safe_name, lines)):
        return None
    return Target(gateway, lines[-1], lines[0] if len(lines) == 2 else DEFAULT_WORKSPACE)
