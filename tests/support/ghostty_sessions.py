"""Random sessions in this emulator and in libghostty: `python -m tests.support.ghostty_sessions N`.

The sessions hold what programs send: well-formed sequences with the parameters they take, text,
margins, tabs and both screens. What the two are known to take differently is left out; each such
thing is a row in docs/terminal.md.
"""

from __future__ import annotations

import importlib
import random
import sys
import unicodedata
from collections.abc import Callable
from typing import Any, TypeAlias

from services.terminal.emulator import Emulator

Screen: TypeAlias = tuple[list[str], tuple[int, int]]
"""Rows without trailing blanks, and the column and line of the cursor."""

SIZES = ((10, 4), (20, 6), (40, 8), (80, 24))
CLUSTERS = "\x1b[?2027h"
"""libghostty counts clusters as one cell only in this mode."""
ASCII = ("a", "Hello, world", "x" * 30, "  ", "ls -l", "0123456789" * 3, "y" * 45, "~", "#1")
WIDE = ("日本語", "a漢b字", "n\u0303o", "👩‍💻", "한글", "┌─┐│", "é", "ｶ", "漢" * 12)
CONTROLS = ("\r\n", "\r\n", "\r\n", "\n", "\r", "\a", "\v", "\f")
ESCAPES = ("\x1b7", "\x1b8", "\x1bD", "\x1bE", "\r\x1bM", "\x1bH", "\x1b=", "\x1b>")
CHARSETS = ("\x1b(0", "\x1b(B", "\x1b)0", "\x0e", "\x0f")
COUNTED = (*"ABCEF", "@", "P", "L", "M", "S", "T", "X", "Z")
PLACES = ("G", "d", "a", "`", "e")
ERASURES = ("J", "1J", "2J", "3J", "K", "1K", "2K", "0g", "3g")
STYLES = ("m", "1m", "31m", "0m", "42;1m", "7m", "38;5;208m", "48;2;1;2;3m", "4:3m")
MODES = ("?25l", "?25h", "?5h", "?5l", "?2004h", "?1h")


class Session:
    """Makes the pieces of one session; what it may hold is chosen once."""

    def __init__(self, seed: int) -> None:
        self._chance = chance = random.Random(seed)
        self.columns, self.lines = chance.choice(SIZES)
        self._margins, self._origin, insert, drawing = (chance.random() < 0.3 for _ in range(4))
        plain = self._margins or insert or drawing or chance.random() < 0.3
        self._alternate_mode = chance.choice((47, 1047, 1049))
        self._on_alternate = False
        self._makers: list[tuple[int, Callable[[], str]]] = [
            (30, lambda: chance.choice(ASCII if plain else (*ASCII, *WIDE))),
            (15, lambda: chance.choice(CONTROLS)),
            (7, lambda: chance.choice(ESCAPES)),
            (1, self._reset),
            (6, self._position),
            (5, self._region),
            (6, lambda: f"\x1b[{chance.choice(ERASURES)}"),
            (6, lambda: f"\x1b[{chance.choice(STYLES)}"),
            (3, lambda: f"\x1b[{chance.choice(MODES)}"),
            (3, self._switch),
            (14, lambda: self._counted(COUNTED)),
        ]
        if drawing:
            self._makers.append((4, lambda: chance.choice(CHARSETS)))
        elif plain:
            self._makers.append((2, lambda: self._counted(("b",))))
        if plain:
            self._makers.append((2, lambda: chance.choice(("\x1b[?7l", "\x1b[?7h"))))
        if insert:
            self._makers.append((3, lambda: chance.choice(("\x1b[4h", "\x1b[4l"))))
        if self._margins:
            self._makers.append((5, self._side_margins))
        else:
            self._makers.append((4, lambda: chance.choice(("\t", "\t\t", "\x1b[I", "\x1b[3I"))))
            self._makers.append((4, lambda: chance.choice(("\b", "\b\b\b", "\x1b[D", "\x1b[5D"))))
        if self._origin:
            self._makers.append((4, lambda: chance.choice(("\x1b[?6h", "\x1b[?6l"))))
        else:
            self._makers.append((4, lambda: self._counted(PLACES)))

    def pieces(self, length: int) -> list[str]:
        """So many things a program sends."""
        weights = [weight for weight, _ in self._makers]
        makers = [maker for _, maker in self._makers]
        first = ["\x1b[?69h"] if self._margins else []
        return first + [make() for make in self._chance.choices(makers, weights, k=length)]

    def _counted(self, finals: tuple[str, ...]) -> str:
        count = self._chance.choice(("", 1, 2, 3, 5, 8, 40))
        return f"\x1b[{count}{self._chance.choice(finals)}"

    def _position(self) -> str:
        line, column = (self._chance.randint(1, size + 1) for size in (self.lines, self.columns))
        return f"\x1b[{self._chance.choice(('', line))};{column}{self._chance.choice('HHHf')}"

    def _region(self) -> str:
        top = self._chance.randint(1, self.lines)
        bottom = self._chance.randint(top, self.lines)
        return self._chance.choice(("\x1b[r", f"\x1b[{top};{bottom}r"))

    def _side_margins(self) -> str:
        left = self._chance.randint(1, self.columns)
        return f"\x1b[{left};{self._chance.randint(left, self.columns)}s"

    def _switch(self) -> str:
        self._on_alternate = not self._on_alternate
        return f"\r\x1b[?{self._alternate_mode}{'h' if self._on_alternate else 'l'}"

    def _reset(self) -> str:
        self._on_alternate = False
        return "\x1bc" + CLUSTERS + ("\x1b[?69h" if self._margins else "")


