"""Errors of reading queue files, told after some failures in a row.

A single failed poll says nothing (upstream/nanoclaw: Read failures): writers commit, journals come
and go.
"""

from __future__ import annotations

import errno
import sqlite3
from enum import Enum
from pathlib import Path

from services.errors import UnavailableError


class FileErrorKind(Enum):
    """What kind of failure, and after how many in a row it is told."""

    ABSENT = 1
    DENIED = 2
    BUSY = 3
    JOURNAL = 4
    DAMAGED = 5
    SHAPE = 6
    OTHER = 7


REPORT_AFTER = {
    FileErrorKind.BUSY: 5,
    FileErrorKind.JOURNAL: 3,
    FileErrorKind.DAMAGED: 3,
    FileErrorKind.SHAPE: 2,
}


class QueueFileError(UnavailableError):
    """One queue file that could not be read just now."""

    def __init__(self, path: Path, kind: FileErrorKind, name: str) -> None:
        super().__init__(_sentence(path, kind, name))
        self.path = path
        self.kind = kind


def queue_file_error(path: Path, error: sqlite3.Error | OSError) -> QueueFileError:
    """Name the failure of one read of `path`."""
    name = getattr(error, "sqlite_errorname", "") or ""
    return QueueFileError(path, _error_kind(path, error, name), name or type(error).__name__)


def _error_kind(path: Path, error: sqlite3.Error | OSError, name: str) -> FileErrorKind:
    if isinstance(error, OSError):
        denied = error.errno in (errno.EACCES, errno.EPERM)
        return FileErrorKind.DENIED if denied else FileErrorKind.OTHER
    if name.startswith("SQLITE_CANTOPEN"):
        return FileErrorKind.DENIED if _exists(path) else FileErrorKind.ABSENT
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return FileErrorKind.BUSY
    if name == "SQLITE_READONLY_ROLLBACK":
        return FileErrorKind.JOURNAL
    if name.startswith(("SQLITE_PERM", "SQLITE_AUTH", "SQLITE_READONLY")):
        return FileErrorKind.DENIED
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return FileErrorKind.DAMAGED
    return FileErrorKind.SHAPE if name in ("SQLITE_ERROR", "SQLITE_SCHEMA") else FileErrorKind.OTHER


def _exists(path: Path) -> bool:
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


def _sentence(path: Path, kind: FileErrorKind, name: str) -> str:
    match kind:
        case FileErrorKind.ABSENT:
            return f"{path.name}: no such file"
        case FileErrorKind.DENIED:
            return f"{path.name} is unreadable: permission"
        case FileErrorKind.BUSY:
            return f"{path.name} is busy: a writer keeps it locked"
        case FileErrorKind.JOURNAL:
            return (
                f"{path.name}: writer died mid-commit; heals when the next container opens it; "
                "deliveries are held until then"
            )
        case FileErrorKind.DAMAGED:
            return f"{path.name} is corrupt, or its file system is not telling the truth"
        case FileErrorKind.SHAPE:
            return f"{path.name} has a shape this panel does not know"
        case FileErrorKind.OTHER:
            return f"{path.name} is unreadable: {name}"


class FailureCounter:
    """Counts failures of one session in a row; says when one is to be shown."""

    def __init__(self) -> None:
        self._error_kind: tuple[Path, FileErrorKind] | None = None
        self._count = 0

    def failed(self, error: QueueFileError) -> str:
        """The sentence to show, or nothing yet."""
        now = (error.path, error.kind)
        self._count = self._count + 1 if now == self._error_kind else 1
        self._error_kind = now
        if self._count < REPORT_AFTER.get(error.kind, 1):
            return ""
        if error.kind is FileErrorKind.JOURNAL and not _exists(journal(error.path)):
            return ""
        return error.sentence

    def succeeded(self) -> None:
        """Forget what failed."""
        self._error_kind, self._count = None, 0
