"""Terminal throughput, side by side in one interleaved run (upstream/terminal: Measuring).

`python -m tests.bench.terminal` prints megabytes (10⁶) a second of processor time and ratios: what
else runs on the machine then counts little. Its speed wanders: the ratios are what counts.
"""

from __future__ import annotations

import gc
import importlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyte

from services.terminal.emulator import Emulator
from tests.bench import payloads

COLUMNS, LINES = 80, 24
CHUNK = 65_536
SIZE = 3_000_000
ROUNDS = 3
VISIT = 0.4
"""Seconds an emulator is fed for, each time its turn comes."""

Feed = Callable[[bytes], object]
_CHILD = """
import os, sys, termios, time, tty
data = open(sys.argv[1], "rb").read()
tty.setraw(0)
while not os.path.exists(sys.argv[2] + ".go"):
    time.sleep(0.01)
out = memoryview(data)
while out:
    out = out[os.write(1, out[:65536]):]
os.write(1, b"\\x1b[6n")
answer = b""
while not answer.endswith(b"R"):
    answer += os.read(0, 64)
open(sys.argv[2], "w").close()
time.sleep(60)
"""


def ours() -> Feed:
    """The emulator of this house, history included."""
    return Emulator(COLUMNS, LINES).feed


def stock() -> Feed:
    """pyte as it comes, without history; what it raises loses it the rest of a chunk."""
    stream = pyte.ByteStream(pyte.Screen(COLUMNS, LINES))

    def feed(data: bytes) -> None:
        try:
            stream.feed(data)
        except Exception:  # On sequences pyte half knows (upstream/terminal: What pyte lacks).
            pass

    return feed


def bittty() -> Feed | None:
    """bittty, where it is installed."""
    try:
        module = importlib.import_module("bittty")
    except ImportError:
        return None
    feed: Feed = module.Board(width=COLUMNS, height=LINES).feed_host_data
    return feed


def visit(feed: Feed, chunks: list[bytes]) -> float:
    """MB/s over at least one visit's time."""
    done = 0
    started = time.process_time()
    while True:
        for chunk in chunks:
            feed(chunk)
            done += len(chunk)
            elapsed = time.process_time() - started
            if elapsed > VISIT:
                return done / elapsed / 1e6


def processor_seconds(pid: int) -> float:
    """What a process of one thread has used so far."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def tmux(data: bytes) -> float | None:
    """MB/s of a tmux server, written to on its own pty, until it answers a status report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "payload").write_bytes(data)
        (folder / "child.py").write_text(_CHILD)
        command = ["tmux", "-S", str(folder / "socket"), "-f", "/dev/null"]
        result = folder / "done"
        inside = [sys.executable, str(folder / "child.py"), str(folder / "payload"), str(result)]
        try:
            size = ["-x", str(COLUMNS), "-y", str(LINES)]
            subprocess.run(
                [*command, "new-session", "-d", *size, *inside], check=True, capture_output=True
            )
            asked = [*command, "display-message", "-p", "#{pid}"]
            server = int(subprocess.run(asked, check=True, capture_output=True).stdout)
            before = processor_seconds(server)
            (folder / "done.go").touch()
            deadline = time.monotonic() + 60
            while not result.exists():
                if time.monotonic() > deadline:
                    return None
                time.sleep(0.02)
            return len(data) / (processor_seconds(server) - before) / 1e6
        except (subprocess.CalledProcessError, OSError):
            return None
        finally:
            subprocess.run([*command, "kill-server"], check=False, capture_output=True)


def all_payloads() -> dict[str, bytes]:
    """The generated payloads and the recordings, each long enough to time."""
    found = {name: make(SIZE) for name, make in payloads.GENERATED.items()}
    for name, data in payloads.recordings().items():
        found[f"recorded {name}"] = data * max(1, SIZE // 3 // len(data))
    return found


def measure(data: bytes, with_tmux: bool) -> dict[str, float]:
    """Median MB/s of every candidate, visited in turn."""
    chunks = [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)]
    small = [data[at : at + 4096] for at in range(0, min(len(data), 400_000), 4096)]
    makers = {"ours": ours, "pyte": stock, "bittty": bittty}
    rates: dict[str, list[float]] = {name: [] for name in (*makers, "tmux")}
    for _ in range(ROUNDS):
        for name, make in makers.items():
            feed = make()
            if feed is not None:
                rates[name].append(visit(feed, chunks if name == "ours" else small))
        if with_tmux:
            rate = tmux(data)
            if rate is not None:
                rates["tmux"].append(rate)
    return {name: statistics.median(found) for name, found in rates.items() if found}


def main() -> None:
    """Print the table."""
    with_tmux = shutil.which("tmux") is not None
    if not with_tmux:
        print("tmux is not installed: left out")
    if bittty() is None:
        print("bittty is not installed: left out")
    print(f"{COLUMNS}x{LINES}, {CHUNK // 1024} KiB chunks, MB/s, median of {ROUNDS} rounds")
    print(f"{'':16}{'ours':>8}{'pyte':>8}{'tmux':>8}{'bittty':>8}{'x pyte':>9}{'x tmux':>9}")
    for name, data in all_payloads().items():
        gc.collect()
        rate = measure(data, with_tmux)
        cells = "".join(
            f"{rate[key]:8.2f}" if key in rate else f"{'-':>8}"
            for key in ("ours", "pyte", "tmux", "bittty")
        )
        ratios = "".join(
            f"{rate['ours'] / rate[key]:9.2f}" if key in rate else f"{'-':>9}"
            for key in ("pyte", "tmux")
        )
        print(f"{name:16}{cells}{ratios}", flush=True)


if __name__ == "__main__":
    main()