def session(seed: int, length: int = 40) -> tuple[list[str], int, int]:
    """The pieces of a session, and the columns and lines of its screen."""
    made = Session(seed)
    return made.pieces(length), made.columns, made.lines


def settled(rows: list[str], lines: int) -> list[str]:
    """Rows without trailing blanks, composed."""
    kept = [unicodedata.normalize("NFC", row.rstrip()) for row in rows]
    return (kept + [""] * lines)[:lines]


def ours(data: bytes, columns: int, lines: int) -> Screen:
    """What this emulator shows."""
    emulator = Emulator(columns, lines)
    emulator.feed(data)
    return settled(emulator.display, lines), (emulator.cursor.column, emulator.cursor.line)


def theirs(data: bytes, columns: int, lines: int) -> Screen:
    """What libghostty shows."""
    ghostty: Any = importlib.import_module("pyghostty")
    with ghostty.Terminal(columns, lines) as terminal:
        terminal.feed(CLUSTERS.encode() + data)
        return settled(terminal.text().split("\n"), lines), terminal.cursor


def differ(parts: list[str], columns: int, lines: int) -> bool:
    """Whether the two show different things after these pieces."""
    data = "".join(parts).encode()
    return ours(data, columns, lines) != theirs(data, columns, lines)


def shortest(parts: list[str], columns: int, lines: int) -> list[str]:
    """As few of the pieces as still differ; the first, which may set a mode for all, stays."""
    size = len(parts) // 2
    while size:
        at = 1
        while at < len(parts):
            fewer = parts[:at] + parts[at + size :]
            if differ(fewer, columns, lines):
                parts = fewer
            else:
                at += size
        size //= 2
    return parts


def main(words: list[str]) -> int:
    """Print the sessions that differ, each cut down, and how many; the first seed may follow."""
    count, first = int(words[0]), int(words[1]) if words[1:] else 0
    different = 0
    for seed in range(first, first + count):
        parts, columns, lines = session(seed)
        if differ(parts, columns, lines):
            different += 1
            fewer = shortest(parts, columns, lines)
            sys.stdout.write(f"seed {seed}, {columns}x{lines}: {fewer}\n")
    sys.stdout.write(f"{different} of {count} sessions differ\n")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
