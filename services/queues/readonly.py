"""The one way a queue file of another system is opened: read-only, briefly, in a thread.

See upstream/nanoclaw: Reading safely.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from urllib.parse import quote

from services.process.child import run_to_completion
from services.queues.errors import queue_file_error

BUSY_S = 0.25
"""How long one statement waits for a writer."""
_STEP_S = 0.0007
PATIENCE_S = 1.0
"""How long the statements of one connection wait for writers, together."""
LONGEST_CELL = 16 << 20
"""Bytes of a cell that are ever loaded; SQLite says no to a larger one before it takes memory."""
P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what reads files beside the event loop, to its end even when cancelled.

    One visit is one hop: a hop for each statement costs many times what the statement does.
    """
    return await run_to_completion(asyncio.to_thread(work, *args, **kwargs))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


class OpenFile(sqlite3.Connection):
    """A file that is open for reading.

    Each statement takes its own short lock. One that finds a writer there is tried again every
    millisecond or so: SQLite's own waiting grows so long that a busy writer is never met between
    two commits. A reader that waits keeps nobody out.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.begin_visit()
        try:
            self.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_CELL)
            super().execute("PRAGMA query_only=1").close()
            super().execute("PRAGMA mmap_size=0").close()
        except BaseException:
            self.close()
            raise

    def begin_visit(self) -> None:
        """From now on its statements have their patience with writers."""
        self._until = time.monotonic() + PATIENCE_S

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        until = min(self._until, time.monotonic() + BUSY_S)
        while True:
            try:
                return super().execute(sql, parameters)
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > until:
                    raise
            time.sleep(_STEP_S)

    def fetch(self, sql: str, parameters: Any = (), /) -> list[tuple[Any, ...]]:
        """Every row of one statement; no lock is left behind.

        Raises:
            sqlite3.Error: it cannot be read.
        """
        try:
            return self._fetch(sql, parameters)
        except sqlite3.OperationalError as error:
            # What the binding itself raises has no code: here, text that is no UTF-8.
            if self.text_factory is _text or getattr(error, "sqlite_errorcode", None) is not None:
                raise
        self.text_factory = _text
        return self._fetch(sql, parameters)

    def _fetch(self, sql: str, parameters: Any) -> list[tuple[Any, ...]]:
        cursor = self.execute(sql, parameters)
        try:
            return cursor.fetchall()
        finally:
            cursor.close()


def connect(path: Path | str, *, any_thread: bool = False) -> OpenFile:
    """A connection that cannot write; whoever asked closes it.

    Raises:
        sqlite3.Error: the file could not be opened.
    """
    uri = f"file://{quote(os.path.abspath(os.fsencode(path)))}?mode=ro"  # noqa: PTH100  a hot path
    return sqlite3.connect(
        uri,
        uri=True,
        timeout=0,
        isolation_level=None,
        factory=OpenFile,
        check_same_thread=not any_thread,
    )


@contextmanager
def open_readonly(path: Path | str) -> Iterator[OpenFile]:
    """A connection that cannot write; use `fetch` alone, then leave. For a thread.

    A row iterator or an open transaction would hold a lock that stops the other side's commits.

    Raises:
        QueueFileError: the file could not be opened or read.
    """
    try:
        db = connect(path)
        try:
            yield db
        finally:
            db.close()
    except sqlite3.Error as error:
        raise queue_file_error(Path(path), error) from error
