"""How asyncio hears that a child has ended: from the kernel, without a thread for each child.

Python 3.12 and newer do so by themselves.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVarTuple

Ts = TypeVarTuple("Ts")

POLL_S = 0.05
"""Where the kernel has no handle to spare for a child, it is asked after that often."""

if sys.version_info < (3, 12):

    class _Handle:
        """A pidfd that is closed with whoever holds it: a loop that closes lets go of it."""

        def __init__(self, pid: int) -> None:
            self._number = os.pidfd_open(pid)

        def fileno(self) -> int:
            return self._number

        def __del__(self) -> None:
            if (number := getattr(self, "_number", None)) is not None:
                os.close(number)

    class PidfdWatcher(asyncio.ThreadedChildWatcher):
        """Collects each child in the loop that began it, in any thread; keeps nothing itself."""

        def add_child_handler(
            self, pid: int, callback: Callable[[int, int, *Ts], object], *args: *Ts
        ) -> None:
            """As asyncio asks it: `callback(pid, exit code, *args)` once the child has ended."""
            loop = asyncio.get_running_loop()
            try:
                handle = _Handle(pid)
                loop.add_reader(handle, _collect, loop, handle, pid, callback, args)
            except OSError:
                _poll(loop, pid, callback, args)

    def _collect(
        loop: asyncio.AbstractEventLoop,
        handle: _Handle,
        pid: int,
        callback: Callable[[int, int, *Ts], object],
        args: tuple[*Ts],
    ) -> None:
        loop.remove_reader(handle)
        _poll(loop, pid, callback, args)

    def _poll(
        loop: asyncio.AbstractEventLoop,
        pid: int,
        callback: Callable[[int, int, *Ts], object],
        args: tuple[*Ts],
    ) -> None:
        code = 255  # as asyncio has it where another collected the child
        with suppress(ChildProcessError):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                loop.call_later(POLL_S, _poll, loop, pid, callback, args)
                return
            code = os.waitstatus_to_exitcode(status)
        callback(pid, code, *args)


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
