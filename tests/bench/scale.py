"""The panel on 10 000 sandboxes over five sources, one in a hundred changing each second.

A real process on a real terminal, as in `tests.bench.panel`, beside the same panel on 100
sandboxes in the same run, and beside the fleet alone with nobody looking.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.bench.fleet import SOURCES, name_of
from tests.bench.panel import Screen, idle_cpu, program, say

FEW, MANY = 100, 10_000
KEYS = 200
STARTS = 3
CPU_S = 20.0
SETTLE_S = 5.0
FILTERS = 5
RUN = "import sys; sys.argv[1:] = {argv!r}; from tests.bench.fleet_panel import main; main()"


@dataclass(frozen=True, slots=True)
class Figures:
    """What one size costs; seconds, percent of a core, megabytes."""

    start: float
    cpu: float
    memory: float
    later: float
    """Memory after everything else was measured."""
    keys: Sequence[float]
    filters: Sequence[float]


def code(size: int, home: Path, *more: str) -> str:
    """The program of one size."""
    return RUN.format(argv=[str(size), str(home), *more])


def at(values: Sequence[float], share: float) -> float:
    """A percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def start(size: int, home: Path) -> float:
    """Seconds from the start of the process until every sandbox is in the list."""
    begun = time.perf_counter()
    async with program(code(size, home), home) as screen:
        await full(screen, size)
        return time.perf_counter() - begun


async def full(screen: Screen, size: int) -> None:
    """Wait until the title counts every sandbox and rows are painted."""
    await screen.until(rf"sandboxes {size}\b".encode() + rb"(?s:.)*?box-00000", 60)


async def key_latency(screen: Screen) -> list[float]:
    """Seconds from a key's byte to the cursor painted on the next row, while all else goes on."""
    took: list[float] = []
    row = 0
    for number in range(KEYS):
        # Down the list for a while and half of it back: rows scroll in and out of sight.
        down = number % 60 < 40
        row += 1 if down else -1
        screen.forget()
        begun = time.perf_counter()
        screen.process.write(b"j" if down else b"k")
        await screen.until("›".encode() + rb".{0,40}?" + name_of(row).encode(), 10)
        took.append(time.perf_counter() - begun)
        await asyncio.sleep(0.05 + (number % 7) * 0.013)
    return took


async def filter_latency(screen: Screen, size: int) -> list[float]:
    """Seconds from each typed letter of a filter to the list that has it, with its count."""
    took: list[float] = []
    names = [name_of(number) for number in range(size)]
    for number in range(FILTERS):
        wanted = name_of((number * 1877 + 42) % size)
        screen.process.write(b"/")
        await asyncio.sleep(0.5)
        for end in range(1, len(wanted) + 1):
            typed = wanted[:end]
            shown = sum(typed in name for name in names)
            screen.forget()
            begun = time.perf_counter()
            screen.process.write(typed[-1:].encode())
            await screen.until(rf"sandboxes {shown}/{size} /{typed} ".encode(), 10)
            took.append(time.perf_counter() - begun)
            await asyncio.sleep(0.1)
        screen.forget()
        screen.process.write(b"\x1b")
        await screen.until(rf"sandboxes {size} ".encode(), 10)
        await asyncio.sleep(0.5)
    return took


async def measure(size: int, home: Path) -> Figures:
    """All figures of one size, in a process of their own."""
    starts = [await start(size, home) for _ in range(STARTS)]
    async with program(code(size, home), home) as screen:
        await full(screen, size)
        await asyncio.sleep(SETTLE_S)
        process = psutil.Process(screen.process.pid)
        cpu = await idle_cpu(screen, CPU_S)
        memory = process.memory_info().rss / 1e6
        keys = await key_latency(screen)
        screen.process.write(b"g")
        await asyncio.sleep(0.5)
        filters = await filter_latency(screen, size)
        later = process.memory_info().rss / 1e6
    return Figures(at(starts, 0.5), cpu, memory, later, keys, filters)


async def floor(size: int, home: Path) -> tuple[float, float]:
    """CPU and memory of the fleet alone."""
    async with program(code(size, home, "bare"), home) as screen:
        await screen.until(b"sandboxes", 30)
        cpu = await idle_cpu(screen, CPU_S / 2)
        return cpu, psutil.Process(screen.process.pid).memory_info().rss / 1e6


def spread(took: Sequence[float]) -> str:
    """Percentiles in milliseconds."""
    return f"p50 {at(took, 0.5) * 1000:.0f}  p99 {at(took, 0.99) * 1000:.0f} ms"


def line(what: str, few: str, many: str, aim: str) -> None:
    """One figure of both sizes."""
    say(f"{what:<22}{few:>22}{many:>22}   {aim}")


async def run() -> None:
    """Measure both sizes and say it."""
    home = Path(tempfile.mkdtemp(prefix="wakedeck-bench-"))
    try:
        few, many = await measure(FEW, home), await measure(MANY, home)
        alone = await floor(MANY, home)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    line("sandboxes", f"{FEW}", f"{MANY}", f"over {SOURCES} sources, 1 % changing per second")
    line("key to paint", spread(few.keys), spread(many.keys), "aim p99 50 ms")
    line("filter to result", spread(few.filters), spread(many.filters), "aim 100 ms")
    line("CPU of a core", f"{few.cpu:.1f} %", f"{many.cpu:.1f} %", "aim 25 %")
    line("memory", f"{few.memory:.0f} MB", f"{many.memory:.0f} MB", "aim 250 MB")
    line("memory, all measured", f"{few.later:.0f} MB", f"{many.later:.0f} MB", "")
    line("start to full list", f"{few.start * 1000:.0f} ms", f"{many.start * 1000:.0f} ms", "")
    line("the fleet alone", "", f"{alone[0]:.1f} %, {alone[1]:.0f} MB", "part of the above")


def main() -> None:
    """Takes about two minutes."""
    asyncio.run(run())


if __name__ == "__main__":
    main()
