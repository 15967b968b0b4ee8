"""Rows of an emulator as strips, and what lies over them.

Styles are cached by cell style, strips on the row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rich.cells import cell_len
from rich.color import Color, ColorType
from rich.color_triplet import ColorTriplet
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from services.terminal.cells import (
    BACKGROUND,
    CURSOR,
    FOREGROUND,
    PLAIN,
    RGB,
    CellStyle,
    CursorShape,
    ScreenRow,
    TerminalScreen,
    Underline,
)
from widgets.terminal.links import Link
from widgets.terminal.palette import Palette, blend
from widgets.terminal.rows import CellPosition, graphemes, indices_of, logical, logical_line
from widgets.terminal.search import Match, Query
from widgets.terminal.selection import Selection
from widgets.text.cell_text import sanitize_cell

STYLES_KEPT = 16_384
FADE = 0.45
"""How far faint text goes towards its background."""
FAINT, SOFT = 0.35, 0.55
"""Parts of cursor colour: an unfocused cursor's, and a bar's on a character."""
BAR = "▏"

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_UNSEEN = re.compile(
    r"[\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb]"
)


def sanitize_run(text: str) -> str:
    """A program's cells as they may reach the operator's terminal.

    `sanitize_cell` would also mark what joins an emoji and the private-use glyphs of prompts, which
    programs draw with. The emulator lets no control through; this is the second lock.
    """
    if text.isprintable():
        return text
    return _UNSEEN.sub("", _CONTROLS.sub("\ufffd", text))


@lru_cache(8192)
def _colour(value: int) -> Color:
    triplet = ColorTriplet(value >> 16, value >> 8 & 0xFF, value & 0xFF)
    return Color("", ColorType.TRUECOLOR, None, triplet)


def colours(foreground: int, background: int) -> Style:
    """A style of two 0xRRGGBB colours."""
    return Style.from_color(_colour(foreground), _colour(background))


class RowStrip(Strip):
    """A strip that is not kept by itself.

    Textual's remembers that undivided it is itself. Such a ring is freed by the garbage collector
    alone, which found those of thousands of rows at once: a pause of 200 ms in a flood.
    """

    __slots__ = ()

    def divide(self, cuts: Iterable[int]) -> Sequence[Strip]:
        """The strip in pieces, cut at these columns."""
        cuts = list(cuts)
        return [self] if cuts == [self.cell_length] else super().divide(cuts)


class Painter:
    """Draws rows with one palette at a time; a new palette makes every older strip stale."""

    def __init__(self, palette: Palette) -> None:
        self._palette = palette
        self._styles: dict[int, tuple[CellStyle, Style]] = {}

    @property
    def palette(self) -> Palette:
        """The colours in use."""
        return self._palette

    @palette.setter
    def palette(self, palette: Palette) -> None:
        self._palette = palette
        self._styles.clear()

    def style(self, cell: CellStyle) -> Style:
        """The Rich style of a cell, its colours resolved."""
        # By identity: the emulator interns styles, and the entry keeps its key alive.
        known = self._styles.get(id(cell))
        if known is not None:
            return known[1]
        if len(self._styles) >= STYLES_KEPT:
            self._styles.clear()
        style = _native(cell) if self._palette.native else _resolved(cell, self._palette)
        self._styles[id(cell)] = (cell, style)
        return style

    def strip(self, row: ScreenRow, width: int) -> Strip:
        """The row, exactly `width` cells wide; the same object until the row changes."""
        cached = row.cache
        if isinstance(cached, tuple) and cached[0] is self._palette and cached[1] == width:
            known: Strip = cached[2]
            return known
        segments: list[Segment] = []
        used = 0
        for text, cell in row.runs:
            if text.isascii() and text.isprintable():
                used += len(text)
            else:
                text = sanitize_run(text)  # noqa: PLW2901
                used += cell_len(text)
            if text:
                segments.append(Segment(text, self.style(cell)))
        if used < width:
            segments.append(Segment(" " * (width - used), self.style(PLAIN)))
            used = width
        strip: Strip = RowStrip(segments, used)
        if used > width:
            strip = strip.crop(0, width)
        row.cache = (self._palette, width, strip)
        return strip

    def blank(self, width: int) -> Strip:
        """An empty line."""
        return Strip.blank(width, self.style(PLAIN))


def restyled(strip: Strip, start: int, end: int, change: Callable[[Style], Style]) -> Strip:
    """The strip with the styles of the cells in `start..end` (end excluded) changed.

    A wide character of which half lies inside is changed whole.
    """
    segments: list[Segment] = []
    column = 0
    for segment in strip:
        text, style, _ = segment
        width = segment.cell_length
        if style is None or column + width <= start or column >= end:
            segments.append(segment)
        else:
            low, high = indices_of(text, start - column, end - column)
            pieces = (text[:low], style), (text[low:high], change(style)), (text[high:], style)
            segments += [Segment(part, look) for part, look in pieces if part]
        column += width
    return Strip(segments, strip.cell_length)


def highlight(strip: Strip, start: int, end: int, mark: Style) -> Strip:
    """The strip with a mark (a match, the selection) laid over some cells."""
    return restyled(strip, start, end, lambda style: style + mark)


def overlay_text(strip: Strip, column: int, text: str, style: Style) -> Strip:
    """The strip with a harmless line of text written over it; what does not fit is cut off."""
    notice = Strip([Segment(sanitize_cell(text), style)])
    room = strip.cell_length - column
    notice = notice.crop(0, room) if notice.cell_length > room else notice
    end = column + notice.cell_length
    return Strip.join([strip.crop(0, column), notice, strip.crop(end)])


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


def _resolved(cell: CellStyle, palette: Palette) -> Style:
    front = palette.resolve(cell.foreground, FOREGROUND)
    back = palette.resolve(cell.background, BACKGROUND)
    if cell.reverse:
        front, back = back, front
    if cell.dim:
        front = blend(front, back, FADE)
    if cell.conceal:
        front = back
    style = colours(front, back)
    return style + attributes if (attributes := _attributes(cell)) else style


def _native(cell: CellStyle) -> Style:
    style = Style(
        color=_native_colour(cell.foreground),
        bgcolor=_native_colour(cell.background),
        dim=cell.dim or None,
        reverse=cell.reverse or None,
        conceal=cell.conceal or None,
    )
    return style + _attributes(cell)


def _native_colour(colour: int) -> Color:
    if colour >= RGB:
        return _colour(colour & 0xFFFFFF)
    return Color.default() if colour < 0 else Color.from_ansi(colour)


@lru_cache(256)
def _flags(
    bold: bool, italic: bool, blink: bool, strike: bool, overline: bool, underline: Underline
) -> Style:
    return Style(
        bold=bold or None,
        italic=italic or None,
        blink=blink or None,
        strike=strike or None,
        overline=overline or None,
        underline=underline not in (Underline.NONE, Underline.DOUBLE) or None,
        underline2=underline is Underline.DOUBLE or None,
    )


def _attributes(cell: CellStyle) -> Style:
    # A link is drawn underlined and never as OSC 8: where it leads is shown before it is followed.
    line = cell.underline or (Underline.SINGLE if cell.link else Underline.NONE)
    return _flags(cell.bold, cell.italic, cell.blink, cell.strike, cell.overline, line)


@dataclass(slots=True)
class Overlays:
    """The overlays of one view; positions are absolute, so they scroll with the text."""

    selection: Selection | None = None
    query: Query | None = None
    """Every find on view is marked."""
    match: Match | None = None
    """The find the search is at."""
    selection_cursor: CellPosition | None = None
    """The operator's own cursor while selecting by keyboard."""
    link: Link | None = None
    """The link under the mouse."""


