"""Printing of short texts between two sequences, with a cache of their pieces."""

from __future__ import annotations

import re
from typing import Final

from services.terminal.emulator.print import CONTROL, TOKENS
from services.terminal.emulator.screen import Screen
from services.terminal.emulator.styles import Attribute
from services.terminal.emulator.widths import INVISIBLE, JOINS_LEFT, WIDE_SPACER

_SHORT: Final = 100
LONGEST_PRINTED: Final = 200
"""Longer texts are printed by lines."""
_UNCOMMON: Final = re.compile(r"[^\b\t\n\x0b\x0c\r -~]")


def print_text(  # noqa: PLR0912
    screen: Screen, text: str | tuple[str, ...], x: int, y: int, attribute: Attribute
) -> tuple[int, int] | None:
    """Print short text with the common controls in it; where the cursor is then.

    For the fast state only; `x` is the number of columns where a wrap is pending. None, and
    nothing done, where the text needs a closer look.
    """
    if isinstance(text, tuple):
        pieces = text
    elif len(text) > LONGEST_PRINTED:
        return None
    elif not text.isascii():
        return _print_cells(screen, text, x, y, attribute)
    elif text.isprintable():
        pieces = (text,)
    else:
        pieces = pieces_of(text)
    if not pieces or screen.backwards:
        return None
    rows, columns = screen.rows, screen.columns
    bottom, last = screen.margins.bottom, screen.lines - 1
    screen.cursor.attribute = attribute
    scroll = screen.scroll_line
    for piece in pieces:
        if piece >= " ":
            row, end = rows[y], x + len(piece)
            if x == row.length and end <= columns:
                row.spans += piece, attribute
                row.length = x = end
                row.clean = 0
                screen.last = piece
                continue
            x, y = print_wrapped(screen, piece, x, y)
            screen.last = piece
        elif piece == "\r\n":
            if y == bottom:
                scroll()
            elif y < last:
                y += 1
            x = 0
        elif piece == "\r":
            x = 0
        elif piece == "\b":
            x = max(0, min(x, columns - 1) - 1)
        elif piece != "\t":
            x, y = min(x, columns - 1), _below(screen, y)
        elif x < columns:
            x = min((stop for stop in screen.tabs.stops if stop > x), default=columns - 1)
    return x, y


def print_wrapped(screen: Screen, text: str, x: int, y: int) -> tuple[int, int]:
    """Print ASCII that may pass the right edge, in the cursor's style; where the cursor is then."""
    columns, attribute = screen.columns, screen.cursor.attribute
    while x + len(text) > columns:
        if x < columns:
            screen.rows[y].write(x, text[: columns - x], attribute)
            text = text[columns - x :]
        screen.rows[y].wrapped = True
        x, y = 0, _below(screen, y)
    screen.rows[y].write(x, text, attribute)
    return x + len(text), y


def _below(screen: Screen, y: int) -> int:
    """The line below one, which at the bottom margin has to come first."""
    if y == screen.margins.bottom:
        screen.scroll_line()
        return y
    return y + 1 if y < screen.lines - 1 else y


def _print_cells(
    screen: Screen, text: str, x: int, y: int, attribute: Attribute
) -> tuple[int, int] | None:
    kept = screen.memo.texts.get(text)
    if kept is None:
        kept = _normalised(screen, text)
    end = x + len(kept)
    if not kept or end > screen.columns or _may_join(screen, x, y):
        return None
    screen.rows[y].write(x, kept, attribute)
    screen.last = kept
    return end, y


def pieces_of(text: str) -> tuple[str, ...]:
    """ASCII as texts and controls; empty where it is long, or a control is uncommon."""
    if len(text) > LONGEST_PRINTED or _UNCOMMON.search(text):
        return ()
    return tuple(TOKENS.findall(text))


def _normalised(screen: Screen, text: str) -> str:
    """Text normalised, for any place on the screen; empty where that depends on the place."""
    found = ""
    odd = not text.isprintable() and (CONTROL.search(text) or INVISIBLE.search(text))
    if not odd and not JOINS_LEFT.match(text):
        found = screen.clusters.normalise(text)
    if len(text) <= _SHORT:
        screen.memo.keep_text(text, found)
    return found


def _may_join(screen: Screen, x: int, y: int) -> bool:
    """Whether the cell left of a column is a cluster that may take in what follows."""
    if x == 0:
        return False
    row = screen.rows[y]
    char = row.char(x - 1)
    if char == WIDE_SPACER:
        char = row.char(x - 2)
    return char >= "\U00100000"
