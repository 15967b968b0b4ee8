"""How the end of a process is heard: from the kernel, without a thread for each.

Python 3.12 and newer do so for asyncio's own children by themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVarTuple

Ts = TypeVarTuple("Ts")

POLL_S = 0.05
"""Where the kernel has no handle to spare for a process, it is asked after that often."""


class _Handle:
    """A descriptor that is closed with whoever holds it: a loop that closes lets go of it."""

    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        return self._number

    def __del__(self) -> None:
        os.close(self._number)


class ExitWatch:
    """Sets `ended` once the process is dead; its pid stays taken until somebody reaps it."""

    def __init__(self, pid: int, on_end: Callable[[], None] = lambda: None) -> None:
        self.ended = asyncio.Event()
        self._pid = pid
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._handle = _exit_handle(pid)
        if self._handle is not None:
            try:
                self._loop.add_reader(self._handle, self._end)
            except OSError:  # the kernel has no room for one more to listen to
                self._handle = None
        if self._handle is None:
            # Not at once: whoever watches is not ready to hear of it.
            self._timer = self._loop.call_later(0, self._poll)

    def close(self) -> None:
        """Stop listening; idempotent."""
        if self._timer is not None:
            self._timer.cancel()
        if self._handle is not None:
            self._loop.remove_reader(self._handle)
            self._handle = None

    def _end(self) -> None:
        self.ended.set()
        self.close()
        self._on_end()

    def _poll(self) -> None:
        if _has_ended(self._pid):
            self._end()
        else:
            self._timer = self._loop.call_later(POLL_S, self._poll)


def reap(pid: int, told: Callable[[int], None]) -> None:
    """Collect a child that is dead and tell its exit code: 255 where another collected it."""
    code = 255
    with contextlib.suppress(ChildProcessError):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if not ended:
            asyncio.get_running_loop().call_later(POLL_S, reap, pid, told)
            return
        code = os.waitstatus_to_exitcode(status)
    told(code)


def _has_ended(pid: int) -> bool:
    """Whether a child is dead, without collecting it; needs no descriptor where it can."""
    if hasattr(os, "waitid"):
        try:
            return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True
    import psutil

    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except (OSError, psutil.Error):
        return False  # asked again


def _exit_handle(pid: int) -> _Handle | None:
    """A descriptor that becomes readable when the process dies; None where there is no such."""
    with contextlib.suppress(OSError):
        if hasattr(os, "pidfd_open"):
            return _Handle(os.pidfd_open(pid))
        if hasattr(select, "kqueue"):
            return _Handle(_kqueue_handle(pid))
    return None


def _kqueue_handle(pid: int) -> int:
    """The BSD way: a queue that holds one event, the exit."""
    kernel: Any = select
    queue = kernel.kqueue()
    try:
        exit_event = kernel.kevent(
            pid, kernel.KQ_FILTER_PROC, kernel.KQ_EV_ADD, kernel.KQ_NOTE_EXIT
        )
        queue.control([exit_event], 0)
        return os.dup(queue.fileno())
    finally:
        queue.close()


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
