"""Control sequences as text: their bounds, where one ends, and its parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

ESC: Final = "\x1b"
MOST_PARAMETERS: Final = 32
LARGEST: Final = 65_535
LONGEST: Final = 1 << 16
"""Characters a control sequence may have; a longer one is ignored."""
LONGEST_REMEMBERED: Final = 256
"""Longer sequences are parsed anew each time, so that what is remembered stays small."""
LONGEST_STRING: Final = 1 << 20
"""Characters a string (OSC, DCS) may have; a longer one is swallowed."""

SEQUENCE: Final = re.compile(r"\[[0-?]*+[ -/]*+[@-~]|[ -/]+[0-~]|[0-OQ-WYZ\\`-~]")
"""A whole sequence without its escape, but for those with a string."""
_CONTROL_SEQUENCE: Final = re.compile(r"([<=>?]?)([0-9;]*)([ -/]*)([@-~])")
_C1: Final = re.compile("[\x80-\x9f]")
_LINUX_PALETTE: Final = re.compile(r"\x1b\]P[0-9A-Fa-f]{7}")


def number(digits: str) -> int:
    """A parameter; only its value is bounded, so zeros before it do not count."""
    digits = digits.lstrip("0")
    return min(int(digits[:6] or 0), LARGEST)


def decimal(text: str) -> int | None:
    """A number in a string, None where something else stands there."""
    return number(text) if text.isascii() and text.isdigit() else None


def parse(sequence: str) -> tuple[str, list[int]] | None:
    """A control sequence without its introducer as (key, parameters); None for a malformed one.

    The key is the private marker, the intermediates and the final byte. A parameter left out
    is 0. Sub-parameters belong to SGR alone, which is read elsewhere: here a colon is malformed.
    """
    match = _CONTROL_SEQUENCE.fullmatch(sequence)
    if match is None:
        return None
    marker, words, intermediates, final = match.groups()
    numbers = [number(word) for word in words.split(";")[:MOST_PARAMETERS]] if words else []
    return marker + intermediates + final, numbers


def is_linux(pieces: list[str]) -> bool:
    """Whether it is a palette command of the Linux console, which has no end of its own."""
    body = "".join(pieces)
    return body == f"{ESC}]R" or _LINUX_PALETTE.fullmatch(body) is not None


def spell_out_c1(text: str) -> str:
    """Text with its C1 controls as escape sequences."""
    return _C1.sub(lambda match: ESC + chr(ord(match[0]) - 0x40), text)


def joined(pieces: Iterable[str]) -> str:
    """Pieces as they came, each with its escape."""
    return "".join([ESC + piece for piece in pieces])
