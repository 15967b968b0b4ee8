"""What asks the panel to leave from outside: the signals that mean it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def leave_on_signals(leave: Callable[[], None]) -> None:
    """Call `leave` on the running loop for each of them, whoever listened before.

    Without this an interrupt cancels the loop's main task and the panel waits for itself.
    """
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        try:
            loop.add_signal_handler(number, leave)
        except (RuntimeError, ValueError):
            return  # Not the main thread: a test, or an embedding program's own business.
