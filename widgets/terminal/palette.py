"""The colours of a terminal: 256 of a palette, two defaults, the cursor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rich.terminal_theme import TerminalTheme

from services.terminal.cells import RGB, Colour

FOREGROUND, BACKGROUND, CURSOR = 256, 257, 258
"""Keys of `TerminalScreen.colours` past the palette."""

_LEVELS = (0, 95, 135, 175, 215, 255)
CUBE = tuple(
    red << 16 | green << 8 | blue for red in _LEVELS for green in _LEVELS for blue in _LEVELS
)
"""Palette entries 16-231."""
GREYS = tuple((8 + 10 * step) * 0x10101 for step in range(24))
"""Palette entries 232-255."""


@dataclass(frozen=True, slots=True, eq=False)
class Palette:
    """Every colour as 0xRRGGBB; compared by identity, so what was drawn with it can name it."""

    colours: tuple[int, ...]
    """The 256, then foreground, background, cursor."""
    native: bool = False
    """Leave defaults and the first sixteen to the operator's own terminal."""

    def resolve(self, colour: Colour, default: int) -> int:
        """The colour as 0xRRGGBB; `default` is the index that stands for -1."""
        if colour >= RGB:
            return colour & 0xFFFFFF
        return self.colours[colour if 0 <= colour < 256 else default]

    def reversed(self) -> Palette:
        """With the defaults exchanged (DECSCNM)."""
        entries = list(self.colours)
        entries[FOREGROUND], entries[BACKGROUND] = entries[BACKGROUND], entries[FOREGROUND]
        return replace(self, colours=tuple(entries))

    def overridden(self, colours: Mapping[int, int]) -> Palette:
        """With what the program set by OSC 4, 10, 11, 12."""
        entries = list(self.colours)
        for index, value in colours.items():
            if 0 <= index < len(entries):
                entries[index] = value & 0xFFFFFF
        return replace(self, colours=tuple(entries))


def palette_of(
    theme: TerminalTheme, foreground: int, background: int, cursor: int, native: bool = False
) -> Palette:
    """The palette of a theme: its sixteen, the cube, the greys, and the pane's own colours."""
    sixteen = tuple(
        red << 16 | green << 8 | blue
        for red, green, blue in map(theme.ansi_colors.__getitem__, range(16))
    )
    return Palette((*sixteen, *CUBE, *GREYS, foreground, background, cursor), native)


def blend(colour: int, other: int, part: float) -> int:
    """`colour` with `part` (0 to 1) of it replaced by `other`."""
    mixed = 0
    for shift in (16, 8, 0):
        one, two = colour >> shift & 0xFF, other >> shift & 0xFF
        mixed |= round(one + (two - one) * part) << shift
    return mixed
