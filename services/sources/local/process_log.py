"""Logs of the embedded world's processes: bounded while they are written."""

from __future__ import annotations

import io
import os
import re
import stat
import sys

LOG_BOUND = 256 * 1024
LOG_KEPT = 64 * 1024
_CHECKED_EACH = 16 * 1024
_STDERR = 2
_LEFT_OUT = "… {} bytes of this log were left out\n"
_COUNT = re.compile("… ([0-9]{1,18}) bytes of this log were left out\n".encode())
_ROOM = 80


def cut(handle: int) -> None:
    """Keep the newest lines of a log that is too large, and say how much is gone.

    The handle appends, and can be read. Anything but a regular file is left alone.
    """
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode) or about.st_size <= LOG_BOUND:
        return
    told = _COUNT.match(os.pread(handle, _ROOM, 0))
    tail = os.pread(handle, LOG_KEPT - _ROOM, about.st_size - LOG_KEPT + _ROOM)
    tail = tail.partition(b"\n")[2] or tail
    gone = about.st_size - len(tail)
    if told is not None:
        gone += int(told.group(1)) - len(told.group())
    os.ftruncate(handle, 0)
    os.write(handle, _LEFT_OUT.format(gone).encode() + tail)


class BoundedLog(io.TextIOBase):
    """Standard error of a process whose log is a file."""

    def __init__(self, handle: int = _STDERR) -> None:
        super().__init__()
        self._handle = handle
        self._unchecked = 0

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._handle

    def write(self, text: str) -> int:
        data = text.encode("utf-8", "replace")
        try:
            os.write(self._handle, data)
            self._unchecked += len(data)
            if self._unchecked >= _CHECKED_EACH:
                self._unchecked = 0
                cut(self._handle)
        except OSError:
            # A full disk is no reason to end a world; there is nowhere to say it.
            return len(text)
        return len(text)


def bound_stderr() -> None:
    """Let whatever this process says on standard error respect the bound."""
    sys.stderr = BoundedLog()
