"""The screen: rows and scrollback, and the cursor, margins, modes, tab stops and sets it owns."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TypeAlias

from services.terminal.cells import BACKGROUND
from services.terminal.emulator.memo import Memo
from services.terminal.emulator.row import NO_LOG, Row, RowDefaults
from services.terminal.emulator.scrollback import Scrollback
from services.terminal.emulator.state import (
    ROW_COST,
    Charsets,
    Margins,
    ModeFlags,
    SavedCursor,
    ScreenCursor,
    TabStops,
)
from services.terminal.emulator.styles import Attributes, Protection
from services.terminal.emulator.widths import Clusters

Handler: TypeAlias = "Callable[..., None]"
"""What obeys a control or a sequence: a function of the screen and the sequence's numbers."""


class Screen:
    """What sequences change; the handlers of `dispatch` are functions of it."""

    def __init__(
        self,
        columns: int,
        lines: int,
        reply: Callable[[bytes], None] | None,
        history: int,
        controls: Mapping[str, Handler],
    ) -> None:
        self.columns = columns
        self.lines = lines
        self.reply = reply
        self.controls = controls
        self.attributes = Attributes()
        self.clusters = Clusters()
        self.plain = self.attributes.plain
        self.defaults = RowDefaults(columns, self.clusters, self.plain)
        self.history = Scrollback(history, self.defaults)
        self.memo = Memo()
        self.cost = 0
        """Cells that were changed or looked at by all but plain printing, since the start."""
        self.cost_limit = sys.maxsize
        """Where parsing stops for now, once `cost` has passed it."""
        self.bells = 0
        self.title = ""
        self.icon_title = ""
        self.folder = ""
        self.titles: list[tuple[str | None, str | None]] = []
        self.colours: dict[int, int] = {}
        self.palette: Mapping[int, int] = {}
        """The theme's colours."""
        self.special_colours: dict[int, int] = {}
        self.allow_clipboard = False
        self.allow_title_report = False
        self.on_clipboard: Callable[[str], None] | None = None
        self.damage_base: list[Row] | None = None
        """The rows as they were when damage was last taken; None means everything changed."""
        self.reset_state()

    def reset_state(self) -> None:
        """Set everything but the scrollback to its initial value."""
        self.cost += 2 * self.lines * ROW_COST
        self.rows = self.blank_rows(self.lines)
        self.other_rows = self.blank_rows(self.lines)
        self.on_alternate = False
        self.cursor = ScreenCursor(self.plain)
        self.margins = Margins(self.columns, self.lines)
        self.modes = ModeFlags()
        self.tabs = TabStops(self.columns)
        self.charsets = Charsets()
        self.last = ""
        """The text drawn last, for REP."""
        self.protected = False
        """Whether cells were ever protected: only then erasing has to look at them."""
        self.attribute_extent = 0
        self.damage_base = None
        self.update_flags()

    def apply_soft_reset(self) -> None:
        """What a soft reset sets back (DECSTR)."""
        self.cursor.attribute = self.plain
        self.cursor.style = 0
        self.cursor.saved.pop(self.on_alternate, None)
        self.charsets = Charsets()
        self.modes.apply_soft_reset()
        self.reset_margins()
        self.update_flags()

    def reset_margins(self) -> None:
        """Margins at the edges of the screen."""
        self.margins.reset(self.columns, self.lines)

    def update_flags(self) -> None:
        """Recompute the flags the printing loop reads from the modes."""
        cursor, margins, private = self.cursor, self.margins, self.modes.private
        self.autowrap = 7 in private
        self.insert = 4 in self.modes.ansi
        self.origin = 6 in private
        self.full_width = margins.left == 0 and margins.right == self.columns - 1
        self.adrift = cursor.pending and self.full_width and cursor.x != self.columns - 1
        """Whether the cursor went elsewhere without ending a pending wrap, as CBT does."""
        self.fast = (
            self.autowrap
            and not self.insert
            and self.full_width
            and self.charsets.plain
            and 20 not in self.modes.ansi
            and not self.adrift
        )
        self.backwards = not private.isdisjoint((41, 45, 1045))
        """Whether backspaces and tabs may wrap."""
        if self.origin and self.memo.positions:
            self.memo.clear()

    def blank_rows(self, count: int) -> list[Row]:
        """Rows nothing was written to."""
        return [Row(self.defaults) for _ in range(count)]

    def blank_row(self) -> Row:
        """A row that scrolls in: it has the background of the moment."""
        row = Row(self.defaults)
        if not self.cursor.attribute.plain and not (blank := self.cursor.attribute.blank).plain:
            row.spans += " " * self.columns, blank
            row.length = self.columns
        return row

    @property
    def in_region(self) -> bool:
        """Whether the cursor stands between all four margins."""
        cursor, margins = self.cursor, self.margins
        return (
            margins.top <= cursor.y <= margins.bottom and margins.left <= cursor.x <= margins.right
        )

    def send_reply(self, text: str) -> None:
        """Send an answer to the program."""
        if self.reply is not None:
            self.reply(text.encode("ascii", "replace"))

    def save_cursor(self) -> None:
        """DECSC; each screen has its own."""
        self.cursor.saved[self.on_alternate] = SavedCursor(
            self.cursor.x,
            self.cursor.y,
            self.cursor.pending,
            self.cursor.attribute,
            tuple(self.charsets.designated),
            self.charsets.gl,
            self.origin,
        )

    def restore_cursor(self) -> None:
        """DECRC; home and defaults where nothing was saved."""
        saved = self.cursor.saved.get(self.on_alternate)
        if saved is None:
            saved = SavedCursor(0, 0, False, self.plain, (None, None, None, None), 0, False)
        self.cursor.x = min(saved.x, self.columns - 1)
        self.cursor.y = min(saved.y, self.lines - 1)
        self.cursor.pending = saved.pending
        self.cursor.attribute = saved.attribute
        self.charsets.designated = list(saved.charsets)
        self.charsets.gl = saved.gl
        if saved.origin:
            self.modes.private.add(6)
        else:
            self.modes.private.discard(6)
        self.update_flags()

    def protect(self, protection: Protection) -> None:
        """What is written from now on withstands these erasures."""
        self.protected = self.protected or protection is not Protection.NONE
        self.cursor.attribute = self.attributes.protected(self.cursor.attribute, protection)

    def scroll_up(self, count: int) -> None:
        """Move the region up; lines leave by the top of the main screen into the history."""
        top, bottom = self.margins.top, self.margins.bottom
        count = min(count, bottom - top + 1)
        self.cost += count * ROW_COST
        if not self.full_width:
            self._scroll_columns(top, bottom, count)
            return
        rows = self.rows
        if count == 1:
            self.scroll_line()
            return
        if top == 0 and not self.on_alternate:
            self.cost += count * self.columns
            for row in rows[:count]:
                self.history.add(row)
        del rows[top : top + count]
        at = bottom + 1 - count
        rows[at:at] = [self.blank_row() for _ in range(count)]

    def scroll_line(self) -> None:
        """Move the region up by one line, between no side margins."""
        margins, rows = self.margins, self.rows
        row = rows.pop(margins.top)
        grid = row.length < 0
        if margins.top == 0 and not self.on_alternate:
            if grid:
                self.cost += self.columns
            self.history.add(row)
        if self.cursor.attribute.plain:
            # The line that went comes back as the new one, at half the cost of another object.
            row.spans = []
            row.length = row.clean = 0
            row.wide = row.wrapped = False
            row.marks = ()
            if grid:
                row.log = NO_LOG
                row.cells = None
        else:
            row = self.blank_row()
        rows.insert(margins.bottom, row)

    def scroll_down(self, count: int) -> None:
        """Move the region down; lines leave by its bottom."""
        self.shift_down(self.margins.top, count)

    def shift_down(self, top: int, count: int) -> None:
        """Move what is between a line and the bottom margin down."""
        count = min(count, self.margins.bottom - top + 1)
        self.cost += count * ROW_COST
        if not self.full_width:
            self._scroll_columns(top, self.margins.bottom, -count)
            return
        rows = self.rows
        if count == 1:
            del rows[self.margins.bottom]
            rows.insert(top, self.blank_row())
            return
        at = self.margins.bottom + 1 - count
        del rows[at : self.margins.bottom + 1]
        rows[top:top] = [self.blank_row() for _ in range(count)]

    def shift_up(self, top: int, count: int) -> None:
        """Move what is between a line and the bottom margin up; nothing goes to the history."""
        count = min(count, self.margins.bottom - top + 1)
        self.cost += count * ROW_COST
        if not self.full_width:
            self._scroll_columns(top, self.margins.bottom, count)
            return
        rows = self.rows
        if count == 1:
            del rows[top]
            rows.insert(self.margins.bottom, self.blank_row())
            return
        del rows[top : top + count]
        at = self.margins.bottom + 1 - count
        rows[at:at] = [self.blank_row() for _ in range(count)]

    def _scroll_columns(self, top: int, bottom: int, count: int) -> None:
        """Move the cells between the left and right margins up, or down where count is negative."""
        left, end = self.margins.left, self.margins.right + 1
        blank = self.cursor.attribute.blank
        grids = [self.grid(y) for y in range(top, bottom + 1)]
        self.cost += len(grids) * (end - left + ROW_COST)
        for row in grids:
            if row.wide:
                row.clear_split_wide(left, end)
        size = len(grids)
        for index in range(size) if count > 0 else range(size - 1, -1, -1):
            row = grids[index]
            if not 0 <= index + count < size:
                row.erase(left, end, blank)
                continue
            source = grids[index + count]
            assert row.cells is not None
            assert source.cells is not None
            row.cells[left:end] = source.cells[left:end]
            row.attributes[left:end] = source.attributes[left:end]
            row.wide = row.wide or source.wide
            row.clean = 0

    @property
    def keyboard(self) -> list[int]:
        """The stack of Kitty keyboard flags of the screen that is shown; the last one counts."""
        return self.modes.keyboards[self.on_alternate]

    @property
    def dark(self) -> bool:
        """Whether the theme's background is a dark colour."""
        colour = self.palette.get(BACKGROUND, 0)
        red, green, blue = colour >> 16 & 255, colour >> 8 & 255, colour & 255
        return 299 * red + 587 * green + 114 * blue < 128_000

    def grid(self, y: int) -> Row:
        """A row in grid form."""
        row = self.rows[y]
        row.to_grid()
        return row

    def control(self, char: str) -> None:
        """Obey a C0 control; those that mean nothing here are ignored."""
        handler = self.controls.get(char)
        if handler is not None:
            handler(self)
