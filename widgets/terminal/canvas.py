"""Draws an emulator line by line: damage in, strips out, scrollback and marks included."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import monotonic
from typing import ClassVar

from rich.cells import cell_len
from rich.style import Style
from textual.color import Color
from textual.filter import ANSIToTruecolor, DimFilter, LineFilter, NoColor
from textual.geometry import Region
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from services.terminal.cells import DEFAULT_MODES, Cursor, TerminalModes, TerminalScreen
from widgets.terminal.frame_pacing import FramePacing
from widgets.terminal.links import Link
from widgets.terminal.paint import (
    LineOverlays,
    Overlays,
    Painter,
    draw_cursor,
    highlight,
    overlay_text,
)
from widgets.terminal.palette import Palette, palette_of
from widgets.terminal.rows import CellPosition, row_at
from widgets.terminal.search import Match, Query
from widgets.terminal.selection import Selection
from widgets.terminal.viewport import Viewport, end_of, screen_top
from widgets.text.cell_text import cut, sanitize_cell


class TerminalCanvas(Widget):
    """Shows a `TerminalScreen`; its owner calls `request_redraw` after feeding the emulator.

    Put borders and titles on a container: every cell of this widget belongs to the program.
    """

    ALLOW_SELECT = False
    ALLOW_MAXIMIZE = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "terminal--cursor",
        "terminal--selection",
        "terminal--match",
        "terminal--current",
        "terminal--link",
        "terminal--notice",
    }
    DEFAULT_CSS = """
    TerminalCanvas {
        width: 1fr;
        height: 1fr;
        background: $background;
        color: $foreground;
        & > .terminal--cursor { background: $foreground; }
        & > .terminal--selection { background: $primary; color: $text; }
        & > .terminal--match { background: $warning-muted; color: $text; }
        & > .terminal--current { background: $warning; color: $text; }
        & > .terminal--link { background: $accent-muted; color: $text-accent; }
        & > .terminal--notice { background: $accent; color: $text; text-style: bold; }
    }
    """

    def __init__(
        self,
        screen: TerminalScreen | None = None,
        *,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.viewport = Viewport()
        self._terminal = screen
        self._overlays = Overlays()
        self._link_shown_on_top = False
        self._painter = Painter(Palette((0,) * 259))
        self._mark_styles: dict[str, Style] = {}
        self._program_colours: tuple[dict[int, int], bool] = ({}, False)
        self._frame_pacing = FramePacing()
        self._later: Timer | None = None
        self._drawn_top = -1
        self._drawn_cursor = (-1, Cursor(0, 0))
        self._drawn_size = (0, 0)
        self._drawn_end = 0
        self._alternate = False

    @property
    def terminal(self) -> TerminalScreen | None:
        """The emulator on view; another one may be put in its place."""
        return self._terminal

    @terminal.setter
    def terminal(self, screen: TerminalScreen | None) -> None:
        self._terminal = screen
        self._overlays = Overlays()
        self.viewport.follow()
        self._drawn_size = (0, 0)
        self._mark_styles.clear()
        self.refresh()
        self._terminal_replaced()

    def _terminal_replaced(self) -> None:
        """Another emulator is on view."""

    @property
    def modes(self) -> TerminalModes:
        """What the program asked for."""
        return self._terminal.modes if self._terminal is not None else DEFAULT_MODES

    @property
    def selection(self) -> Selection | None:
        """What is selected."""
        return self._overlays.selection

    def select(self, selection: Selection | None) -> None:
        """Select that, or nothing."""
        if selection != self._overlays.selection:
            self._overlays.selection = selection
            self.refresh()

    @property
    def match(self) -> Match | None:
        """The find the search is at."""
        return self._overlays.match

    @property
    def link(self) -> Link | None:
        """The link under the mouse."""
        return self._overlays.link

    @property
    def status(self) -> str:
        """What the view itself has to say on its last line."""
        return ""

    def show_search(self, query: Query | None, match: Match | None) -> None:
        """Mark the finds of a query and go to one of them."""
        self._overlays.query, self._overlays.match = query, match
        if match is not None:
            self.reveal(match.position.line)
        self.refresh()

    def show_selection_cursor(self, position: CellPosition | None) -> None:
        """Draw the operator's own cursor and go to it."""
        self._overlays.selection_cursor = position
        if position is not None:
            self.reveal(position.line)
        self.refresh()

    def show_link(self, link: Link | None, line: int) -> None:
        """Show where the link under the mouse leads, away from that line of the view."""
        if link != self._overlays.link:
            self._overlays.link = link
            self._link_shown_on_top = line >= self.size.height - 1
            self.refresh()

    # Painting

    def request_redraw(self) -> None:
        """The emulator has been fed: redraw what changed, at the next frame."""
        screen = self._terminal
        if screen is None or not self.is_mounted:
            return
        modes = screen.modes
        if wait := self._frame_pacing.wait(monotonic(), modes.synchronised):
            if self._later is None:
                self._later = self.set_timer(wait, self._redraw_later)
            return
        self._track_changes(screen, modes)
        damage = screen.take_damage()
        height = self.size.height
        top = self.viewport.top(screen, height)
        cursor = (self._cursor_line(screen), screen.cursor)
        lines = {screen_top(screen) - top + line for line in damage or ()}
        if cursor != self._drawn_cursor:
            lines |= {self._drawn_cursor[0] - top, cursor[0] - top}
        if not self.viewport.following:
            lines.add(height - 1)
        lines = {line for line in lines if 0 <= line < height}
        everything = damage is None or top != self._drawn_top or len(lines) > height // 2
        self._drawn_top, self._drawn_cursor = top, cursor
        if everything:
            self.refresh()
        elif lines:
            self.refresh(*self._regions(lines))

    def _regions(self, lines: Iterable[int]) -> list[Region]:
        width = self.size.width
        regions: list[Region] = []
        for line in sorted(lines):
            if regions and regions[-1].bottom == line:
                regions[-1] = regions[-1].grow((0, 0, 1, 0))
            else:
                regions.append(Region(0, line, width, 1))
        return regions

    def _redraw_later(self) -> None:
        self._later = None
        self.request_redraw()

    def _track_changes(self, screen: TerminalScreen, modes: TerminalModes) -> None:
        """See what else changed than rows."""
        if modes.alternate_screen != self._alternate:
            self._alternate = modes.alternate_screen
            self._overlays.selection = None
            self.viewport.follow()
        size = (screen.columns, screen.lines)
        end = end_of(screen)
        if size != self._drawn_size:
            if self._drawn_size != (0, 0):
                self.viewport.shift(end - self._drawn_end)
            self._drawn_size = size
            self._overlays.selection = None
        self._drawn_end = end
        if self._program_colours != (screen.colours, modes.reverse_video):
            self._mark_styles.clear()
            self._drawn_top = -1

    def _cursor_line(self, screen: TerminalScreen) -> int:
        cursor = screen.cursor
        return screen_top(screen) + cursor.line if cursor.visible else -1

    # Lines

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines of a region, straight from the emulator's rows."""
        start = monotonic()
        self._update_styles()
        width = self.size.width
        strips = self._lines(crop.line_range, width)
        if crop.column_span != (0, width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        for line_filter in self.get_line_filters():
            _, behind = self.background_colors
            strips = [strip.apply_filter(line_filter, behind) for strip in strips]
        self._frame_pacing.record_cost(monotonic() - start)
        return strips

    def render_line(self, y: int) -> Strip:
        """One line; Textual asks for it to find what the mouse is on."""
        self._update_styles()
        return self._lines((y,), self.size.width)[0]

    def get_line_filters(self) -> Sequence[LineFilter]:
        """The app's filters but those that turn palettes and faint text into colours: done here."""
        return [
            line_filter
            for line_filter in super().get_line_filters()
            if not isinstance(line_filter, (ANSIToTruecolor, DimFilter))
        ]

    def _lines(self, lines: Iterable[int], width: int) -> list[Strip]:
        screen = self._terminal
        if screen is None:
            return [self._painter.blank(width) for _ in lines]
        height = self.size.height
        top = self.viewport.top(screen, height)
        cursor = self._cursor_line(screen)
        overlays = LineOverlays(self._overlays, screen)
        strips = []
        for line in lines:
            number = top + line
            row = row_at(screen, number)
            strip = (
                self._painter.strip(row, width) if row is not None else self._painter.blank(width)
            )
            for first, last, style_name in overlays.on(number):
                strip = highlight(strip, first, last, self._mark_styles[style_name])
            if number == cursor and self._overlays.selection_cursor is None:
                strip = draw_cursor(
                    strip,
                    screen.cursor.column,
                    screen.cursor.shape,
                    self.has_focus,
                    self._painter.palette,
                )
            strips.append(self._overlay(strip, line, height))
        return strips

    def _overlay(self, strip: Strip, line: int, height: int) -> Strip:
        """Write what the view itself has to say over a line."""
        notice, width, link = self._mark_styles["notice"], strip.cell_length, self._overlays.link
        if link is not None and line == (0 if self._link_shown_on_top else height - 1):
            return overlay_text(strip, 0, f" {cut(sanitize_cell(link.url), width - 2)} ", notice)
        if line != height - 1:
            return strip
        status, pill = self.status, self.pill
        if status:
            strip = overlay_text(strip, 0, cut(sanitize_cell(status), width), notice)
        if not pill or cell_len(status) + len(pill) > width:
            return strip
        return overlay_text(strip, width - len(pill), pill, notice)

    @property
    def pill(self) -> str:
        """What is shown in the corner while the tail is not on view."""
        if self._terminal is None or self.viewport.following:
            return ""
        newer = self.viewport.newer(self._terminal)
        below = self.viewport.below(self._terminal, self.size.height)
        return f" +{newer} lines ↓ " if newer else f" {below} below ↓ "

    def pill_at(self, column: int, line: int) -> bool:
        """Whether that position of the widget is on the pill."""
        return line == self.size.height - 1 and column >= self.size.width - len(self.pill) > 0

    # Colours

    def notify_style_update(self) -> None:
        """Theme or style sheet changed."""
        self._mark_styles.clear()
        super().notify_style_update()

    def _update_styles(self) -> None:
        """Make colours and marks ready; a palette is only replaced where it really changed."""
        if self._mark_styles:
            return
        colourless = any(isinstance(each, NoColor) for each in self.get_line_filters())
        for name in self.COMPONENT_CLASSES:
            style_name = Style(reverse=True) if colourless else self.get_component_rich_style(name)
            self._mark_styles[name.removeprefix("terminal--")] = style_name
        palette = self.theme_palette()
        if self._terminal is not None:
            reverse = self._terminal.modes.reverse_video
            self._program_colours = (dict(self._terminal.colours), reverse)
            palette = palette.overridden(self._terminal.colours)
            palette = palette.reversed() if reverse else palette
        old = self._painter.palette
        if (palette.colours, palette.native) != (old.colours, old.native):
            self._painter.palette = palette

    def theme_palette(self) -> Palette:
        """The colours before the program changed any."""
        _, _, background, foreground = self.colors
        cursor = self.get_component_styles("terminal--cursor").background
        return palette_of(
            self.app.current_theme.dark,
            _packed(foreground),
            _packed(background),
            _packed(cursor),
            self.app.native_ansi_color,
        )

    def theme_colours(self) -> dict[int, int]:
        """The same, keyed as `TerminalScreen.colours`: what a program that asks is to be told."""
        return dict(enumerate(self.theme_palette().colours))

    # Scrolling

    def scroll_view(self, lines: int) -> None:
        """Go down in the scrollback, up where negative."""
        if self._terminal is not None and self.viewport.move(
            self._terminal, self.size.height, lines
        ):
            self.refresh()

    def reveal(self, line: int) -> None:
        """Scroll just enough for a line to be seen, clear of the last line of the view."""
        if self._terminal is not None and self.viewport.reveal(
            self._terminal, self.size.height, line
        ):
            self.refresh()

    def follow_tail(self) -> None:
        """Back to the newest line."""
        if self.viewport.follow():
            self.refresh()

    def position_at(self, column: int, line: int) -> CellPosition:
        """The cell under a position of the widget."""
        top = self.viewport.top(self._terminal, self.size.height) if self._terminal else 0
        return CellPosition(top + line, max(0, min(column, self.size.width - 1)))


def _packed(colour: Color) -> int:
    red, green, blue = colour.rgb
    return red << 16 | green << 8 | blue
