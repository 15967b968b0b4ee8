"""The panel as its user has it: a real process on a real terminal, beside a bare Textual app.

Prints time to the first painted frame, idle CPU, key-to-paint latency and memory over time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil

from services.terminal.transport.pty import PtyProcess

ROOT = Path(__file__).resolve().parents[2]
COLUMNS, LINES = 160, 45
PANEL = "from wakedeck import main; main()"
BARE = (
    "from textual.app import App\n"
    "from textual.widgets import Static\n"
    "class Bare(App):\n"
    "    def compose(self):\n"
    "        self.line = Static('sandboxes')\n"
    "        yield self.line\n"
    "    def on_mount(self):\n"
    "        self.set_interval(1.0, lambda: self.line.update(str(self.size)))\n"
    "Bare().run()\n"
)
ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|.)")
NAMES = (b"data-pull", b"inbox-triage", b"night-watch", b"release-notes")
ROUNDS = 5
IDLE_S = 30.0
KEYS = 200


class Screen:
    """A program on a terminal, and what it has painted."""

    def __init__(self, process: PtyProcess) -> None:
        self.process = process
        self.painted = bytearray()
        self.ended = False
        self._more = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while data := await self.process.read():
            self.painted += data
            del self.painted[:-1_000_000]
            self._more.set()
        self.ended = True
        self._more.set()

    async def until(self, pattern: bytes, seconds: float) -> None:
        """Wait until this has been painted since the last `forget`."""
        async with asyncio.timeout(seconds):
            while not re.search(pattern, ESCAPES.sub(b"", bytes(self.painted))):
                assert not self.ended, "the program ended"
                self._more.clear()
                await self._more.wait()

    def forget(self) -> None:
        self.painted.clear()

    async def close(self) -> None:
        await self.process.terminate()
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)


@contextlib.asynccontextmanager
async def program(code: str, home: Path) -> AsyncIterator[Screen]:
    """Run Python code on a terminal of its own, in an empty home."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
    }
    process = await PtyProcess.start(
        [sys.executable, "-c", code], env=env, cwd=ROOT, columns=COLUMNS, lines=LINES
    )
    screen = Screen(process)
    try:
        yield screen
    finally:
        await screen.close()


async def first_frame(code: str, home: Path) -> float:
    """Seconds from the start of the process to the first painted frame."""
    begun = time.perf_counter()
    async with program(code, home) as screen:
        await screen.until(b"sandboxes", 30)
        return time.perf_counter() - begun


async def idle_cpu(screen: Screen, seconds: float) -> float:
    """Share of one core, in percent."""
    process = psutil.Process(screen.process.pid)
    before = sum(process.cpu_times()[:2])
    await asyncio.sleep(seconds)
    return (sum(process.cpu_times()[:2]) - before) / seconds * 100


async def key_latency(screen: Screen, keys: int) -> list[float]:
    """Seconds from a key's byte to its effect being painted, while everything ticks."""
    took: list[float] = []
    for number in range(keys):
        at, down = number % 6, number % 6 < 3
        name = NAMES[at + 1] if down else NAMES[5 - at]
        screen.forget()
        begun = time.perf_counter()
        screen.process.write(b"j" if down else b"k")
        await screen.until("›".encode() + rb".{0,40}?" + name, 5)
        took.append(time.perf_counter() - begun)
        await asyncio.sleep(0.05 + (number % 7) * 0.01)
    return took


def say(line: str) -> None:
    print(line, flush=True)


async def run(minutes: float) -> None:
    """Measure everything and say it."""
    home = Path(tempfile.mkdtemp(prefix="wakedeck-bench-"))
    try:
        frames: dict[str, list[float]] = {"bare": [], "panel": []}
        for _ in range(ROUNDS):
            frames["bare"].append(await first_frame(BARE, home))
            frames["panel"].append(await first_frame(PANEL, home))
            await asyncio.sleep(1.5)
        bare, panel = (statistics.median(frames[name]) for name in ("bare", "panel"))
        say(
            f"first frame   bare {bare * 1000:.0f} ms   panel {panel * 1000:.0f} ms   "
            f"ratio {panel / bare:.2f} (aim 1.5)"
        )
        async with program(PANEL, home) as screen, program(BARE, home) as floor:
            await screen.until(rb"release-notes", 30)
            await asyncio.sleep(10)
            mine, its = await asyncio.gather(idle_cpu(screen, IDLE_S), idle_cpu(floor, IDLE_S))
            say(
                f"idle CPU      bare {its:.2f} %   panel {mine:.2f} % of a core   "
                f"ratio {mine / max(its, 0.01):.1f} (aim 5)   load {os.getloadavg()[0]:.1f}"
            )
            took = sorted(await key_latency(screen, KEYS))
            say(
                f"key to paint  p50 {took[len(took) // 2] * 1000:.0f} ms   "
                f"p99 {took[int(len(took) * 0.99)] * 1000:.0f} ms   max {took[-1] * 1000:.0f} ms "
                "(aim p99 50)"
            )
            process = psutil.Process(screen.process.pid)
            begun = time.monotonic()
            early = process.memory_info().rss
            await asyncio.sleep(max(0.0, minutes * 60 - 60))
            late = process.memory_info().rss
            lived = (time.monotonic() - begun) / 60
            say(
                f"memory        after 1 min {early / 1e6:.1f} MB   "
                f"after {lived + 1:.0f} min {late / 1e6:.1f} MB   ratio {late / early:.3f}"
            )
    finally:
        shutil.rmtree(home, ignore_errors=True)


def main() -> None:
    """`BENCH_MINUTES` shortens the memory run (10 by default)."""
    asyncio.run(run(float(os.environ.get("BENCH_MINUTES", "10"))))


if __name__ == "__main__":
    main()
