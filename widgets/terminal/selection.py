"""What is selected and what it says: cells, words, lines or a block of columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum

from rich.cells import cell_len

from services.lazy_dataclass import dataclass
from services.terminal.cells import (
    PLAIN,
    RGB,
    CellStyle,
    Colour,
    Run,
    ScreenRow,
    TerminalScreen,
    Underline,
)
from widgets.terminal.rows import CellPosition, logical, logical_line, piece, row_at, row_text

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
    BLOCK = "block"
    """The same columns of every line; every row is a line of its own."""


@dataclass(frozen=True, slots=True)
class Selection:
    """From where the button went down to where it is now; both cells are taken in."""

    anchor: CellPosition
    head: CellPosition
    unit: Unit = Unit.CELL

    def moved(self, head: CellPosition) -> Selection:
        """With its other end elsewhere."""
        return Selection(self.anchor, head, self.unit)

    def range(self, screen: TerminalScreen) -> tuple[CellPosition, CellPosition]:
        """First cell, and the cell after the last one."""
        start, end = sorted((self.anchor, self.head))
        if self.unit is Unit.BLOCK:
            columns = sorted((self.anchor.column, self.head.column))
            return CellPosition(start.line, columns[0]), CellPosition(end.line, columns[1] + 1)
        if self.unit is Unit.LINE:
            return CellPosition(logical(screen, start.line)[0], 0), CellPosition(
                logical(screen, end.line)[1], FAR
            )
        if self.unit is Unit.WORD:
            return word(screen, start)[0], word(screen, end)[1]
        return start, CellPosition(end.line, end.column + 1)

    def joins(self, row: ScreenRow | None) -> bool:
        """Whether what is taken of a row goes on in the next one without a new line."""
        return row is not None and row.wrapped and self.unit is not Unit.BLOCK

    def columns_on(
        self, line: int, span: tuple[CellPosition, CellPosition]
    ) -> tuple[int, int] | None:
        """The columns taken of a line, end excluded, where `range` gave that span; None for no
        columns at all."""
        start, end = span
        if not start.line <= line <= end.line:
            return None
        if self.unit is Unit.BLOCK:
            return start.column, end.column
        return start.column if line == start.line else 0, end.column if line == end.line else FAR


def word(screen: TerminalScreen, position: CellPosition) -> tuple[CellPosition, CellPosition]:
    """The word at a cell: its first cell and the cell after its last."""
    line = logical_line(screen, position.line)
    index = line.index(position)
    for match in WORD.finditer(line.text):
        if match.start() <= index < match.end():
            *_, (last, _, end) = line.spans(match.start(), match.end())
            return line.position(match.start()), CellPosition(last, end)
    return position, CellPosition(position.line, position.column + 1)


def selected_text(screen: TerminalScreen, selection: Selection) -> str:
    """What is selected: soft wraps joined, trailing blanks of each line left out."""
    span = start, end = selection.range(screen)
    out: list[str] = []
    for number in range(start.line, min(end.line, start.line + LONGEST) + 1):
        row = row_at(screen, number)
        text = row_text(row) if row is not None else ""
        columns = selection.columns_on(number, span)
        if columns is not None:
            part = piece(text, *columns)
            out.append(part.rstrip(" ") if selection.unit is Unit.BLOCK else part)
        if number < end.line and not selection.joins(row):
            out.append("\n")
    return "".join(out)


def sgr(style: CellStyle) -> str:
    """The sequence that sets this style from any other; links are left out."""
    flags = (style.bold, style.dim, style.italic)
    codes = ["0", *(str(code) for code, on in enumerate(flags, 1) if on)]
    if style.underline is Underline.SINGLE:
        codes.append("4")
    elif style.underline:
        codes.append(f"4:{int(style.underline)}")
    flags = (style.blink, style.reverse, style.conceal)
    codes += [code for code, on in zip(("5", "7", "8"), flags, strict=True) if on]
    codes += ["9"] * style.strike + ["53"] * style.overline
    codes += _colour(style.foreground, 30) + _colour(style.background, 40)
    if style.underline_colour >= RGB:
        red, green, blue = (style.underline_colour >> shift & 0xFF for shift in (16, 8, 0))
        codes.append(f"58:2::{red}:{green}:{blue}")
    elif style.underline_colour >= 0:
        codes.append(f"58:5:{style.underline_colour}")
    return f"\x1b[{';'.join(codes)}m"


def _colour(colour: Colour, base: int) -> list[str]:
    if colour < 0:
        return []
    if colour >= RGB:
        red, green, blue = (colour >> shift & 0xFF for shift in (16, 8, 0))
        return [f"{base + 8};2;{red};{green};{blue}"]
    if colour < 8:
        return [str(base + colour)]
    if colour < 16:
        return [str(base + 60 + colour - 8)]
    return [f"{base + 8};5;{colour}"]


def styled_text(screen: TerminalScreen, selection: Selection) -> str:
    """What is selected, with styles; soft wraps joined, every line ends plain."""
    span = start, end = selection.range(screen)
    out: list[str] = []
    for number in range(start.line, min(end.line, start.line + LONGEST) + 1):
        row = row_at(screen, number)
        columns = selection.columns_on(number, span)
        if row is not None and columns is not None:
            out.append(_line(row.runs, *columns))
        if number < end.line and not selection.joins(row):
            out.append("\n")
    return "".join(out)


def _line(runs: Sequence[Run], start: int, end: int) -> str:
    out = []
    column = 0
    for text, style in runs:
        part = piece(text, start - column, end - column)
        column += cell_len(text)
        if part:
            out.append(part if style == PLAIN else f"{sgr(style)}{part}\x1b[0m")
    return "".join(out)
