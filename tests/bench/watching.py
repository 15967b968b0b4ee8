"""What `watch` costs beside the panel on 10 000 sandboxes, and a scrape beside writing its text.

Panel, watch and the fleet alone run at the same time, so that what else the machine does hits all.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from services.board.board import Board
from services.clock import SystemClock
from services.watch.aggregates import Aggregates
from services.watch.metrics import Metrics
from tests.bench.fleet import fleets
from tests.bench.panel import idle_cpu, program, say
from tests.bench.scale import MANY, code, full, memory

CPU_S = 30.0
SETTLE_S = 5.0
SCRAPES = 20


async def watched(home: Path) -> None:
    """CPU and memory of panel and watch, what the fleet alone costs taken off the CPU."""
    async with AsyncExitStack() as stack:
        homes = [home / name for name in ("panel", "watch", "bare")]
        for one in homes:
            one.mkdir()
        words: tuple[tuple[str, ...], ...] = ((), ("watch",), ("bare",))
        panel, watch, bare = [
            await stack.enter_async_context(program(code(MANY, place, *more), place))
            for place, more in zip(homes, words, strict=True)
        ]
        await full(panel, MANY)
        await watch.until(rb"watching 10000 sandboxes", 60)
        await bare.until(rb"sandboxes", 30)
        await asyncio.sleep(SETTLE_S)
        cpu = await asyncio.gather(*(idle_cpu(one, CPU_S) for one in (panel, watch, bare)))
        size = [memory(one) for one in (panel, watch, bare)]
    ratio = (cpu[1] - cpu[2]) / (cpu[0] - cpu[2])
    say(
        f"CPU      panel {cpu[0]:.1f} %   watch {cpu[1]:.1f} %   fleet alone {cpu[2]:.1f} %   "
        f"ratio {ratio:.2f} without the fleet, {cpu[1] / cpu[0]:.2f} with it (aim 0.4)"
    )
    say(
        f"memory   panel {size[0]:.0f} MB   watch {size[1]:.0f} MB   fleet {size[2]:.0f} MB   "
        f"ratio {size[1] / size[0]:.2f} (aim 1.2)"
    )
    say(f"load     {os.getloadavg()[0]:.1f} of {os.cpu_count()} cores")


class Prepared:
    """Families that are there already: what remains is the library's own writing."""

    def __init__(self, families: list[Any]) -> None:
        self._families = families

    def collect(self) -> list[Any]:
        """As prometheus-client asks for them."""
        return self._families


async def scraped(label_sandboxes: bool) -> tuple[list[float], int]:
    """Median seconds of a scrape, of the library's writing and of joining its lines; its bytes."""
    from prometheus_client import CollectorRegistry, generate_latest

    clock = SystemClock()
    board, kept = Board(clock), Aggregates(clock)
    for one in fleets(MANY, clock):
        kept.on_delta(board.merge(await one.observe()))
    metrics = Metrics(board, kept, label_sandboxes=label_sandboxes)
    registry, prepared = CollectorRegistry(), CollectorRegistry()
    registry.register(metrics)
    prepared.register(Prepared(list(metrics.collect())))
    text = generate_latest(registry)
    samples = [line.rpartition(" ") for line in text.decode().splitlines() if line[:1] != "#"]

    def joined() -> bytes:
        return "".join([f"{name} {float(value)}\n" for name, _, value in samples]).encode()

    took: list[list[float]] = [[], [], []]
    works: tuple[Callable[[], bytes], ...] = (
        lambda: generate_latest(registry),
        lambda: generate_latest(prepared),
        joined,
    )
    for _ in range(SCRAPES):
        for work, times in zip(works, took, strict=True):
            begun = time.perf_counter()
            work()
            times.append(time.perf_counter() - begun)
    return [sorted(times)[SCRAPES // 2] for times in took], len(text)


async def run() -> None:
    """Measure and say it."""
    for names in (False, True):
        (scrape, write, join), size = await scraped(names)
        which = "with" if names else "without"
        say(
            f"scrape   {which} names {scrape * 1e3:.2f} ms, {size / 1e3:.1f} kB"
            f"   the library's writing {write * 1e3:.2f} ms, ratio {scrape / write:.1f} (aim 3)"
            f"   its lines joined {join * 1e3:.2f} ms, ratio {scrape / join:.1f}"
        )
    home = Path(tempfile.mkdtemp(prefix="wakedeck-bench-"))
    try:
        await watched(home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def main() -> None:
    """Takes about a minute."""
    asyncio.run(run())


if __name__ == "__main__":
    main()
