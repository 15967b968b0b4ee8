"""How many columns text takes, and which characters share a cell.

Every cell is kept as one character: a cluster of several code points is replaced by a stand-in
from plane 16 of Unicode, and a cell of two columns is followed by `WIDE_SPACER`. So the length of
normalised text is its width, and rows are made of plain strings. Widths are those the view lays
out (upstream/terminal: Widths).
"""

from __future__ import annotations

import re
from typing import Final

from services.terminal.emulator.width_table import WIDE, WIDENED, ZERO

WIDE_SPACER: Final = "\0"
"""The right half of a cell of two columns."""
LEADING_SPACER: Final = "\x01"
"""A last column left blank because a wide cell went on to the next row."""
LONGEST: Final = 16
"""Code points a cell may hold; what comes after is dropped."""
JOINER: Final = "\u200d"
WIDEN: Final = "\ufe0f"
REPLACEMENT: Final = "\ufffd"

_FIRST_STAND_IN = 0x100000
_STAND_INS = 0x10FFFD - _FIRST_STAND_IN
_PIECES_KEPT = 16_384

_FLAG = "\U0001f1e6-\U0001f1ff"
_OWN = "\U00100000-\U0010ffff"
_ASTRAL = "(?=[\U00010000-\U0010ffff])"


def _class(table: str, low: int = 0, high: int = 0x10FFFF) -> str:
    """The code points of a table between two bounds, as the inside of a character class."""
    pairs = [(int(w.split("-")[0], 16), int(w.split("-")[-1], 16)) for w in table.split()]
    return "".join(
        f"\\U{max(first, low):08x}-\\U{min(last, high):08x}"
        for first, last in pairs
        if first <= high and last >= low
    )


# A class that reaches beyond the basic plane is slow to miss: ask for the plane first.
_BMP_ZERO, _BMP_WIDE = _class(ZERO, high=0xFFFF), _class(WIDE, high=0xFFFF)
_FAR_WIDE = _class(WIDE, low=0x10000)
_Z = f"(?:[{_BMP_ZERO}]|{_ASTRAL}[{_class(ZERO, low=0x10000)}])"
_JOINED = _class(WIDE) + _class(WIDENED, low=0x80)
_TAIL = f"(?:{_Z}|(?<={JOINER})[{_JOINED}])"
_CONTROL = "\x00-\x1f\x7f-\x9f"

INVISIBLE: Final = re.compile(
    "[\u061c\u180e\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e001f\U000e0080-\U000e00ff\U000e01f0-\U000e0fff]+"
)
"""Invisible characters that show nothing, or turn the direction of what follows."""
_ZERO_WIDTH = re.compile(_Z)
_TWO_WIDE = re.compile(f"[{_BMP_WIDE}]|{_ASTRAL}[{_FAR_WIDE}]")
_JOINABLE = re.compile(f"[{_JOINED}]")
_WIDENED = re.compile(f"[{_class(WIDENED)}]")
MAY_JOIN: Final = re.compile(f"{_Z}|[{_JOINED}{_FLAG}]")
"""A first character that may belong to the cell before it."""
JOINS_LEFT: Final = re.compile(f"{_Z}|[{_FLAG}]")
"""A first character that does, or does where the cell before it is no cluster."""
ZERO_WIDTH_LINE_START: Final = re.compile(f"\n{_Z}")
"""A line that begins with a character of no width."""
_BMP_ZEROS = re.compile(f"[{_BMP_ZERO}]")
_FAR_ZEROS = re.compile("[\U00010000-\U0001efff\U0001f3fb-\U0001f3ff\U000e0000-\U000fffff]")
_PIECES = re.compile(f"([{_BMP_WIDE}]+|{_ASTRAL}[{_FAR_WIDE}{_FLAG}{_OWN}]+)")
_NOT_ASCII = re.compile("([^\x00-\x7f]+)")
_CLUSTERS = re.compile(
    f"({_ASTRAL}[{_FLAG}](?:{_TAIL}|[{_FLAG}])*"
    f"|[^{_CONTROL}{_BMP_ZERO}](?={_Z}){_TAIL}+"
    f"|[{_BMP_WIDE}]+(?!{_Z})"
    f"|{_ASTRAL}[{_FAR_WIDE}{_OWN}]+(?!{_Z}))"
)
_BMP_WIDES = re.compile(f"[{_BMP_WIDE}]+")
_STAND_IN = re.compile(f"[{_OWN}]")


