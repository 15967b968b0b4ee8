"""The panel on 10 000 sandboxes over five sources, one in a hundred changing each second.

A real process on a real terminal, as in `tests.bench.panel`, beside the same panel on 100
sandboxes in the same run, and beside the fleet alone with nobody looking.
"""

from __future__ import annotations

import asyncio
import os
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
ROUNDS = 8
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


class Typist:
    """Whoever types into one of the panels, and how long each key took."""

    def __init__(self, screen: Screen, size: int) -> None:
        self.screen = screen
        self.keys: list[float] = []
        self.filters: list[float] = []
        self._size = size
        self._row = 0

    async def move(self, keys: int) -> None:
        """From a key's byte to the cursor painted on the next row, while all else goes on."""
        for number in range(keys):
            # Down the list for a while and half of it back: rows scroll in and out of sight.
            down = len(self.keys) % 60 < 40
            self._row += 1 if down else -1
            wanted = "›".encode() + rb".{0,40}?" + name_of(self._row).encode()
            self.keys.append(await self._painted(b"j" if down else b"k", wanted))
            await asyncio.sleep(0.05 + (number % 7) * 0.013)

    async def filter(self, number: int) -> None:
        """From each letter of a filter to the title that counts what is left."""
        names = [name_of(at) for at in range(self._size)]
        wanted = name_of((number * 1877 + 42) % self._size)
        self.screen.process.write(b"/")
        await asyncio.sleep(0.5)
        for end in range(1, len(wanted) + 1):
            typed = wanted[:end]
            shown = sum(typed in name for name in names)
            title = rf"sandboxes {shown}/{self._size} /{typed} ".encode()
            self.filters.append(await self._painted(typed[-1:].encode(), title))
            await asyncio.sleep(0.1)
        await self._painted(b"\x1b", rf"sandboxes {self._size} ".encode())
        await asyncio.sleep(0.5)

    async def _painted(self, key: bytes, wanted: bytes) -> float:
        self.screen.forget()
        begun = time.perf_counter()
        self.screen.process.write(key)
        await self.screen.until(wanted, 10)
        return time.perf_counter() - begun


async def measure(home: Path) -> list[Figures]:
    """Both sizes in processes of their own, by turns: what else the machine does hits both."""
    starts: dict[int, list[float]] = {FEW: [], MANY: []}
    for size in (FEW, MANY) * STARTS:
        starts[size].append(await start(size, home))
    async with program(code(FEW, home), home) as few, program(code(MANY, home), home) as many:
        typists = [Typist(few, FEW), Typist(many, MANY)]
        await asyncio.gather(full(few, FEW), full(many, MANY))
        await asyncio.sleep(SETTLE_S)
        cpu = await asyncio.gather(idle_cpu(few, CPU_S), idle_cpu(many, CPU_S))
        early = [memory(few), memory(many)]
        for turn in range(2 * ROUNDS):
            await typists[turn % 2].move(KEYS // ROUNDS)
        for typist in typists:
            typist.screen.process.write(b"g")
        await asyncio.sleep(0.5)
        for turn in range(2 * FILTERS):
            await typists[turn % 2].filter(turn // 2)
        late = [memory(few), memory(many)]
    return [
        Figures(at(starts[size], 0.5), cpu[i], early[i], late[i], one.keys, one.filters)
        for i, (size, one) in enumerate(zip((FEW, MANY), typists, strict=True))
    ]


def memory(screen: Screen) -> float:
    """Resident memory of a program in MB."""
    return float(psutil.Process(screen.process.pid).memory_info().rss) / 1e6


async def floor(size: int, home: Path) -> tuple[float, float]:
    """CPU and memory of the fleet alone."""
    async with program(code(size, home, "bare"), home) as screen:
        await screen.until(b"sandboxes", 30)
        cpu = await idle_cpu(screen, CPU_S / 2)
        return cpu, memory(screen)


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
        few, many = await measure(home)
        alone = await floor(MANY, home)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    line("sandboxes", f"{FEW}", f"{MANY}", f"over {SOURCES} sources, 1 % changing per second")
    for what, one, other in (
        ("key to paint", few.keys, many.keys),
        ("filter to result", few.filters, many.filters),
    ):
        ratio = f"p99 {at(other, 0.99) / at(one, 0.99):.1f}x (aim 1.3x)"
        line(what, spread(one), spread(other), ratio)
    line(
        "CPU of a core",
        f"{few.cpu:.1f} %",
        f"{many.cpu:.1f} %",
        f"{many.cpu / few.cpu:.1f}x (aim 2x)",
    )
    line("memory", f"{few.memory:.0f} MB", f"{many.memory:.0f} MB", "aim 100 MB in all")
    line("memory, all measured", f"{few.later:.0f} MB", f"{many.later:.0f} MB", "")
    line("start to full list", f"{few.start * 1000:.0f} ms", f"{many.start * 1000:.0f} ms", "")
    line("load of the machine", "", f"{os.getloadavg()[0]:.1f} of {os.cpu_count()}", "1 min")
    line("the fleet alone", "", f"{alone[0]:.1f} %, {alone[1]:.0f} MB", "part of the above")


def main() -> None:
    """Takes about three minutes."""
    asyncio.run(run())


if __name__ == "__main__":
    main()
