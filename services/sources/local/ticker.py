"""Waits that a signal ends at once, and steps of the wall clock."""

from __future__ import annotations

import os
import select
import signal
import time

_STEP_S = 2.0
"""Less is the clock being disciplined, not set."""


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


class ClockSteps:
    """Notices that the wall clock was set."""

    def __init__(self) -> None:
        self._apart = time.time() - time.monotonic()

    def since_last(self) -> float:
        """By how many seconds it was set since this was last asked; 0 where it was not."""
        apart = time.time() - time.monotonic()
        by = apart - self._apart
        if abs(by) < _STEP_S:
            return 0.0
        self._apart = apart
        return by
