"""How asyncio hears that a child has ended: from the kernel, without a thread for each child.

Python 3.12 and newer do so by themselves.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import TypeVarTuple

from services.process.exit_watch import ExitWatch, reap

Ts = TypeVarTuple("Ts")

if sys.version_info < (3, 12):

    class PidfdWatcher(asyncio.ThreadedChildWatcher):
        """Collects each child in the loop that began it, in any thread; keeps nothing itself."""

        def add_child_handler(
            self, pid: int, callback: Callable[[int, int, *Ts], object], *args: *Ts
        ) -> None:
            """As asyncio asks it: `callback(pid, exit code, *args)` once the child has ended."""

            def told(code: int) -> None:
                callback(pid, code, *args)

            ExitWatch(pid, partial(reap, pid, told))


def hear_ends() -> None:
    """Hear of the ends of children without threads from now on, where the system can tell them."""
    if sys.version_info >= (3, 12):
        return
    policy = asyncio.get_event_loop_policy()
    if type(policy.get_child_watcher()) is asyncio.ThreadedChildWatcher and _has_pidfds():
        policy.set_child_watcher(PidfdWatcher())


def _has_pidfds() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True
