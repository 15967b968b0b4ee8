"""The cursor, drawn over one line."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from services.terminal.cells import CursorShape
from widgets.terminal.paint import colours, restyled
from widgets.terminal.palette import BACKGROUND, CURSOR, FOREGROUND, Palette, blend
from widgets.terminal.rows import graphemes

FAINT, SOFT = 0.35, 0.55
"""Parts of cursor colour: an unfocused cursor's, and a bar's on a character."""
BAR = "▏"


def cell_at(strip: Strip, column: int) -> tuple[int, int, str]:
    """First column, end column and text of the character at a column."""
    used = 0
    for text, _, _ in strip:
        last = 0
        for first, last, char in graphemes(text):
            if used + last > column:
                return used + first, used + last, char
        used += last
    return column, column + 1, " "


def draw_cursor(
    strip: Strip, column: int, shape: CursorShape, focused: bool, palette: Palette
) -> Strip:
    """The line with the cursor on it: in its shape while focused, a faint block while not."""
    first, last, char = cell_at(strip, max(0, min(column, strip.cell_length - 1)))
    mark = _mark(shape, focused, char == " ", palette)
    if focused and shape is CursorShape.BAR and char == " ":
        middle = [
            Segment(BAR, (style or Style.null()) + mark) for _, style, _ in strip.crop(first, last)
        ]
        return Strip.join([strip.crop(0, first), Strip(middle, 1), strip.crop(last)])
    return restyled(strip, first, last, lambda style: style + mark)


def _mark(shape: CursorShape, focused: bool, blank: bool, palette: Palette) -> Style:
    front, back, colour = (palette.colours[index] for index in (FOREGROUND, BACKGROUND, CURSOR))
    if palette.native:
        if focused and shape is CursorShape.UNDERLINE:
            return Style(underline=True)
        return Style(reverse=True, dim=None if focused else True)
    if not focused:
        return colours(front, blend(back, colour, FAINT))
    if shape is CursorShape.UNDERLINE:
        return Style(color=colours(colour, back).color, underline=True)
    if shape is CursorShape.BAR:
        if blank:
            return Style(color=colours(colour, back).color)
        return colours(front, blend(back, colour, SOFT))
    return colours(back, colour)
