"""What a panel at rest sends to its terminal, beside a bare Textual app with a line that ticks.

At rest: the embedded world's traffic is stopped and its agents have nothing left to do, so that
only ages, the clock and round trips change. Prints bytes a second, and those of a busy world.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from pathlib import Path

from services.sources.local.layout import World
from tests.bench.panel import BARE, NAMES, PANEL, Screen, program

SETTLE_S, MEASURED_S = 25.0, 20.0
QUIET_S = 70.0
"""Until agents have answered all that waited when the traffic stopped."""


async def rate(screen: Screen, seconds: float) -> float:
    """Bytes a second that it paints."""
    screen.forget()
    await asyncio.sleep(seconds)
    return len(screen.painted) / seconds


async def measure() -> None:
    """Both in one run."""
    with tempfile.TemporaryDirectory(prefix="wakedeck-rest-") as folder:
        home = Path(folder)
        async with program(BARE, home) as screen:
            await screen.until(b"sandboxes", 30)
            bare = await rate(screen, MEASURED_S)
        async with program(PANEL, home) as screen:
            await screen.until(NAMES[-1], 60)
            await asyncio.sleep(SETTLE_S)
            busy = await rate(screen, MEASURED_S)
            stop_traffic(World(home / ".local/state/wakedeck/local"))
            await asyncio.sleep(QUIET_S)
            rest = await rate(screen, MEASURED_S)
    print(f"bare Textual, one line a second: {bare:.0f} B/s")
    print(f"panel, busy world: {busy:.0f} B/s")
    print(f"panel at rest: {rest:.0f} B/s ({rest / bare:.1f}x bare; aim under 1000 B/s)")


def stop_traffic(world: World) -> None:
    """Suspend what inserts and delivers messages."""
    record = world.read_record("host")
    assert record is not None
    os.kill(record.pid, signal.SIGSTOP)


def main() -> None:
    """Run it."""
    asyncio.run(measure())
