"""What is selected and what it says: cells, words or lines, joined across soft wraps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from services.terminal.cells import TerminalScreen
from widgets.terminal.lines import Place, logical, logical_line, piece, row_at, row_text

WORD = re.compile(r"[\w\-./~:@%+#=?&$*!,]+|\s+|.", re.DOTALL)
LONGEST = 100_000
"""Rows one selection takes in."""
FAR = 1 << 20
"""A column past every line's end."""


class Unit(Enum):
    """What a selection grows by."""

    CELL = "cell"
    WORD = "word"
    LINE = "line"


@dataclass(frozen=True, slots=True)
class Selection:
    """From where the button went down to where it is now; both cells are taken in."""

    anchor: Place
    head: Place
    unit: Unit = Unit.CELL

    def moved(self, head: Place) -> Selection:
        """With its other end elsewhere."""
        return Selection(self.anchor, head, self.unit)

    def range(self, screen: TerminalScreen) -> tuple[Place, Place]:
        """First cell, and the cell after the last one."""
        start, end = sorted((self.anchor, self.head))
        if self.unit is Unit.LINE:
            return Place(logical(screen, start.line)[0], 0), Place(
                logical(screen, end.line)[1], FAR
            )
        if self.unit is Unit.WORD:
            return word(screen, start)[0], word(screen, end)[1]
        return start, Place(end.line, end.column + 1)


def columns_on(line: int, start: Place, end: Place) -> tuple[int, int] | None:
    """The columns of a line between two cells, end excluded; None where there are none."""
    if not start.line <= line <= end.line:
        return None
    return (start.column if line == start.line else 0, end.column if line == end.line else FAR)


def word(screen: TerminalScreen, place: Place) -> tuple[Place, Place]:
    """The word at a cell: its first cell and the cell after its last."""
    line = logical_line(screen, place.line)
    index = line.index(place)
    for match in WORD.finditer(line.text):
        if match.start() <= index < match.end():
            *_, (last, _, end) = line.spans(match.start(), match.end())
            return line.place(match.start()), Place(last, end)
    return place, Place(place.line, place.column + 1)


def selected_text(screen: TerminalScreen, selection: Selection) -> str:
    """What is selected: soft wraps joined, trailing blanks of each line left out."""
    start, end = selection.range(screen)
    out: list[str] = []
    for number in range(start.line, min(end.line, start.line + LONGEST) + 1):
        row = row_at(screen, number)
        text = row_text(row) if row is not None else ""
        columns = columns_on(number, start, end)
        if columns is not None:
            out.append(piece(text, *columns))
        if number < end.line and not (row is not None and row.wrapped):
            out.append("\n")
    return "".join(out)
