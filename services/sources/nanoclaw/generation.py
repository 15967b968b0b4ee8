"""Which NanoClaw an install is: each rule by its own probe, by the version where none can tell.

See upstream/nanoclaw: Generations.
"""

from __future__ import annotations

import os
import re
from enum import Enum
from pathlib import Path

from services.files.bounded import UnfitError, open_regular, parse_json, read_bounded
from services.lazy_dataclass import dataclass
from services.sources.nanoclaw.host_log import TAIL
from services.sources.nanoclaw.install import Install
from services.text.sanitize import sanitize

_LONGEST_FILE = 256 * 1024
_VERSION = re.compile(r"(\d{1,5})\.(\d{1,5})\.(\d{1,5})", re.ASCII)
_RUNNER = "container/agent-runner/src"
DOCKER = "docker"
_SELECTED = re.compile(rb'Session runtime driver selected\b[^\n]{0,200}?\bdriver="?([\w-]{1,40})')
Version = tuple[int, int, int]
MAILBOX: Version = (2, 3, 0)
"""Adopts containers, counts the ceiling from its own start, takes the oldest messages first."""
DURABLE: Version = (2, 4, 0)
"""Keeps its claims on sessions in the central DB."""
TRIPWIRE: Version = (2, 1, 0)
"""Refuses to start after an update outside the supported way."""
DATED: Version = (2, 1, 44)
"""Writes ISO instants, and compares them as instants."""


class Ceiling(Enum):
    """From when a host counts the longest silence of a container (upstream/nanoclaw: Generations).

    Ordered from old to new.
    """

    HEARTBEAT = "heartbeat"
    """Without a heartbeat nothing ends it."""
    TRACKED = "tracked"
    """Without a heartbeat from when this host began to track it."""
    CLAIMED = "claimed"
    """As `TRACKED`; signs of life and claims from before that do not count."""


@dataclass(frozen=True, slots=True)
class InstallGeneration:
    """What an install's code does; None where nothing tells."""

    version: str = ""
    """As `package.json` spells it, harmless."""
    marker: str | None = None
    """The version last reached in the supported way; None: no marker."""
    oldest_first: bool | None = None
    """Whether a runner takes the oldest messages first."""
    ceiling: Ceiling | None = None
    adopts: bool | None = None
    """Whether a starting host keeps the containers whose labels name their session."""
    dated: bool | None = None
    """Whether `deliver_after` is compared as an instant."""
    driver: str = ""
    """What its sessions run on, as its host said at its start; empty where the log does not."""
    code_at: float | None = None
    """When the code on disk last changed, as far as `package.json` tells."""

    @property
    def number(self) -> Version | None:
        """The version as numbers; None where it cannot be parsed."""
        return parse_version(self.version)

    @property
    def refuses_start(self) -> str:
        """Why the next start of the host will be refused; empty where it will not."""
        number = self.number
        if number is None or number < TRIPWIRE or self.marker == self.version:
            return ""
        recorded = "none" if self.marker is None else self.marker
        return f"updated outside the supported way (code {self.version}, recorded {recorded})"


UNKNOWN_GENERATION = InstallGeneration()


def parse_version(text: str) -> Version | None:
    """A version as three numbers; None where it is something else."""
    match = _VERSION.match(text.removeprefix("v"))
    return None if match is None else (int(match[1]), int(match[2]), int(match[3]))


def read_generation(install: Install, *, claims: bool = False) -> InstallGeneration:
    """Look at the code on disk; blocking. `claims`: the central DB has claims on sessions."""
    root = install.root
    package = root / "package.json"
    told = _read_json(package)
    version = sanitize(str(told.get("version", "")), 40)
    number = parse_version(version)
    mailbox = _exists(root / _RUNNER / "mailbox") or _exists(
        root / "src/modules/cross-session-context"
    )
    driver = _exists(root / "src/drivers/docker-driver.ts")
    durable = claims or _exists(root / "src/reconcile-session.ts")
    marker = _read_json(install.data / "upgrade-state.json").get("version")
    return InstallGeneration(
        version=version,
        marker=sanitize(marker, 40) if isinstance(marker, str) else None,
        oldest_first=_oldest_first(root, number, mailbox=mailbox),
        ceiling=_ceiling(number, seam=driver or mailbox, durable=durable),
        adopts=True if driver or durable or mailbox else _from(number, MAILBOX),
        dated=True if driver or durable or mailbox else _from(number, DATED),
        driver=_driver(install.log),
        code_at=_modified(package),
    )


def _driver(log: Path) -> str:
    """The last kind of runtime a starting host told (upstream/nanoclaw: Containers)."""
    try:
        with open_regular(log) as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - TAIL))
            found = _SELECTED.findall(stream.read(TAIL))
    except OSError:
        return ""
    return sanitize(found[-1].decode("ascii"), 40) if found else ""


def _oldest_first(root: Path, number: Version | None, *, mailbox: bool) -> bool | None:
    if mailbox:
        return True
    if _exists(root / _RUNNER / "db/messages-in.ts"):
        return False
    return _from(number, MAILBOX)


def _ceiling(number: Version | None, *, seam: bool, durable: bool) -> Ceiling | None:
    if durable or (number is not None and number >= DURABLE):
        return Ceiling.CLAIMED
    if seam or (number is not None and number >= MAILBOX):
        return Ceiling.TRACKED
    return None if number is None else Ceiling.HEARTBEAT


def _from(number: Version | None, first: Version) -> bool | None:
    return None if number is None else number >= first


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except OSError:
        return False
    return True


def _modified(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _read_json(path: Path) -> dict[str, object]:
    try:
        told = parse_json(read_bounded(path, _LONGEST_FILE))
    except (OSError, UnfitError):
        return {}
    return told if isinstance(told, dict) else {}
