"""Waits that a signal ends at once, and the time formats of the queue files."""

from __future__ import annotations

import os
import select
import signal
from datetime import UTC, datetime


class Ticker:
    """A process's waits; SIGTERM, SIGINT and SIGHUP end them for good."""

    def __init__(self) -> None:
        self.stopping = False
        """Whether this process was asked to end."""
        self._reader, self._writer = os.pipe()
        for end in (self._reader, self._writer):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop)

    def _stop(self, _number: int, _frame: object) -> None:
        self.stopping = True

    def wait(self, seconds: float) -> bool:
        """Give way for `seconds`, or until asked to end; whether to go on."""
        if not self.stopping and seconds > 0:
            select.select([self._reader], [], [], seconds)
        return not self.stopping


def sqlite_text(at: float) -> str:
    """An instant as SQLite writes it: UTC, whole seconds, no zone."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def iso_text(at: float) -> str:
    """An instant as JavaScript writes it: UTC, milliseconds, `Z`."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
