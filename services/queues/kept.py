"""A few queue files of our own world that stay open between visits, each read briefly.

See upstream/nanoclaw: Reading safely. Between two statements a connection holds no lock, so it
keeps no writer out; it pins the inode, so another file in its place is always told apart.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.queues.errors import queue_file_error
from services.queues.readonly import OpenFile, connect

MOST = 16
"""Files that stay open; the one that was not read for the longest time is closed first."""
_PAGES_KIB = 256
_Identity = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _KeptFile:
    identity: _Identity
    db: OpenFile


class KeptFiles:
    """Opens files as `open_readonly` does and keeps them; usable from several threads."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._idle: OrderedDict[str, _KeptFile] = OrderedDict()
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def open(self, path: Path | str) -> Iterator[OpenFile]:
        """A connection that cannot write, of this visit alone; use `fetch` alone, then leave.

        Raises:
            QueueFileError: the file could not be opened or read.
        """
        name = os.fspath(path)
        try:
            kept = self._take(name) or _opened(name)
            try:
                yield kept.db
            except BaseException:
                kept.db.close()
                raise
            self._give_back(name, kept)
        except sqlite3.Error as error:
            raise queue_file_error(Path(path), error) from error

    def close(self) -> None:
        """Close every file; one that is being read is closed when its visit ends."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, OrderedDict()
        for kept in idle.values():
            kept.db.close()

    def _take(self, name: str) -> _KeptFile | None:
        with self._lock:
            kept = self._idle.pop(name, None)
        if kept is None:
            return None
        if kept.identity != _identity(name):
            kept.db.close()
            return None
        kept.db.begin_visit()
        return kept

    def _give_back(self, name: str, kept: _KeptFile) -> None:
        surplus: list[_KeptFile] = []
        with self._lock:
            if self._closed or kept.identity == _NOT_KEPT or name in self._idle:
                surplus.append(kept)
            else:
                self._idle[name] = kept
                while len(self._idle) > self._most:
                    surplus.append(self._idle.popitem(last=False)[1])
        for one in surplus:
            one.db.close()


_NOT_KEPT: _Identity = (-1, -1)


def _opened(name: str) -> _KeptFile:
    """A new connection; it is kept where it is surely to the file of that name."""
    before = _identity(name)
    db = connect(name, any_thread=True)
    try:
        if before == _NOT_KEPT or before != _identity(name):
            return _KeptFile(_NOT_KEPT, db)
        # Readers of a write-ahead log keep its writer from ending it.
        if db.fetch("PRAGMA journal_mode") == [("wal",)]:
            return _KeptFile(_NOT_KEPT, db)
        db.fetch(f"PRAGMA cache_size=-{_PAGES_KIB}")
    except BaseException:
        db.close()
        raise
    return _KeptFile(before, db)


def _identity(name: str) -> _Identity:
    try:
        seen = os.stat(name)  # noqa: PTH116  several times a second
    except OSError:
        return _NOT_KEPT
    return seen.st_dev, seen.st_ino
