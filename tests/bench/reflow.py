"""A scrollback of 10 000 lines at another width: all at once, and the longest of its slices."""

from __future__ import annotations

import gc
import sys
from time import process_time

from services.terminal.emulator import Emulator

LINES, HISTORY = 60, 10_000
BUDGET = 16 * 1024
WIDTHS = ((200, 80), (80, 200), (80, 79), (200, 20))
SENT = {
    "short": b"word word word\r\n",
    "log": b"2026-01-01 request 4711 done in 12 ms by worker seven of the pool, again\r\n",
    "coloured": "\x1b[31mred\x1b[m and \x1b[7mwide 漢字\x1b[m in \x1b[32mcolour\x1b[m\r\n".encode(),
    "marked": b"\x1b]133;A\x07$ \x1b]133;B\x07ls\r\n\x1b]133;C\x07some words\r\n\x1b]133;D\x07",
    "wrapped": b"x" * 390 + b"\r\n",
    "one line": b"y" * 997,
}


def filled(columns: int, sent: bytes) -> Emulator:
    """An emulator whose scrollback is full."""
    emulator = Emulator(columns, LINES, history=HISTORY)
    while emulator.history_size < HISTORY:
        emulator.feed(sent * 200)
    return emulator


def main() -> None:
    """Print them; the collector waits, as it does in the panel."""
    write = sys.stdout.write
    write(
        f"{'lines':10}{'columns':>11}{'at once':>10}{'resize':>9}{'slices':>8}{'longest':>9}  ms\n"
    )
    gc.disable()
    for name, sent in SENT.items():
        for before, after in WIDTHS:
            whole, sliced = filled(before, sent), filled(before, sent)
            began = process_time()
            whole.resize(after, LINES)
            at_once = process_time() - began
            began = process_time()
            sliced.resize(after, LINES, sliced=True)
            first, longest, slices = process_time() - began, 0.0, 0
            while sliced.unreflowed:
                began = process_time()
                sliced.feed(b"", BUDGET)
                longest = max(longest, process_time() - began)
                slices += 1
            write(
                f"{name:10}{before:>6} →{after:>3}{at_once * 1e3:10.1f}{first * 1e3:9.2f}"
                f"{slices:8}{longest * 1e3:9.2f}\n"
            )
            del whole, sliced
            gc.collect()


if __name__ == "__main__":
    main()
