"""Character sets a program may designate; text arrives in UTF-8 whichever is in force."""

from __future__ import annotations

from typing import TypeAlias

from pyte.charsets import VT100_MAP

Charset: TypeAlias = "dict[int, str] | None"
"""What to print instead of some ASCII characters; None for ASCII itself."""

_LINES = {code: VT100_MAP[code] for code in range(0x60, 0x7F)} | {0x5F: " "}
_SETS: dict[str, Charset] = {"0": _LINES, "2": _LINES, "A": {0x23: "£"}}


def charset(designator: str) -> Charset:
    """The set of a designating final byte; one we do not have is taken for ASCII."""
    return _SETS.get(designator)
