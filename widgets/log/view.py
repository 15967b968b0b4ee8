"""A log on the screen: follows what comes, looks back, wraps, marks lines and finds words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollTo, ScrollUp
from textual.strip import Strip

from services.models import LogLine
from widgets.log.lines import LogLines
from widgets.log.painter import GUTTER, NAMES, LogPainter
from widgets.table.bindings import movement
from widgets.table.layered_style import LayeredStyles

SHIFT = 20
"""Cells that one key moves a long line."""


class LogView(ScrollView, can_focus=True, inherit_bindings=False):
    """Lines, newest last; at most `log_lines.KEPT` of them."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = set(NAMES.values())
    DEFAULT_CSS = """
    LogView {
        width: 1fr;
        height: 1fr;
        color: $text;
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-size-vertical: 1;
        scrollbar-gutter: stable;
        & > .log-view--ours { color: $text-accent; text-style: italic; }
        & > .log-view--bad { color: $text-error; }
        & > .log-view--warn { color: $text-warning; }
        & > .log-view--dim { color: $text-muted; }
        & > .log-view--empty { color: $text-muted; }
        & > .log-view--cursor { background: $primary 35%; }
        & > .log-view--marked { background: $accent 25%; }
        & > .log-view--match { background: $warning 35%; }
        & > .log-view--found { background: $warning; color: auto 100%; text-style: bold; }
        &:ansi > .log-view--cursor { background: transparent; text-style: bold; }
        &:ansi > .log-view--marked { background: transparent; text-style: underline; }
        &:ansi > .log-view--match { background: transparent; text-style: reverse; }
        &:ansi > .log-view--found { background: transparent; text-style: bold reverse; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "follow", "Follow or pause", id="log.follow"),
        Binding("n", "older", "Older match", id="log.older"),
        Binding("N", "newer", "Newer match", id="log.newer"),
        Binding("w", "wrap", "Wrap", id="log.wrap"),
        Binding("v", "mark", "Mark", id="log.mark"),
        Binding("y", "copy", "Copy lines", id="log.copy"),
        Binding("Y", "copy_all", "Copy everything", id="log.copy_all", show=False),
        *movement("log", "Oldest line", "Newest line, and follow"),
        Binding("left,h", "shift(-1)", "Back to the left", show=False, id="log.left"),
        Binding("right,l", "shift(1)", "More of long lines", show=False, id="log.right"),
    ]

    following: reactive[bool] = reactive(True, init=False, repaint=False)
    unseen: reactive[int] = reactive(0, init=False, repaint=False)
    """Lines that came since it was paused."""
    wrap: reactive[bool] = reactive(True, init=False)
    """Whether a long line takes several rows."""

    class Changed(Message):
        """It follows or is paused, more has come, or another line was found."""

    class Copied(Message):
        """These lines are to be copied."""

        def __init__(self, text: str, lines: int) -> None:
            super().__init__()
            self.text, self.lines = text, lines

    def __init__(self, empty: Callable[[], str], *, id: str | None = None) -> None:
        """`empty` gives what to say where there are no lines."""
        super().__init__(id=id)
        self._lines = LogLines()
        self._empty = empty
        self._style = LayeredStyles(self)
        self._painter = LogPainter(self._style)
        self._cursor = 0
        self._anchor: int | None = None
        self._left = 0
        self.query_text = ""

    @property
    def lines(self) -> LogLines:
        """What is held."""
        return self._lines

    @property
    def cursor(self) -> int:
        """Number of the line the cursor is on; following, the newest."""
        last = max(self._lines.first, self._lines.end - 1)
        return last if self.following else min(max(self._cursor, self._lines.first), last)

    @property
    def marked(self) -> range:
        """Numbers of the marked lines; empty while none are marked."""
        if self._anchor is None:
            return range(0)
        start, stop = sorted((max(self._anchor, self._lines.first), self.cursor))
        return range(start, stop + 1)

    def extend(self, lines: Iterable[LogLine]) -> None:
        """More has come."""
        before = self._lines.end
        dropped = self._lines.extend(lines)
        top = round(self.scroll_target_y)
        self._count_rows()
        if self.following:
            self._to_end()
        else:
            self.unseen += self._lines.end - before
            if dropped:
                self._scroll(max(0, top - dropped))
        self.post_message(self.Changed())
        self.refresh()

    def clear_lines(self) -> None:
        """Forget everything and follow, as when another stream is shown."""
        self._lines.clear()
        self._anchor = None
        self._count_rows()
        self.action_last()

    def search(self, text: str) -> None:
        """Look for this; the nearest older match is shown, or else the nearest newer one."""
        self.query_text = text
        self._lines.search(text)
        if text:
            at = self.cursor
            found = self._lines.older(at + 1)
            found = self._lines.newer(at) if found is None else found
            if found is not None:
                self._go(found)
        self._notify_changed()

    def escape(self) -> bool:
        """Drop the marks, or else the search; False where there is neither."""
        if self._anchor is not None:
            self._anchor = None
        elif self.query_text:
            self.search("")
        else:
            return False
        self._notify_changed()
        return True

    def action_follow(self) -> None:
        """Follow again, or pause here."""
        if self.following:
            self._pause()
        else:
            self.action_last()

    def action_first(self) -> None:
        """Go to the oldest line."""
        self._go(self._lines.first)

    def action_last(self) -> None:
        """Show the newest line and stay with it."""
        self.unseen = 0
        self.following = True
        self._to_end()
        self._notify_changed()

    def action_move(self, lines: int) -> None:
        """Move the cursor; down from the newest line follows."""
        target = self.cursor + lines
        if lines > 0 and target >= self._lines.end:
            if self._anchor is None:
                self.action_last()
            return
        self._go(target)

    def action_page(self, pages: float) -> None:
        """Move by a part of the screen, counted in rows."""
        step = max(1, int((self._page_rows - 1) * abs(pages)))
        row = self._lines.row_of(self.cursor) + (step if pages > 0 else -step)
        if row >= len(self._lines.rows):
            if self._anchor is None:
                self.action_last()
            return
        if self._lines.rows:
            self._go(self._lines.rows[max(0, row)].number)

    def action_shift(self, way: int) -> None:
        """Move long lines sideways; wrapped ones have nothing hidden."""
        if not self.wrap:
            longest = max(0, self._lines.widest - self._width)
            self._left = min(max(0, self._left + way * SHIFT), longest)
            self.refresh()

    def action_wrap(self) -> None:
        """Wrap long lines, or cut them."""
        self.wrap = not self.wrap

    def action_older(self) -> None:
        """Go to the nearest match before the cursor."""
        self._find(self._lines.older(self.cursor))

    def action_newer(self) -> None:
        """Go to the nearest match after the cursor."""
        self._find(self._lines.newer(self.cursor))

    def action_mark(self) -> None:
        """Mark from here on as the cursor moves, or stop."""
        cursor = self.cursor
        self._pause()
        self._anchor = cursor if self._anchor is None and len(self._lines) else None
        self._notify_changed()

    def action_copy(self) -> None:
        """Copy the marked lines, or the one under the cursor."""
        self._copy(self.marked or range(self.cursor, min(self.cursor + 1, self._lines.end)))
        self._anchor = None
        self._notify_changed()

    def action_copy_all(self) -> None:
        """Copy every line that is held."""
        self._copy(range(self._lines.first, self._lines.end))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is nothing to step through without a search."""
        if action in ("older", "newer"):
            return bool(self.query_text) or None
        return True

    def watch_wrap(self) -> None:
        """Lay everything out anew; the line under the cursor stays in sight."""
        self._left = 0
        self._lay_out()
        self._notify_changed()

    def watch_following(self) -> None:
        """Tell the pane."""
        self.post_message(self.Changed())

    def watch_unseen(self) -> None:
        """Tell the pane."""
        self.post_message(self.Changed())

    def watch_show_vertical_scrollbar(self, shown: bool) -> None:
        """A scrollbar that comes begins where the rows are."""
        if shown:
            self.vertical_scrollbar.position = self.scroll_y

    def render_lines(self, crop: Region) -> list[Strip]:
        """The strips of a region."""
        self._wrap_if_needed()
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """A row of a line, the empty state or a blank."""
        at = self.scroll_offset.y + y
        if at < len(self._lines.rows):
            row = self._lines.rows[at]
            return self._painter.row(
                self._lines,
                row,
                self._whole,
                here=not self.following and row.number == self.cursor,
                marked=row.number in self.marked,
                left=None if self.wrap else self._left,
            )
        if not len(self._lines) and y == 1:
            return self._painter.message(self._empty(), self._whole)
        return self._painter.blank(self._whole)

    def notify_style_update(self) -> None:
        """The theme, the focus or a stylesheet changed."""
        super().notify_style_update()
        self._style.invalidate()

    def on_resize(self, _: events.Resize) -> None:
        """Rows depend on the width."""
        self._lay_out()

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on a line; with shift, mark up to it."""
        row = self.scroll_offset.y + event.y
        if row >= len(self._lines.rows):
            return
        if event.shift and self._anchor is None:
            self._anchor = self.cursor
        elif not event.shift:
            self._anchor = None
        self._go(self._lines.rows[row].number)

    def on_mouse_scroll_up(self, _: events.MouseScrollUp) -> None:
        """Scrolling up pauses."""
        self._pause()

    def on_mouse_scroll_down(self, _: events.MouseScrollDown) -> None:
        """The wheel at the end follows again."""
        if not self.following and self.scroll_target_y >= self.max_scroll_y:
            self.action_last()

    def on_scroll_up(self, _: ScrollUp) -> None:
        """A click above the scrollbar's grip pauses."""
        self._pause()

    def on_scroll_to(self, message: ScrollTo) -> None:
        """Dragging the grip up pauses."""
        if message.y is not None and message.y < self.max_scroll_y:
            self._pause()

    @property
    def _whole(self) -> int:
        return self.scrollable_content_region.width

    @property
    def _width(self) -> int:
        """Cells of a row's text."""
        return max(1, self._whole - GUTTER)

    @property
    def _page_rows(self) -> int:
        return max(1, self.container_size.height)

    def _lay_out(self) -> None:
        top = self._lines.number_at(round(self.scroll_target_y))
        if self._lines.lay_out(self._width if self.wrap else None):
            self._count_rows()
            if self.following:
                self._to_end()
            else:
                self._scroll(self._lines.row_of(top))
                self._reveal(self.cursor)
        elif self.following:
            self._to_end()
        self.refresh()

    def _wrap_if_needed(self) -> None:
        if self.wrap and self._lines.lay_out(self._width):
            self._count_rows()

    def _count_rows(self) -> None:
        self.virtual_size = Size(0, len(self._lines.rows))

    def _pause(self) -> None:
        if self.following:
            self._cursor = self.cursor
            self.following = False
            self._notify_changed()

    def _find(self, number: int | None) -> None:
        if number is not None:
            self._go(number)

    def _go(self, number: int) -> None:
        if not len(self._lines):
            return
        self._pause()
        self._cursor = min(max(number, self._lines.first), self._lines.end - 1)
        self._reveal(self._cursor)
        self._notify_changed()

    def _reveal(self, number: int) -> None:
        row, rows = self._lines.row_of(number), self._lines.rows_of(number)
        top = round(self.scroll_target_y)
        if row < top:
            self._scroll(row)
        elif row + rows > top + self._page_rows:
            self._scroll(min(row, row + rows - self._page_rows))

    def _to_end(self) -> None:
        self._scroll(max(0, len(self._lines.rows) - self._page_rows))

    def _scroll(self, top: int) -> None:
        if self.is_attached:
            self.scroll_to(y=top, animate=False, force=True)

    def _notify_changed(self) -> None:
        self.refresh()
        self.refresh_bindings()
        self.post_message(self.Changed())

    def _copy(self, numbers: range) -> None:
        text, count = self._lines.text_of(numbers)
        if count:
            self.post_message(self.Copied(text, count))
