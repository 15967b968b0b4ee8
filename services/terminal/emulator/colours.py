"""Colour specifications as OSC 4, 10 and the like give them, and the palette we start from."""

from __future__ import annotations

import re
from typing import Final

FOREGROUND: Final = 256
BACKGROUND: Final = 257
CURSOR: Final = 258

_HASH: Final = re.compile(r"#([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{9}|[0-9A-Fa-f]{12})")
_PARTS: Final = re.compile(r"rgb:([0-9A-Fa-f]{1,4})/([0-9A-Fa-f]{1,4})/([0-9A-Fa-f]{1,4})")
_NAMES: Final = {
    "black": 0x000000,
    "red": 0xFF0000,
    "green": 0x00FF00,
    "blue": 0x0000FF,
    "yellow": 0xFFFF00,
    "magenta": 0xFF00FF,
    "cyan": 0x00FFFF,
    "white": 0xFFFFFF,
    "gray": 0xBEBEBE,
    "grey": 0xBEBEBE,
    "orange": 0xFFA500,
}
_SIXTEEN: Final = (
    *(0x000000, 0xCD0000, 0x00CD00, 0xCDCD00, 0x0000EE, 0xCD00CD, 0x00CDCD, 0xE5E5E5),
    *(0x7F7F7F, 0xFF0000, 0x00FF00, 0xFFFF00, 0x5C5CFF, 0xFF00FF, 0x00FFFF, 0xFFFFFF),
)
_STEPS: Final = (0, 95, 135, 175, 215, 255)


def default_colour(index: int) -> int:
    """What a palette entry is before anyone changes it, as 0xRRGGBB."""
    if index < 16:
        return _SIXTEEN[index]
    if index < 232:
        cube = index - 16
        red, green, blue = _STEPS[cube // 36], _STEPS[cube // 6 % 6], _STEPS[cube % 6]
        return red << 16 | green << 8 | blue
    if index < 256:
        return 0x010101 * (8 + 10 * (index - 232))
    return 0x000000 if index == BACKGROUND else 0xE5E5E5


def parse_colour(text: str) -> int | None:
    """0xRRGGBB from `#…`, `rgb:…/…/…` or a common name; None for anything else."""
    text = text.strip()
    if match := _HASH.fullmatch(text):
        digits = match[1]
        size = len(digits) // 3
        parts = [digits[at : at + size].ljust(2, "0")[:2] for at in (0, size, 2 * size)]
        return int("".join(parts), 16)
    if match := _PARTS.fullmatch(text):
        value = 0
        for part in match.groups():
            value = value << 8 | round(int(part, 16) * 255 / (16 ** len(part) - 1))
        return value
    return _NAMES.get(text.lower())


def format_colour(colour: int) -> str:
    """`rgb:rrrr/gggg/bbbb`."""
    parts = (colour >> 16 & 255, colour >> 8 & 255, colour & 255)
    return "rgb:" + "/".join(f"{part:02x}{part:02x}" for part in parts)
