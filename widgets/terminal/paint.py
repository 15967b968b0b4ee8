"""Rows of an emulator as strips: styles cached by cell style, strips cached on the row."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from rich.cells import cell_len, set_cell_size
from rich.color import Color, ColorType
from rich.color_triplet import ColorTriplet
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from services.terminal.cells import PLAIN, RGB, CellStyle, ScreenRow, Underline
from widgets.terminal.palette import BACKGROUND, FOREGROUND, Palette, blend
from widgets.terminal.rows import indices_of

STYLES_KEPT = 16_384
FADE = 0.45
"""How far faint text goes towards its background."""

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_UNSEEN = re.compile(
    r"[\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb]"
)


def sanitize(text: str) -> str:
    """Cell text as it may reach the operator's terminal.

    Control characters become marks, characters that reorder text are dropped; what joins an emoji
    stays. The emulator lets none of them through; this is the second lock.
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
            strip: Strip = cached[2]
            return strip
        segments: list[Segment] = []
        used = 0
        for text, cell in row.runs:
            if text.isascii() and text.isprintable():
                used += len(text)
            else:
                text = sanitize(text)  # noqa: PLW2901
                used += cell_len(text)
            if text:
                segments.append(Segment(text, self.style(cell)))
        if used < width:
            segments.append(Segment(" " * (width - used), self.style(PLAIN)))
            used = width
        strip = Strip(segments, used)
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


def truncate(text: str, width: int) -> str:
    """Harmless text in at most `width` cells; what was cut off shows as `…`."""
    text = sanitize(text)
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(0, width - 1)) + "…"


def overlay_text(strip: Strip, column: int, text: str, style: Style) -> Strip:
    """The strip with a harmless line of text written over it; what does not fit is cut off."""
    notice = Strip([Segment(sanitize(text), style)])
    room = strip.cell_length - column
    notice = notice.crop(0, room) if notice.cell_length > room else notice
    end = column + notice.cell_length
    return Strip.join([strip.crop(0, column), notice, strip.crop(end)])


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
