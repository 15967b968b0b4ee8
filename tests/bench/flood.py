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
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.terminal.transport.pty import PtyProcess
from tests.bench import payloads
from tests.bench.panel import ROOT

COLUMNS, LINES = 200, 64
KEYS = 100
RESULTS_S = 20.0
CHORD = b"\x1d"
SETTLE_S = 1.0
INTERRUPTS = 10


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


def scheduled(pid: int) -> tuple[float, float]:
    """Seconds a process's main thread ran, and waited for a core, so far."""
    ran, waited, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
    return int(ran) / 1e9, int(waited) / 1e9


@asynccontextmanager
async def panel(home: Path, *programs: str, **environ: str) -> AsyncIterator[Painted]:
    """The panel with a shell for each program."""
    known = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
    }
    process = await PtyProcess.start(
        [sys.executable, "-m", "tests.bench.flood_panel", str(home / "results"), *programs],
        env=known | environ,
        cwd=ROOT,
        columns=COLUMNS,
        lines=LINES,
    )
    screen = Painted(process)
    try:
        yield screen
    finally:
        await screen.close()


async def flood(home: Path) -> None:
    """Lateness, frames and echoes of every phase."""
    source = shlex.join([sys.executable, "-m", "tests.bench.flood_source"])
    async with panel(home, source, source) as screen:
        await screen.until(b"(ready)", times=2)
        bench = Bench(screen, home / "results")
        print(f"{COLUMNS}x60, ms; aims: lag p99 10, echo p99 50 plain and 100 colour")
        print(f"{'':8}{'loop lag p50/p99/max':>21}{'ours p99/max':>14}{'frames/s':>9}", end="")
        print(f"{'echo p50/p99':>16}{'beside p50/p99':>16}")
        for name, key in (("idle", b"0"), ("log", b"1"), ("colour", b"2"), ("idle", b"0")):
            await bench.phase(name, key)


async def interrupts(home: Path) -> None:
    """How long from Ctrl-C until the shell's next prompt is painted, in floods of real programs."""
    for name, make in (("log", payloads.plain_log), ("colour", payloads.coloured)):
        (home / name).write_bytes(make(2_000_000) * 50)
    commands = {
        "sleep": "sleep 600",
        "yes": "yes",
        "log": f"while cat {shlex.quote(str(home / 'log'))}; do :; done",
        "colour": f"while cat {shlex.quote(str(home / 'colour'))}; do :; done",
        "random": "cat /dev/urandom",
    }
    # A full reset before each prompt: what random bytes switched on would hide it.
    prompt = r"\[\ec\]prompt-\#-here "
    async with panel(home, "bash --norc --noprofile -i", "sleep 9999", PS1=prompt) as screen:
        count = 1
        print("Ctrl-C to prompt, ms; aim 200; the panel ran, and waited for a core, of that")
        print(f"{'':8}{'p50':>8}{'worst':>8}{'ran':>8}{'waited':>8}")
        await screen.until(b"prompt-1-here")
        for name, command in commands.items():
            took, ran, waited = [], [], []
            for _ in range(INTERRUPTS):
                screen.process.write(command.encode() + b"\r")
                await asyncio.sleep(SETTLE_S)
                screen.forget()
                count += 1
                begun, before = time.perf_counter(), scheduled(screen.process.pid)
                screen.process.write(b"\x03")
                await screen.until(b"prompt-%d-here" % count)
                took.append(time.perf_counter() - begun)
                after = scheduled(screen.process.pid)
                ran.append(after[0] - before[0])
                waited.append(after[1] - before[1])
            print(f"{name:8}{quantile(took, 0.5):8.0f}{max(took) * 1000:8.0f}", end="")
            print(f"{quantile(ran, 0.5):8.0f}{quantile(waited, 0.5):8.0f}", flush=True)


def main() -> None:
    """Run it."""
    home = Path(tempfile.mkdtemp(prefix="wakedeck-bench-"))
    try:
        asyncio.run(flood(home))
        asyncio.run(interrupts(home))
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