class LineOverlays:
    """The overlays of the lines of one frame; matches are cached by logical line."""

    def __init__(self, overlays: Overlays, screen: TerminalScreen) -> None:
        self._overlays = overlays
        self._screen = screen
        self._span = overlays.selection.range(screen) if overlays.selection is not None else None
        self._finds: dict[int, list[Match]] = {}

    def on(self, number: int) -> Iterator[tuple[int, int, str]]:
        """(first column, end column, look) of every mark on a line, the topmost last."""
        overlays = self._overlays
        if overlays.selection is not None and self._span is not None:
            columns = overlays.selection.columns_on(number, self._span)
            if columns is not None:
                yield (*columns, "selection")
        if overlays.query is not None:
            for match in self._found(overlays.query, number):
                style_name = "current" if match == overlays.match else "match"
                yield from (
                    (low, high, style_name) for line, low, high in match.spans if line == number
                )
        if overlays.link is not None:
            yield from (
                (low, high, "link") for line, low, high in overlays.link.spans if line == number
            )
        if overlays.selection_cursor is not None and overlays.selection_cursor.line == number:
            yield overlays.selection_cursor.column, overlays.selection_cursor.column + 1, "current"

    def _found(self, query: Query, number: int) -> list[Match]:
        first, _ = logical(self._screen, number)
        if first not in self._finds:
            self._finds[first] = query.matches(logical_line(self._screen, number))
        return self._finds[first]
