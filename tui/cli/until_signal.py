"""Works that run until a signal, and have all ended after it."""

from __future__ import annotations

import asyncio
import signal


async def run_until_signal(*works: object) -> None:
    """Run them until a signal comes or one of them fails; all have ended afterwards."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    tasks = {asyncio.ensure_future(one) for one in works}  # type: ignore[call-overload]
    stopped = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait({*tasks, stopped}, return_when=asyncio.FIRST_COMPLETED)
        for one in done - {stopped}:
            one.result()
    finally:
        for one in (*tasks, stopped):
            one.cancel()
        await asyncio.gather(*tasks, stopped, return_exceptions=True)
