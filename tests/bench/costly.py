"""The ten sequences that cost most, for each cell of work and for each byte, beside plain text.

A cell of work is what the emulator's own count calls one; what counts fewer cells than it has bytes
is told by bytes alone.
"""

from __future__ import annotations

import sys
from time import process_time

from services.terminal.emulator import Emulator
from services.terminal.emulator.dispatch import CONTROL_SEQUENCES, CONTROLS, ESCAPES

COLUMNS, LINES = 200, 60
PIECE = 64 * 1024
SHOWN = 10
C = "\x1b["
TEXT = b"2026-01-01 request 4711 done in 12 ms by worker seven of the pool\r\n"
FULL = "".join(f"{C}{y + 1};1H" + "x" * COLUMNS for y in range(LINES))
GRID = FULL + "".join(f"{C}{y + 1};3Hy" for y in range(LINES))
STATES = {
    "grid": GRID,
    "protected": f'{C}1"q{FULL}{C}0"q',
    "every other cell protected": "".join(
        f"{C}{y + 1};1H" + f'{C}1"qx{C}0"qy' * (COLUMNS // 2) for y in range(LINES)
    ),
    "wide cells": "".join(f"{C}{y + 1};1H" + "漢" * (COLUMNS // 2) for y in range(LINES)),
    "side margins": f"{GRID}{C}?69h{C}2;199s",
    "two columns between margins": f"{GRID}{C}?69h{C}2;3s",
    "insert mode": f"{GRID}{C}4h",
}
PLACE = f"{C}30;100H"
PARAMETERS = ("", "2", "99", "999;999", ";;;;2;2", ";;;;7", "65;;;", "1;1;60;200;1;2;2")


def sequences() -> dict[str, str]:
    """Every sequence that is obeyed, with its parameters, and the handler it goes to."""
    found = {char: handler.__name__ for char, handler in CONTROLS.items()}
    found |= {"\x1b" + key: handler.__name__ for key, handler in ESCAPES.items()}
    for key, (handler, _) in CONTROL_SEQUENCES.items():
        marker = key[:1] if key[0] in "<=>?" else ""
        for words in PARAMETERS:
            found[C + marker + words + key[len(marker) :]] = handler.__name__
    return found | {"x" + C + "9999b": "repeat", C + "\n": "a control in a sequence"}


def measure(state: str, sent: bytes, passes: int = 24) -> tuple[float, float, float]:
    """What a byte costs, what a cell of work does, and the longest slice of a flood of it."""
    emulator = Emulator(COLUMNS, LINES, lambda _: None)
    emulator.feed((state + PLACE).encode())
    counted = emulator._screen.cost
    began = process_time()
    emulator.feed(sent * passes, 16 * 1024)
    longest = now = process_time() - began
    while emulator.unparsed:
        before = now
        emulator.feed(b"", 16 * 1024)
        now = process_time() - began
        longest = max(longest, now - before)
    cells = emulator._screen.cost - counted
    return now / (len(sent) * passes), now / max(cells, 1), longest


def main() -> None:
    """Print them."""
    plain = min(measure("", TEXT, 1000)[0] for _ in range(3))
    found = []
    for state, before in STATES.items():
        for sent, name in sequences().items():
            byte, cell, longest = measure(before, sent.encode())
            # The shortest of three: what the machine did meanwhile is not the sequence's.
            if byte > cell > plain * 10:
                again = (measure(before, sent.encode()) for _ in range(2))
                byte, cell, longest = min((byte, cell, longest), *again)
            found.append((byte, cell, longest, name, sent, state))
    write = sys.stdout.write
    write(f"{COLUMNS}x{LINES}; 64 KiB of plain text: {plain * PIECE * 1000:.2f} ms\n")
    for title, key in (("by cells of work", 1), ("by bytes", 0)):
        write(f"\n{title:28}{'sent':24}{'64 KiB':>9}{'x a byte':>9}{'x a cell':>9}{'slice':>9}\n")
        worst: dict[str, tuple[float, float, float, str, str, str]] = {}
        counted = [row for row in found if row[0] > row[1] or key == 0]
        for row in sorted(counted, key=lambda row: -float(row[key])):
            worst.setdefault(row[3], row)
        for byte, cell, longest, name, sent, state in list(worst.values())[:SHOWN]:
            write(
                f"{name:28}{sent.encode()!r:24}{byte * PIECE:7.2f} s{byte / plain:9.0f}"
                f"{cell / plain:9.1f}{longest * 1000:6.1f} ms  {state}\n"
            )


if __name__ == "__main__":
    main()
