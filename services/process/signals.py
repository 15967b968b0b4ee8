"""Children start with the default dispositions of signals, whatever ours were when we began.

A program that is executed keeps what its parent ignores (nohup, a background job of a script), but
what its parent catches is back at the default. So a signal that is ignored here is caught and
nothing is done: the same for us, right for every child, and no code runs between fork and exec.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

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


def raise_interrupt() -> None:
    """An interrupt is Python's own exception from here on, unless somebody listens to it."""
    _change_interrupt(signal.SIG_DFL, signal.default_int_handler)


def die_of_interrupt() -> None:
    """An interrupt ends the process and nothing is said, unless somebody listens to it."""
    _change_interrupt(signal.default_int_handler, signal.SIG_DFL)


def _change_interrupt(was: Any, becomes: Any) -> None:
    main = threading.current_thread() is threading.main_thread()
    if main and signal.getsignal(signal.SIGINT) is was:
        signal.signal(signal.SIGINT, becomes)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return ""  # one of the real-time signals between the first and the last


def _nothing(number: int, frame: FrameType | None) -> None:
    """Stay unmoved."""
