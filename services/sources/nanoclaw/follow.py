"""Follows log files across rotation, truncation and absence; whole lines, bounded, harmless."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from services.clock import Clock
from services.plain import plain
from services.redact import redact

START = 64 * 1024
_LONGEST = 8 * 1024
POLL_S = 0.5
SHOWN = 1000


class Tail:
    """What a file says that has not been told yet."""

    def __init__(self, path: Path, start: int = START) -> None:
        self._path = path
        self._start = start
        self._inode: int | None = None
        self._at = 0
        self._carry = b""

    def more(self) -> list[bytes]:
        """Whole lines written since the last call, at most 64 KiB at a time; none where it is gone.

        A file that was replaced or cut is told from its beginning.
        """
        try:
            with self._path.open("rb") as stream:
                stat = os.fstat(stream.fileno())
                if self._inode is None:
                    self._at = max(0, stat.st_size - self._start)
                elif stat.st_ino != self._inode or stat.st_size < self._at:
                    self._at, self._carry = 0, b""
                self._inode = stat.st_ino
                stream.seek(self._at)
                data = stream.read(START)
                self._at += len(data)
        except OSError:
            return []
        lines = (self._carry + data).split(b"\n")
        self._carry = lines.pop()[-_LONGEST:]
        return lines


def shown(raw: bytes | str) -> str:
    """A line as it may be shown."""
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    return redact(plain(text, SHOWN))


async def follow(path: Path, clock: Clock) -> AsyncIterator[str]:
    """Harmless lines from the last 64 KiB on, for ever; a missing file is waited for."""
    tail = Tail(path)
    while True:
        lines = tail.more()
        for line in lines:
            yield shown(line)
        if not lines:
            await clock.sleep(POLL_S)
        else:
            await asyncio.sleep(0)
