"""The journal's file: made, checked, opened to write or only to read, and set aside when damaged.

Everything here blocks: it runs in the thread of a connection.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from services.files.private import open_private, private_folder, require_private
from services.journal.rows import ADDITIONS, APPLICATION_ID, SCHEMA, VERSION
from services.lazy_dataclass import dataclass
from services.text.sanitize import sanitize

BUSY_S = 0.5
CHECK_S = 2.0
"""The longest a file is checked through; what takes longer is used as it is."""
LARGEST_COPY = 256 << 20
_ENDINGS = ("", "-wal", "-shm")
_OUR_COLUMNS = frozenset(
    ("id", "at", "severity", "source", "subject", "kind", "text", "before", "after")
)
_SURROUNDINGS = ("FULL", "READONLY", "CANTOPEN", "PERM", "NOMEM", "IOERR", "INTERRUPT", "PROTOCOL")
"""Names of errors that say nothing about what the file holds."""


class UnusableError(Exception):
    """The file cannot serve as the journal now; the text is for the operator."""


class DamagedError(Exception):
    """The file does not hold what was written to it."""


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A journal that can be written."""

    db: sqlite3.Connection
    set_aside: str = ""
    """The name the damaged file before it was given; empty where there was none."""
    damage: str = ""
    identity: tuple[int, int] | None = None


def is_locked(error: Exception) -> bool:
    """Whether another program holds the file just now."""
    return _name(error).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def is_damage(error: sqlite3.Error, path: Path) -> bool:
    """Whether the file is to blame, not a lock, the disk or its permissions."""
    name = _name(error)
    if not name or is_locked(error):
        return False
    if name.startswith("SQLITE_READONLY") and name != "SQLITE_READONLY_DBMOVED":
        # Its own header says read-only where the file system does not.
        return _is_writable(path) and _is_writable(path.parent)
    if name == "SQLITE_IOERR_SHORT_READ":
        return True
    return not name.startswith(tuple(f"SQLITE_{one}" for one in _SURROUNDINGS))


def error_text(error: Exception, path: Path) -> str:
    """Why the journal at `path` cannot be used, in a sentence's second half."""
    if isinstance(error, UnusableError):
        return str(error)
    if isinstance(error, BlockingIOError):
        return "another panel is busy with the file"
    if isinstance(error, OSError):
        return f"{os_error_text(error)} ({sanitize(str(error.filename or path))})"
    if is_locked(error):
        return "the journal is locked by another program"
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return f"the disk is full ({sanitize(str(path))})"
    return f"the journal cannot be used ({sanitize(str(error), 120)})"


def os_error_text(error: OSError) -> str:
    """What the system says of it."""
    return sanitize(error.strerror or str(error) or type(error).__name__)


def open_to_write(path: Path, now: float) -> OpenedFile:
    """Open the journal; it is made where there is none, and set aside where it is damaged.

    Raises:
        UnusableError: it is not ours to use.
        BlockingIOError: another panel is at it.
        OSError, sqlite3.Error: it cannot be opened now.
    """
    private_folder(path.parent)
    with _guarded(path):
        try:
            return OpenedFile(_open_checked(path), identity=identity(path))
        except DamagedError as error:
            damage = str(error)
        except sqlite3.Error as error:
            if not is_damage(error, path):
                raise
            damage = sanitize(str(error), 120)
        return OpenedFile(*_begin_anew(path, now), damage, identity(path))


def open_to_read(path: Path) -> sqlite3.Connection:
    """Read a journal that cannot be written, from a copy where it cannot be read in place.

    Raises:
        OSError, sqlite3.Error: it cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    where = f"{path.absolute().as_uri()}?mode=ro"
    db = _connect(where)
    try:
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        db.close()
        if is_locked(error) or is_damage(error, path):
            raise
    else:
        return db
    # A log beside it cannot be read without writing to its folder.
    memory = _connect(":memory:")
    try:
        with copied(path) as copy, closing(_connect(copy)) as db:
            db.backup(memory)
    except BaseException:
        memory.close()
        raise
    return memory


@contextmanager
def copied(path: Path) -> Iterator[Path]:
    """A private copy of a journal and of its log, gone afterwards.

    Raises:
        OSError: it cannot be copied, or is far larger than a journal grows.
    """
    with tempfile.TemporaryDirectory(prefix="wakedeck-") as folder:
        copy = Path(folder) / "journal.db"
        for ending in ("", "-wal"):
            part = path.with_name(path.name + ending)
            with suppress(FileNotFoundError):
                if part.stat().st_size > LARGEST_COPY:
                    raise OSError(f"{part.name} is larger than a journal can be")
                shutil.copyfile(part, copy.with_name(copy.name + ending))
        yield copy


def identity(path: Path) -> tuple[int, int] | None:
    """Which file bears the name now; None where none does."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def set_aside_names(path: Path) -> list[Path]:
    """The damaged journals that were set aside and not brought back, oldest first."""
    with suppress(OSError):
        found = path.parent.glob(f"{path.stem}.damaged-*{path.suffix}*")
        return sorted(
            {
                one.with_name(one.name.removesuffix("-wal"))
                for one in found
                if not one.name.endswith("-shm")
            }
        )
    return []


