"""Selected text with its styles, as a terminal would be told them (SGR)."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from services.terminal.cells import PLAIN, RGB, CellStyle, Colour, Run, TerminalScreen, Underline
from widgets.terminal.rows import piece, row_at
from widgets.terminal.selection import LONGEST, Selection


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
