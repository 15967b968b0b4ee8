"""Follows a log file across rotation, truncation and absence; whole lines, bounded."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

from services.clock import Clock
from services.logs.reader import LogRecord

START = 64 * 1024
POLL_S = 0.5
_LONGEST = 8 * 1024
_FINGERPRINT = 64


class FileTail:
    """What a file says that has not been told yet."""

    def __init__(self, path: Path, start: int = START, called: str = "log") -> None:
        """`start` is how many bytes of what is there are told; `called` names it in sentences."""
        self._path = path
        self._called = called
        self._start = start
        self._handle: int | None = None
        self._at = 0
        self._before = b""
        """The bytes before `_at`: others there mean that the file was written anew."""
        self._carry = b""
        self._mid_line = False
        self._trouble = ""
        self.modified_at = 0.0
        """When the file was written last, seconds since the epoch, as of the last call."""
        self.news = ""
        """What the last call found to have become of the file itself; empty for nothing."""

    async def read(self, clock: Clock) -> AsyncIterator[LogRecord]:
        """Lines and news for ever; a missing file is waited for."""
        try:
            while True:
                lines = self.more()
                if self.news:
                    yield LogRecord(self.news, note=True)
                for line in lines:
                    yield LogRecord(line.decode("utf-8", "replace"))
                await (asyncio.sleep(0) if lines else clock.sleep(POLL_S))
        finally:
            self.close()

    def more(self) -> list[bytes]:
        """Whole lines written since the last call, of at most 64 KiB; none where it is gone.

        A file that was replaced is read to its end before the new one is begun, which is told from
        its beginning, as is one that was cut; `news` says so.
        """
        self.news = ""
        try:
            if self._handle is None:
                self._open(first=True)
            lines = self._lines()
            if not lines and self._replaced():
                lines, self._carry = [self._carry] if self._carry else [], b""
                self._open(first=False)
                lines += self._lines()
                self._say("was replaced: told from its beginning")
            if self._trouble:
                self._trouble = ""
                self.news = self.news or f"— the {self._called} can be read"
            return lines
        except OSError as error:
            trouble = _why(error)
            if trouble != self._trouble:
                self._trouble = trouble
                self._say(trouble)
            return []

    def close(self) -> None:
        """Let go of the file; idempotent."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _open(self, *, first: bool) -> None:
        # A pipe in the place of the log would block, so nothing but a file is read.
        handle = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            os.close(handle)
            raise OSError("no regular file")
        self.close()
        self._handle = handle
        # The byte before tells whether a line begins here: half a line may hold half a secret.
        self._at = max(0, found.st_size - self._start - 1) if first else 0
        self._mid_line = self._at > 0
        self._before = b""

    def _replaced(self) -> bool:
        if self._handle is None:
            return False
        there, ours = self._path.stat(), os.fstat(self._handle)
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)

    def _lines(self) -> list[bytes]:
        if self._handle is None:
            return []
        self.modified_at = os.fstat(self._handle).st_mtime
        before = os.pread(self._handle, len(self._before), self._at - len(self._before))
        if before != self._before:
            self._at, self._before, self._carry, self._mid_line = 0, b"", b"", False
            self._say("was cut: told from its beginning")
        data = os.pread(self._handle, START, self._at)
        self._at += len(data)
        self._before = (self._before + data)[-_FINGERPRINT:]
        lines = (self._carry + data).split(b"\n")
        self._carry = lines.pop()[:_LONGEST]
        if self._mid_line and lines:
            self._mid_line = False
            del lines[0]
        return [line[:_LONGEST] for line in lines]

    def _say(self, what: str) -> None:
        self.news = f"— the {self._called} {what}"


def _why(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "is not there: waited for"
    if isinstance(error, PermissionError):
        return "is not readable for this user: tried again"
    return "cannot be read just now: tried again"
