"""The one way a queue file of another system is opened: read-only, briefly.

See upstream/nanoclaw: Reading safely.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from services.files.sqlite import Connection
from services.queues.errors import queue_file_error

BUSY_S = 0.25
"""How long one statement waits for a writer."""
_STEP_S = 0.0007
PATIENCE_S = 1.0
"""How long the statements of one connection wait for writers, together."""
FEW = 2000
LONGEST_CELL = 16 << 20
"""Bytes of a cell that are ever loaded; SQLite says no to a larger one before it takes memory."""


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


class _ReadConnection(sqlite3.Connection):
    """A connection that is set up where it is opened: each step from the loop costs a switch.

    Each statement takes its own short lock. One that finds a writer there is tried again every
    millisecond or so: SQLite's own waiting grows so long that a busy writer is never met between
    two commits. A reader that waits keeps nobody out.
    """

    def __init__(self, *args: Any, versions: list[int], **kwargs: Any) -> None:
        """`versions` is told the file's schema version."""
        super().__init__(*args, **kwargs)
        self._until = time.monotonic() + PATIENCE_S
        try:
            self.text_factory = _text
            self.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_CELL)
            self.execute("PRAGMA query_only=1").close()
            self.execute("PRAGMA mmap_size=0").close()
            # Of a sick file `OpenFile.schema_version` says what is wrong.
            with suppress(sqlite3.Error):
                versions.append(self.execute("PRAGMA schema_version").fetchone()[0])
        except BaseException:
            self.close()
            raise

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


async def off_loop(rows: int, work: Callable[[], None]) -> None:
    """Do work over very many rows beside the event loop, and over few in it."""
    if rows > FEW:
        await asyncio.to_thread(work)
    else:
        work()


class OpenFile(Connection):
    """A file that is open for reading, with its schema version as it was opened."""

    def __init__(self, path: Path) -> None:
        self._versions: list[int] = []
        uri = f"{path.absolute().as_uri()}?mode=ro"
        factory: Any = partial(_ReadConnection, versions=self._versions)
        super().__init__(
            lambda: sqlite3.connect(
                uri,
                uri=True,
                timeout=0,
                isolation_level=None,
                factory=factory,
                check_same_thread=False,
            )
        )

    async def schema_version(self) -> int:
        """Of a sick file this says what is wrong.

        Raises:
            sqlite3.Error: it cannot be read.
        """
        if not self._versions:
            rows = await self.execute_fetchall("PRAGMA schema_version")
            self._versions += [int(row[0]) for row in rows]
        return self._versions[0]


@asynccontextmanager
async def open_readonly(path: Path) -> AsyncIterator[OpenFile]:
    """A connection that cannot write; use `execute_fetchall` alone, then leave.

    A row iterator or a kept connection would hold a lock that stops the other side's commits.

    Raises:
        QueueFileError: the file could not be opened or read.
    """
    try:
        async with OpenFile(path) as db:
            yield db
    except sqlite3.Error as error:
        raise queue_file_error(path, error) from error
