"""A connection to an SQLite file that leaves nothing behind, however its opening is called off."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import aiosqlite

T = TypeVar("T")


class Connection(aiosqlite.Connection):
    """Its file is closed and its thread gone before anything here returns or raises.

    Of `aiosqlite` alone, one that is called off while it opens keeps its file until it is
    collected, and its thread later reports to an event loop that may be closed.
    """

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        """`connector` runs in the thread; what it makes must not insist on staying there."""
        self._made: sqlite3.Connection | None = None
        self._stopping: asyncio.Future[Any] | None = None

        def remembered() -> sqlite3.Connection:
            self._made = connector()
            return self._made

        super().__init__(remembered, iter_chunk_size=64)
        # One that a crash leaves open must not keep the process: SQLite needs no goodbye.
        self._thread.daemon = True

    async def open(self) -> Self:
        """Open it, once.

        Raises:
            sqlite3.Error: the file cannot be opened.
        """
        try:
            await self
        except BaseException:
            await self._gone()
            raise
        return self

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do several things in the connection's thread, as one: nothing comes between."""
        done: T = await self._execute(work, self._conn)  # type: ignore[no-untyped-call]
        return done

    async def close(self) -> None:
        """Finish what was asked and close it; idempotent."""
        try:
            await super().close()
        finally:
            await self._gone()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def stop(self) -> asyncio.Future[Any] | None:
        """End the thread behind it; what is given may be cancelled without harm."""
        self._stopping = super().stop()
        return None if self._stopping is None else asyncio.shield(self._stopping)

    async def _gone(self) -> None:
        """Wait for the end of the thread whatever is asked meanwhile, then obey."""
        called_off: asyncio.CancelledError | None = None
        while self._stopping is not None and not self._stopping.done():
            try:
                await asyncio.wait((self._stopping,))
            except asyncio.CancelledError as error:
                called_off = error
        if self._made is not None:
            self._made.close()
        if called_off is not None:
            raise called_off
