"""Waits for a child process to exit, without a thread and without reaping it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
from typing import Any

import psutil

_POLL_S = 0.05


class ExitWatch:
    """Sets `ended` once the process is dead; its pid stays taken until somebody reaps it."""

    def __init__(self, pid: int) -> None:
        self.ended = asyncio.Event()
        self._pid = pid
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._handle = _exit_handle(pid)
        if self._handle is None:
            self._poll()
        else:
            self._loop.add_reader(self._handle, self._end)

    async def wait(self, seconds: float) -> bool:
        """Whether it was dead before that many seconds had passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.ended.wait()
        return self.ended.is_set()

    def close(self) -> None:
        """Stop listening; idempotent."""
        if self._timer is not None:
            self._timer.cancel()
        if self._handle is not None:
            self._loop.remove_reader(self._handle)
            os.close(self._handle)
            self._handle = None

    def _end(self) -> None:
        self.ended.set()
        self.close()

    def _poll(self) -> None:
        try:
            if psutil.Process(self._pid).status() == psutil.STATUS_ZOMBIE:
                self._end()
                return
        except psutil.NoSuchProcess:
            self._end()
            return
        self._timer = self._loop.call_later(_POLL_S, self._poll)


def _exit_handle(pid: int) -> int | None:
    """A descriptor that becomes readable when the process dies; None where there is no such."""
    with contextlib.suppress(OSError):
        if hasattr(os, "pidfd_open"):
            return os.pidfd_open(pid)
        if hasattr(select, "kqueue"):
            return _kqueue_handle(pid)
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
