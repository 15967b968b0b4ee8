"""Waits that a signal ends at once."""

from __future__ import annotations

import os
import select
import signal


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
