"""Follows log files across rotation, truncation and absence; whole lines, bounded, harmless."""

from __future__ import annotations

import os
from pathlib import Path

from services.text.redact import redact
from services.text.sanitize import sanitize

START = 64 * 1024
_LONGEST = 8 * 1024
POLL_S = 0.5
SHOWN = 1000


class Tail:
    """What a file says that has not been told yet."""

    def __init__(self, path: Path, start: int = START, called: str = "log") -> None:
        """`start` is how many bytes of what is there are told; `called` names it in sentences."""
        self._path = path
        self._called = called
        self._start = start
        self._inode: int | None = None
        self._at = 0
        self._carry = b""
        self._trouble = ""
        self.modified_at = 0.0
        """When the file was written last, seconds since the epoch, as of the last call."""
        self.news = ""
        """What the last call found to have become of the file itself; empty for nothing."""

    def more(self) -> list[bytes]:
        """Whole lines written since the last call, at most 64 KiB at a time; none where it is gone.

        A file that was replaced or cut is told from its beginning; `news` says so.
        """
        self.news = ""
        try:
            with self._path.open("rb") as stream:
                stat = os.fstat(stream.fileno())
                if self._inode is None:
                    self._at = max(0, stat.st_size - self._start)
                elif stat.st_ino != self._inode or stat.st_size < self._at:
                    turned = "was replaced" if stat.st_ino != self._inode else "was cut"
                    self._say(f"{turned}: told from its beginning")
                    self._at, self._carry = 0, b""
                self._inode, self.modified_at = stat.st_ino, stat.st_mtime
                stream.seek(self._at)
                data = stream.read(START)
                self._at += len(data)
                if self._trouble:
                    self._trouble = ""
                    self.news = self.news or f"— the {self._called} can be read"
        except OSError as error:
            trouble = _why(error)
            if trouble != self._trouble:
                self._trouble = trouble
                self._say(trouble)
            return []
        lines = (self._carry + data).split(b"\n")
        self._carry = lines.pop()[-_LONGEST:]
        return lines

    def _say(self, what: str) -> None:
        self.news = f"— the {self._called} {what}"


def _why(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "is not there: waited for"
    if isinstance(error, PermissionError):
        return "is not readable for this user: tried again"
    return "cannot be read just now: tried again"


def redact_log_line(raw: bytes | str) -> str:
    """A line as it may be shown."""
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    return redact(sanitize(text, SHOWN))
