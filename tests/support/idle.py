"""When a panel under test is idle: by what its loop has to do, not by the processor's time.

Textual's own way takes a process that is kept from running on a busy machine for an idle one, and
sleeps 20 ms each time it is asked.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import textual.app
import textual.pilot

SOON_S = 0.02
"""A timer that is due within this belongs to what is being done."""
_ROUNDS, _TIMERS = 3, 5
_STARVED = 10


async def wait_for_idle(min_sleep: float = 0.0, max_sleep: float = 1.0) -> None:
    """Wait until the running loop has nothing to do now or soon, and its threads neither.

    `max_sleep` is processor time of this process, so that it does not pass while others run; on the
    clock it is `_STARVED` times as much.
    """
    loop: Any = asyncio.get_running_loop()
    spent, until = time.process_time() + max_sleep, time.monotonic() + max_sleep * _STARVED
    idle = timers = 0
    while idle < _ROUNDS and time.process_time() < spent and time.monotonic() < until:
        await asyncio.sleep(0)  # a turn of the loop, with whatever became ready meanwhile
        left_s = _next_timer(loop) - loop.time()
        if loop._ready:
            idle = 0
        elif _threads_work(loop):
            idle = 0
            await asyncio.sleep(0.001)  # a thread of the loop's pool is at work
        elif left_s < SOON_S and timers < _TIMERS:
            idle, timers = 0, timers + 1
            await asyncio.sleep(max(0.0, left_s))  # the timer itself
        else:
            idle += 1


def _next_timer(loop: Any) -> float:
    return min((one._when for one in loop._scheduled if not one._cancelled), default=float("inf"))


def _threads_work(loop: Any) -> bool:
    pool = loop._default_executor
    if pool is None:
        return False
    return bool(pool._work_queue.qsize()) or pool._idle_semaphore._value < len(pool._threads)


def install() -> None:
    """Have every pilot wait in this way."""
    for module in (textual.app, textual.pilot):
        vars(module)["wait_for_idle"] = wait_for_idle
