"""Why a queue file could not be read, in a sentence, once it is worth one.

A single failed poll says nothing (upstream/nanoclaw: Read failures): writers commit, journals come
and go.
"""

from __future__ import annotations

import errno
import sqlite3
from enum import Enum
from pathlib import Path

from services.errors import UnavailableError


class Fault(Enum):
    """What kind of failure, and after how many in a row it is told."""

    ABSENT = 1
    DENIED = 2
    BUSY = 3
    JOURNAL = 4
    DAMAGED = 5
    SHAPE = 6
    OTHER = 7


TOLD_AFTER = {Fault.BUSY: 5, Fault.JOURNAL: 3, Fault.DAMAGED: 3, Fault.SHAPE: 2}


class SickFileError(UnavailableError):
    """One queue file that could not be read just now."""

    def __init__(self, path: Path, fault: Fault, name: str) -> None:
        super().__init__(_sentence(path, fault, name))
        self.path = path
        self.fault = fault


def sick_file(path: Path, error: sqlite3.Error | OSError) -> SickFileError:
    """Name the failure of one read of `path`."""
    name = getattr(error, "sqlite_errorname", "") or ""
    return SickFileError(path, _fault(path, error, name), name or type(error).__name__)


def _fault(path: Path, error: sqlite3.Error | OSError, name: str) -> Fault:
    if isinstance(error, OSError):
        denied = error.errno in (errno.EACCES, errno.EPERM)
        return Fault.DENIED if denied else Fault.OTHER
    if name.startswith("SQLITE_CANTOPEN"):
        return Fault.DENIED if _there(path) else Fault.ABSENT
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Fault.BUSY
    if name == "SQLITE_READONLY_ROLLBACK":
        return Fault.JOURNAL
    if name.startswith(("SQLITE_PERM", "SQLITE_AUTH", "SQLITE_READONLY")):
        return Fault.DENIED
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return Fault.DAMAGED
    return Fault.SHAPE if name in ("SQLITE_ERROR", "SQLITE_SCHEMA") else Fault.OTHER


def _there(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def journal(path: Path) -> Path:
    """Where SQLite keeps the rollback journal of a file."""
    return path.with_name(path.name + "-journal")


def _sentence(path: Path, fault: Fault, name: str) -> str:
    match fault:
        case Fault.ABSENT:
            return f"{path.name}: no such file"
        case Fault.DENIED:
            return f"{path.name} is unreadable: permission"
        case Fault.BUSY:
            return f"{path.name} is busy: a writer keeps it locked"
        case Fault.JOURNAL:
            return (
                f"{path.name}: writer died mid-commit; heals when the next container opens it; "
                "deliveries are held until then"
            )
        case Fault.DAMAGED:
            return f"{path.name} is corrupt, or its file system is not telling the truth"
        case Fault.SHAPE:
            return f"{path.name} has a shape this panel does not know"
        case Fault.OTHER:
            return f"{path.name} is unreadable: {name}"


class Patience:
    """Counts failures of one session in a row and says when one is worth a sentence."""

    def __init__(self) -> None:
        self._fault: tuple[Path, Fault] | None = None
        self._count = 0

    def failed(self, error: SickFileError) -> str:
        """The sentence to show, or nothing yet."""
        now = (error.path, error.fault)
        self._count = self._count + 1 if now == self._fault else 1
        self._fault = now
        if self._count < TOLD_AFTER.get(error.fault, 1):
            return ""
        if error.fault is Fault.JOURNAL and not _there(journal(error.path)):
            return ""
        return error.sentence

    def succeeded(self) -> None:
        """Forget what failed."""
        self._fault, self._count = None, 0
