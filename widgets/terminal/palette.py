"""The colours of a terminal: 256 of a palette, two defaults, the cursor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from services.lazy_dataclass import dataclass
from services.terminal.cells import BACKGROUND, EXTENDED_COLOURS, FOREGROUND, RGB, Colour

# fmt: off
DARK = (
    0x2A2D33, 0xE5606A, 0x7FC06E, 0xDDB458, 0x5FA2EE, 0xC583E0, 0x4FBDC7, 0xCDD0D6,
    0x7A808C, 0xFF8790, 0xA3E08F, 0xF7D47E, 0x8CC0FF, 0xDEA6F4, 0x7FDDE6, 0xFFFFFF,
)
"""Palette entries 0-15 on a dark background: every two of them tell apart."""
LIGHT = (
    0x24272C, 0xB5303B, 0x2F7D32, 0x8A6300, 0x1F5FBF, 0x8A3BA8, 0x0F7480, 0x868C96,
    0x5F6570, 0xD23B47, 0x3C9540, 0xA67A08, 0x2F74DB, 0xA24FC2, 0x178B99, 0xFFFFFF,
)
"""The same on a light one."""
# fmt: on


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
    dark: bool, foreground: int, background: int, cursor: int, native: bool = False
) -> Palette:
    """The palette of a theme: sixteen, those every terminal shares, and the pane's own colours."""
    sixteen = DARK if dark else LIGHT
    return Palette((*sixteen, *EXTENDED_COLOURS, foreground, background, cursor), native)


def blend(colour: int, other: int, part: float) -> int:
    """`colour` with `part` (0 to 1) of it replaced by `other`."""
    mixed = 0
    for shift in (16, 8, 0):
        one, two = colour >> shift & 0xFF, other >> shift & 0xFF
        mixed |= round(one + (two - one) * part) << shift
    return mixed
