"""The terminal under a flood, as its user has it: on a real terminal, keys in and cells out.

Prints, beside the same without a flood in the same run: how late the event loop is, frames a
second, and how long a key takes to show in the flooded shell and in another one beside it.
Three processes want the processor at once: `ours` is lateness the panel's own work can explain, the
rest is waiting for a core.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from services.terminal.transport.pty import PtyProcess
from tests.bench.panel import ROOT

COLUMNS, LINES = 200, 64
KEYS = 100
RESULTS_S = 20.0
CHORD = b"\x1d"
SETTLE_S = 1.0


def quantile(values: list[float], part: float) -> float:
    """In milliseconds."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)] * 1000


class Painted:
    """What the panel has painted since the last key; reading it costs little even in a flood."""

    def __init__(self, process: PtyProcess) -> None:
        self.process = process
        self._painted = bytearray()
        self._more = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while data := await self.process.read():
            self._painted += data
            self._more.set()

    async def until(self, text: bytes, times: int = 1, seconds: float = 30) -> None:
        """Wait for a text that is painted in one piece."""
        at = 0
        async with asyncio.timeout(seconds):
            while times:
                found = self._painted.find(text, at)
                if found >= 0:
                    times, at = times - 1, found + 1
                    continue
                at = max(at, len(self._painted) - len(text))
                self._more.clear()
                await self._more.wait()

    def forget(self) -> None:
        self._painted.clear()

    async def close(self) -> None:
        await self.process.terminate()
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)


class Bench:
    """One panel on one terminal."""

    def __init__(self, screen: Painted, results: Path) -> None:
        self._screen = screen
        self._results = results
        self._keys = [0, 0]
        self._reports = 0
        self._front = 0

    async def press(self, key: bytes) -> float:
        """Seconds until the shell in front has answered on the screen."""
        self._keys[self._front] += 1
        answer = b"(%d)" % self._keys[self._front]
        self._screen.forget()
        begun = time.perf_counter()
        self._screen.process.write(key)
        await self._screen.until(answer)
        return time.perf_counter() - begun

    async def change(self) -> None:
        """The other shell in front."""
        self._screen.process.write(CHORD)
        self._front = 1 - self._front
        await asyncio.sleep(0.3)

    async def report(self) -> dict[str, object]:
        """What the panel measured since the last time."""
        self._reports += 1
        os.kill(self._screen.process.pid, signal.SIGUSR1)
        async with asyncio.timeout(RESULTS_S):
            while True:
                lines = self._results.read_text().splitlines() if self._results.exists() else []
                if len(lines) >= self._reports:
                    found: dict[str, object] = json.loads(lines[-1])
                    return found
                await asyncio.sleep(0.05)

    async def echoes(self) -> list[float]:
        took = []
        for number in range(KEYS):
            took.append(await self.press(b"x"))
            await asyncio.sleep(0.02 + number % 5 * 0.006)
        return took

    async def phase(self, name: str, key: bytes) -> None:
        """One kind of flood, or none; says what it did to everything."""
        await self.press(key)
        await asyncio.sleep(SETTLE_S)
        await self.report()
        own = await self.echoes()
        await self.change()
        other = await self.echoes()
        await self.change()
        found = await self.report()
        lags: list[float] = found["lags"]  # type: ignore[assignment]
        mine: list[float] = found["own"]  # type: ignore[assignment]
        print(
            f"{name:8}{quantile(lags, 0.5):7.1f}{quantile(lags, 0.99):7.1f}{max(lags) * 1000:7.1f}"
            f"{quantile(mine, 0.99):8.1f}{max(mine) * 1000:6.1f}"
            f"{found['frames']:9.0f}{quantile(own, 0.5):9.0f}{quantile(own, 0.99):7.0f}"
            f"{quantile(other, 0.5):9.0f}{quantile(other, 0.99):7.0f}",
            flush=True,
        )
        await self.press(b"0")


async def run() -> None:
    """Measure every phase."""
    home = Path(tempfile.mkdtemp(prefix="wakedeck-bench-"))
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
    }
    results = home / "results"
    process = await PtyProcess.start(
        [sys.executable, "-m", "tests.bench.flood_panel", str(results)],
        env=environ,
        cwd=ROOT,
        columns=COLUMNS,
        lines=LINES,
    )
    screen = Painted(process)
    try:
        await screen.until(b"(ready)", times=2)
        bench = Bench(screen, results)
        print(f"{COLUMNS}x60, ms; aims: lag p99 10, echo p99 50 plain and 100 colour")
        print(f"{'':8}{'loop lag p50/p99/max':>21}{'ours p99/max':>14}{'frames/s':>9}", end="")
        print(f"{'echo p50/p99':>16}{'beside p50/p99':>16}")
        for name, key in (("idle", b"0"), ("log", b"1"), ("colour", b"2"), ("idle", b"0")):
            await bench.phase(name, key)
    finally:
        await screen.close()
        shutil.rmtree(home, ignore_errors=True)


def main() -> None:
    """Run it."""
    asyncio.run(run())


if __name__ == "__main__":
    main()