def is_flag(char: str) -> bool:
    """Whether it is a regional indicator: two of them make a flag."""
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def joins(cell: str, wide: bool, char: str) -> bool:
    """Whether a character that has columns of its own belongs to the cell on its left."""
    if cell.endswith(JOINER):
        return wide and len(cell) < LONGEST and _JOINABLE.match(char) is not None
    return is_flag(char) and len(cell) == 1 and is_flag(cell)


def extend(cell: str, wide: bool, char: str) -> tuple[str, bool]:
    """A cell and whether it has two columns, after a character that has none of its own.

    A joiner counts only once, and only where there is a wide cell to join to.
    """
    if len(cell) >= LONGEST or (char == JOINER and (not wide or cell[-1] == JOINER)):
        return cell, wide
    return cell + char, wide or (char == WIDEN and _WIDENED.match(cell) is not None)


def is_zero(char: str) -> bool:
    """Whether it has no column of its own."""
    return _ZERO_WIDTH.match(char) is not None


def fold(text: str) -> list[tuple[str, bool]]:
    """The cells of a text that has no control in it, each with whether it has two columns.

    Characters without a column at the very start belong to no cell and are left out.
    """
    cells: list[tuple[str, bool]] = []
    for char in text:
        if is_zero(char):
            if cells:
                cells[-1] = extend(*cells[-1], char)
        elif cells and joins(*cells[-1], char):
            cells[-1] = (cells[-1][0] + char, True)
        else:
            cells.append((char, _TWO_WIDE.match(char) is not None))
    return cells


class Clusters:
    """Stand-in characters for grapheme clusters of one emulator; bounded, never freed."""

    __slots__ = ("_cells", "_pieces", "_stand_ins")

    def __init__(self) -> None:
        self._cells: list[str] = []
        self._stand_ins: dict[str, str] = {}
        self._pieces: dict[str, str] = {}

    def normalise(self, text: str) -> str:
        """Text with one character a cell, and `WIDE_SPACER` after each cell of two columns.

        Characters of no width stay where they are only at the start and after controls.
        """
        known = self._pieces
        parts = _NOT_ASCII.split(text)
        for at in range(1, len(parts), 2):
            run = parts[at]
            found = known.get(run)
            if found is None:
                if _BMP_WIDES.fullmatch(run):
                    found = WIDE_SPACER.join(run) + WIDE_SPACER
                elif (before := parts[at - 1]) and " " <= before[-1] < "\x7f" and is_zero(run[0]):
                    parts[at - 1] = before[:-1]
                    found = known.get(before[-1] + run) or self._normalise_run(before[-1] + run)
                else:
                    found = self._normalise_run(run)
            parts[at] = found
        return "".join(parts)

    def _normalise_run(self, run: str) -> str:
        """The same of characters none of which, but the first, is ASCII."""
        clustered = _BMP_ZEROS.search(run) or _FAR_ZEROS.search(run)
        parts = (_CLUSTERS if clustered else _PIECES).split(run)
        parts[1::2] = map(self._normalise_piece, parts[1::2])
        text = "".join(parts)
        if len(run) <= LONGEST and not is_zero(run[0]):
            if len(self._pieces) >= _PIECES_KEPT:
                self._pieces.clear()
            self._pieces[run] = text
        return text

    def _normalise_piece(self, piece: str) -> str:
        if is_zero(piece[0]):
            return piece
        if _BMP_WIDES.fullmatch(piece):
            return WIDE_SPACER.join(piece) + WIDE_SPACER
        return "".join(
            self.stand_in(cell) + WIDE_SPACER if wide else self.stand_in(cell)
            for cell, wide in fold(piece)
        )

    def stand_in(self, cell: str) -> str:
        """The one character a cell is kept as; the first of it once all stand-ins are given."""
        if len(cell) == 1 and cell < "\U00100000":
            return cell
        known = self._stand_ins.get(cell)
        if known is not None:
            return known
        if len(self._cells) >= _STAND_INS:
            return cell[0] if cell < "\U00100000" else REPLACEMENT
        char = chr(_FIRST_STAND_IN + len(self._cells))
        self._cells.append(cell)
        self._stand_ins[cell] = char
        return char

    def cell(self, char: str) -> str:
        """What a kept character stands for."""
        if char >= "\U00100000":
            return self._cells[ord(char) - _FIRST_STAND_IN]
        return " " if char == LEADING_SPACER else char

    def to_text(self, text: str) -> str:
        """Normalised text as it is shown."""
        if text.isascii() and text.isprintable():
            return text
        text = text.replace(WIDE_SPACER, "").replace(LEADING_SPACER, " ")
        if self._cells and _STAND_IN.search(text):
            return _STAND_IN.sub(lambda match: self.cell(match[0]), text)
        return text
