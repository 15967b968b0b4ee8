"""How often one source of noise may speak in a log, and how much of it was left out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

WINDOW_S = 60.0
_LONGEST = 200


class RateLimit(logging.Filter):
    """Lets the first records of each minute pass; the next one says how many were left out.

    Where they share the limit, records are one short line without a traceback: what peers without
    a token cause is of no more use. Otherwise each line of code that logs has the limit for itself.
    """

    def __init__(
        self, most: int, *, shared: bool = False, now: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._most = most
        self._shared = shared
        self._now = now
        self._windows: dict[tuple[str, int], _Window] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = self._now()
        site = ("", 0) if self._shared else (record.pathname, record.lineno)
        window = self._windows.setdefault(site, _Window())
        if now >= window.ends_at:
            window.ends_at, window.passed = now + WINDOW_S, 0
        if window.passed >= self._most:
            window.left_out += 1
            return False
        window.passed += 1
        more = f" and {window.left_out} more since the last line" if window.left_out else ""
        window.left_out = 0
        if self._shared:
            said = record.getMessage().splitlines() or [""]
            error = record.exc_info[1] if record.exc_info else None
            cause = f" ({type(error).__name__})" if error is not None else ""
            record.msg, record.args = f"{said[0][:_LONGEST]}{cause}{more}", ()
            record.exc_info = record.exc_text = record.stack_info = None
        elif more:
            record.msg, record.args = f"{record.getMessage()}{more}", ()
        return True

    def left_out(self) -> int:
        """Records that no line has counted so far."""
        return sum(one.left_out for one in self._windows.values())


class _Window:
    """One minute of one source."""

    def __init__(self) -> None:
        self.ends_at = 0.0
        self.passed = 0
        self.left_out = 0
