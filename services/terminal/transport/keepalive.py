"""Keepalive: pings a silent connection and reports a dead one.

See upstream/terminal: Keepalive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from services.clock import Clock
from services.models import Retry, ShellState
from services.terminal.transport.base import CloseReason

PING_AFTER_S = 15.0
"""Of receive silence, then a ping."""
LOST_AFTER_S = 60.0
"""Without a frame of any kind, with no input outstanding."""
_CONNECTION_LOST = CloseReason(
    ShellState.LOST,
    f"no sign of life for {LOST_AFTER_S:.0f} s: connection lost, outcome unknown",
    retry=Retry.AUTO,
)


class Pingable(Protocol):
    """A connection that can be pinged."""

    async def ping(self) -> bool:
        """True where any frame came back; callers bound the wait."""


async def watch_keepalive(
    transport: Pingable,
    clock: Clock,
    last_received_at: Callable[[], float],
    outstanding: Callable[[], bool],
) -> CloseReason:
    """Return once the connection is dead; never while input is `outstanding`; monotonic times."""
    alive_at = clock.monotonic()
    while True:
        alive_at = max(alive_at, last_received_at())
        quiet = clock.monotonic() - alive_at
        if quiet < PING_AFTER_S:
            await clock.sleep(PING_AFTER_S - quiet)
        elif outstanding():
            # A peer that is stuck on our input owes no pong.
            alive_at = clock.monotonic()
        else:
            answer = await _bounded_ping(
                transport.ping(), clock, max(LOST_AFTER_S - quiet, PING_AFTER_S)
            )
            if answer:
                alive_at = clock.monotonic()
            elif answer is False:
                # The connection is gone: reading says why, any moment now.
                await clock.sleep(PING_AFTER_S)
            elif last_received_at() <= alive_at and not outstanding():
                return _CONNECTION_LOST


async def _bounded_ping(ping: Awaitable[bool], clock: Clock, seconds: float) -> bool | None:
    """What the ping came to within that many seconds of `clock`; None if nothing."""
    asked = asyncio.ensure_future(ping)
    limit = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait((asked, limit), return_when=asyncio.FIRST_COMPLETED)
        return asked.result() if asked.done() else None
    finally:
        for task in (asked, limit):
            task.cancel()
        await asyncio.gather(asked, limit, return_exceptions=True)