@contextmanager
def _guarded(path: Path) -> Iterator[None]:
    """One panel at a time makes the file or sets a damaged one aside."""
    guard = open_private(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(guard)


def is_begun(path: Path) -> bool:
    """Whether there is anything in the place of the journal, as far as that can be known."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError:
        pass  # who opens it says what is wrong with the place
    return True


def _open_checked(path: Path) -> sqlite3.Connection:
    for ending in _ENDINGS:
        require_private(path.with_name(path.name + ending))
    if not path.exists():
        if path.with_name(f"{path.name}-wal").exists():
            raise DamagedError("only its log is left")
        _make(path)
    if not path.stat().st_size:
        raise DamagedError("the file is empty")
    db = _connect(path)
    try:
        _check(db, path)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        _add_what_is_new(db)
    except BaseException:
        db.close()
        raise
    return db


def _begin_anew(path: Path, now: float) -> tuple[sqlite3.Connection, str]:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    aside = path.with_name(f"{path.stem}.damaged-{stamp}{path.suffix}")
    number = 1
    while any(aside.with_name(aside.name + ending).exists() for ending in _ENDINGS):
        number += 1
        aside = path.with_name(f"{path.stem}.damaged-{stamp}-{number}{path.suffix}")
    for ending in _ENDINGS:
        with suppress(FileNotFoundError):
            path.with_name(path.name + ending).rename(aside.with_name(aside.name + ending))
    return _open_checked(path), aside.name


def _make(path: Path) -> None:
    """Make it under another name first: a file of ours is never without its table."""
    new = path.with_name(f"{path.name}.new")
    for ending in ("", "-journal"):
        with suppress(FileNotFoundError):
            new.with_name(new.name + ending).unlink()
    os.close(open_private(new, os.O_RDWR | os.O_CREAT | os.O_EXCL))
    with closing(sqlite3.connect(new, isolation_level=None)) as db:
        for statement in SCHEMA:
            db.execute(statement)
    new.rename(path)


def _connect(where: Path | str) -> sqlite3.Connection:
    db = sqlite3.connect(
        where,
        timeout=BUSY_S,
        isolation_level=None,
        check_same_thread=False,
        uri=isinstance(where, str),
    )
    db.text_factory = _tolerant
    return db


def _check(db: sqlite3.Connection, path: Path) -> None:
    name = sanitize(str(path))
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    columns = {row[1] for row in db.execute("PRAGMA table_info(events)")}
    marked = _value(db, "PRAGMA application_id") == APPLICATION_ID
    if not marked and tables and not columns >= _OUR_COLUMNS:
        raise UnusableError(f"{name} belongs to something else")
    if marked and int(str(_value(db, "PRAGMA user_version"))) > VERSION:
        raise UnusableError(f"{name} was made by a newer version")
    if not marked or not columns >= _OUR_COLUMNS:
        raise DamagedError("its header or its table is gone")
    until = time.monotonic() + CHECK_S
    db.set_progress_handler(lambda: int(time.monotonic() > until), 10_000)
    try:
        found = _value(db, "PRAGMA integrity_check(1)")
    except sqlite3.Error as error:
        if _name(error) != "SQLITE_INTERRUPT":
            raise
        found = "ok"
    finally:
        db.set_progress_handler(None, 0)
    if found != "ok":
        raise DamagedError("the check found damage")


def _add_what_is_new(db: sqlite3.Connection) -> None:
    if not any(row[1] == "told" for row in db.execute("PRAGMA table_info(events)")):
        db.execute(ADDITIONS[0])
    for statement in ADDITIONS[1:]:
        db.execute(statement)


def _value(db: sqlite3.Connection, query: str) -> object:
    row = db.execute(query).fetchone()
    return None if row is None else row[0]


def _name(error: Exception) -> str:
    return str(getattr(error, "sqlite_errorname", "") or "")


def _is_writable(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _tolerant(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
