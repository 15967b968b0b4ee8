"""The terminal has gone away: what is left to do is to end, whatever still wants to be drawn."""

from __future__ import annotations

import os
import threading

LIMIT_S = 12.0
"""When the process ends though something still holds it up; kernel locks go with it."""
CODE = 129


def let_go() -> None:
    """Point the standard streams at nothing, so that no write fails or waits; then end in time.

    A write to a terminal that has gone ends the thread that writes, and its queue then fills for
    ever: the panel would stay behind, seen by nobody.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.close(nothing)
    last = threading.Timer(LIMIT_S, os._exit, (CODE,))
    last.daemon = True
    last.start()
