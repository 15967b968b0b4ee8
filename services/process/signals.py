"""Children start with the default dispositions of signals, whatever ours were when we began.

A program that is executed keeps what its parent ignores (nohup, a background job of a script), but
what its parent catches is back at the default. So a signal that is ignored here is caught and
nothing is done: the same for us, right for every child, and no code runs between fork and exec.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

_LEFT_ALONE = ("SIGKILL", "SIGSTOP", "SIGPIPE", "SIGXFZ", "SIGXFSZ", "SIGTTIN", "SIGTTOU")
"""Two cannot be caught, three `subprocess` itself restores; a reader or writer in the background
would try again for ever if the last two came back to it as caught."""


def catch_ignored() -> None:
    """Catch what is ignored. It takes effect in the main thread alone, so begin there with it."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in signal.valid_signals():
        if signal.getsignal(number) is signal.SIG_IGN and _name(number) not in _LEFT_ALONE:
            signal.signal(number, _nothing)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return ""  # one of the real-time signals between the first and the last


def _nothing(number: int, frame: FrameType | None) -> None:
    """Stay unmoved."""
