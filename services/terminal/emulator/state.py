"""Screen state: cells, cursor, margins, modes, tab stops; and its reset."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from services.terminal.cells import BACKGROUND, CursorShape
from services.terminal.emulator.row import Page, Row
from services.terminal.emulator.scrollback import Scrollback
from services.terminal.emulator.styles import Attribute, Attributes, Protection
from services.terminal.emulator.widths import Clusters

TAB = 8
CELL_WIDTH, CELL_HEIGHT = 8, 16
"""The size of a cell in pixels we speak of when asked; nothing here has pixels."""
ROW_COST = 32
"""What a change of a row costs besides its cells, in cells."""
CONFORMANCE = 4
"""The DEC level we answer as: VT420."""

Beginning: TypeAlias = tuple[int, Any, Any]
"""What a sequence is: its kind and two values it needs."""
Meaning: TypeAlias = "tuple[int, Any, Any, str | tuple[str, ...], int]"
"""What a sequence and the text after it mean: a kind and two values it needs, then the text, in
pieces where common controls are in it, and its width, -1 where it takes a closer look."""
Charset: TypeAlias = "dict[int, str] | None"
"""What to print instead of some ASCII characters; None for ASCII itself."""
_LINES = dict(
    zip(range(0x5F, 0x7F), " ◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·", strict=True)
)  # fmt: skip
_SETS: dict[str, Charset] = {"0": _LINES, "2": _LINES, "A": {0x23: "£"}}


def charset(designator: str) -> Charset:
    """The set of a designating final byte; one we do not have is taken for ASCII."""
    return _SETS.get(designator)


@dataclass(frozen=True, slots=True)
class SavedCursor:
    """DECSC."""

    x: int
    y: int
    pending: bool
    attribute: Attribute
    charsets: tuple[Charset, ...]
    gl: int
    origin: bool


class ScreenState:
    """The fields every part of the screen works on.

    Columns and lines count from 0. `pending` means that the cursor stands on the last column and
    the next character wraps first.
    """

    def __init__(
        self, columns: int, lines: int, reply: Callable[[bytes], None] | None, history: int
    ) -> None:
        self.columns = columns
        self.lines = lines
        self.reply = reply
        self.attributes = Attributes()
        self.clusters = Clusters()
        self.plain = self.attributes.plain
        self.page = Page(columns, self.clusters, self.plain)
        self.history = Scrollback(history, self.page)
        self.meanings: dict[str, Meaning] = {}
        """Pieces seen before; valid for this size without origin mode."""
        self.unlearnt = 0
        """How many pieces passed by since there was no room for more."""
        self.beginnings: dict[str, Beginning] = {}
        """What the sequences of pieces are; valid as long."""
        self.positions: dict[str, tuple[int, int]] = {}
        """CUP sequences seen before, as (y, x); valid for this size without origin mode."""
        self.operations: dict[str, tuple[Callable[..., None], tuple[int, ...]]] = {}
        """Sequences seen before: handler and parameters."""
        self.cell_operations: dict[str, tuple[Callable[[int], None], int, bool]] = {}
        """Those with one parameter that change only cells and the place of the cursor, and
        whether they end a pending wrap."""
        self.known_texts: dict[str, str] = {}
        """Short texts seen before, normalised."""
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
        self.damage_base: list[Row] | None = None
        """The rows as they were when damage was last taken; None means everything changed."""
        self.reset_state()

    def reset_state(self) -> None:
        """Set everything but the scrollback to its initial value."""
        self.cost += 2 * self.lines * ROW_COST
        self.rows = self.blank_rows(self.lines)
        self.other_rows = self.blank_rows(self.lines)
        self.on_alternate = False
        self.saved: dict[bool, SavedCursor] = {}
        self.tabs = set(range(TAB, self.columns, TAB))
        self.x = self.y = 0
        self.pending = False
        self.private: set[int] = {7, 25, 1007}
        self.ansi: set[int] = set()
        self.saved_modes: dict[int, bool] = {}
        self.modify_other_keys = 0
        self.keyboards: dict[bool, list[int]] = {False: [0], True: [0]}
        """Flags of the Kitty keyboard protocol, a stack for each of the two screens."""
        self.level = CONFORMANCE
        self.last = ""
        """The text drawn last, for REP."""
        self.protected = False
        """Whether cells were ever protected: only then erasing has to look at them."""
        self.attribute_extent = 0
        self.damage_base = None
        self.apply_soft_reset()

    def apply_soft_reset(self) -> None:
        """What a soft reset sets back (DECSTR)."""
        self.attribute = self.plain
        self.charsets: list[Charset] = [None, None, None, None]
        self.gl = 0
        self.shift = 0
        """A single shift in force: 2 or 3."""
        self.private -= {1, 6, 45, 66, 69, 1045}
        self.private |= {7, 25}
        self.ansi -= {2, 4}
        self.cursor_style = 0
        self.saved.pop(self.on_alternate, None)
        self.reset_margins()
        self.update_flags()

    def reset_margins(self) -> None:
        """Margins at the edges of the screen."""
        self.top, self.bottom = 0, self.lines - 1
        self.left, self.right = 0, self.columns - 1

    def update_flags(self) -> None:
        """Recompute the flags the printing loop reads from the modes."""
        self.autowrap = 7 in self.private
        self.insert = 4 in self.ansi
        self.origin = 6 in self.private
        self.translation = self.charsets[self.gl]
        self.full_width = self.left == 0 and self.right == self.columns - 1
        self.adrift = self.pending and self.full_width and self.x != self.columns - 1
        """Whether the cursor went elsewhere without ending a pending wrap, as CBT does."""
        self.fast = (
            self.autowrap
            and not self.insert
            and self.full_width
            and self.translation is None
            and self.charsets[0] is None
            and not self.shift
            and 20 not in self.ansi
            and not self.adrift
        )
        self.backwards = not self.private.isdisjoint((41, 45, 1045))
        """Whether backspaces and tabs may wrap."""
        if self.origin and (self.positions or self.meanings):
            self.forget_positions()

    def forget_positions(self) -> None:
        """What is remembered of sequences that depends on the size or on origin mode."""
        self.meanings.clear()
        self.beginnings.clear()
        self.positions.clear()
        self.operations.clear()
        self.cell_operations.clear()

    def blank_rows(self, count: int) -> list[Row]:
        """Rows nothing was written to."""
        return [Row(self.page) for _ in range(count)]

    def blank_row(self) -> Row:
        """A row that scrolls in: it has the background of the moment."""
        row = Row(self.page)
        if not self.attribute.plain and not (blank := self.attribute.blank).plain:
            row.spans.append((" " * self.columns, blank))
            row.length = self.columns
        return row

    def send_reply(self, text: str) -> None:
        """Send an answer to the program."""
        if self.reply is not None:
            self.reply(text.encode("ascii", "replace"))

    def save_cursor(self) -> None:
        """DECSC; each screen has its own."""
        self.saved[self.on_alternate] = SavedCursor(
            self.x, self.y, self.pending, self.attribute, tuple(self.charsets), self.gl, self.origin
        )

    def restore_cursor(self) -> None:
        """DECRC; home and defaults where nothing was saved."""
        saved = self.saved.get(self.on_alternate)
        if saved is None:
            saved = SavedCursor(0, 0, False, self.plain, (None, None, None, None), 0, False)
        self.x = min(saved.x, self.columns - 1)
        self.y = min(saved.y, self.lines - 1)
        self.pending = saved.pending
        self.attribute = saved.attribute
        self.charsets = list(saved.charsets)
        self.gl = saved.gl
        if saved.origin:
            self.private.add(6)
        else:
            self.private.discard(6)
        self.update_flags()

    def protect(self, protection: Protection) -> None:
        """What is written from now on withstands these erasures."""
        self.protected = self.protected or protection is not Protection.NONE
        self.attribute = self.attributes.protected(self.attribute, protection)

    def scroll_up(self, count: int) -> None:
        """Move the region up; lines leave by the top of the main screen into the history."""
        top, bottom = self.top, self.bottom
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
            for row in rows[:count]:
                self.history.add(row)
        del rows[top : top + count]
        at = bottom + 1 - count
        rows[at:at] = [self.blank_row() for _ in range(count)]

    def scroll_line(self) -> None:
        """Move the region up by one line, between no side margins."""
        rows = self.rows
        if self.top == 0 and not self.on_alternate:
            self.history.add(rows[0])
        del rows[self.top]
        rows.insert(self.bottom, self.blank_row())

    def scroll_down(self, count: int) -> None:
        """Move the region down; lines leave by its bottom."""
        self.shift_down(self.top, count)

    def shift_down(self, top: int, count: int) -> None:
        """Move what is between a line and the bottom margin down."""
        count = min(count, self.bottom - top + 1)
        self.cost += count * ROW_COST
        if not self.full_width:
            self._scroll_columns(top, self.bottom, -count)
            return
        rows = self.rows
        if count == 1:
            del rows[self.bottom]
            rows.insert(top, self.blank_row())
            return
        at = self.bottom + 1 - count
        del rows[at : self.bottom + 1]
        rows[top:top] = [self.blank_row() for _ in range(count)]

    def shift_up(self, top: int, count: int) -> None:
        """Move what is between a line and the bottom margin up; nothing goes to the history."""
        count = min(count, self.bottom - top + 1)
        self.cost += count * ROW_COST
        if not self.full_width:
            self._scroll_columns(top, self.bottom, count)
            return
        rows = self.rows
        if count == 1:
            del rows[top]
            rows.insert(self.bottom, self.blank_row())
            return
        del rows[top : top + count]
        at = self.bottom + 1 - count
        rows[at:at] = [self.blank_row() for _ in range(count)]

    def _scroll_columns(self, top: int, bottom: int, count: int) -> None:
        """Move the cells between the left and right margins up, or down where count is negative."""
        left, end, columns = self.left, self.right + 1, self.columns
        blank = self.attribute.blank
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

    @property
    def cursor_shape(self) -> CursorShape:
        """DECSCUSR."""
        if self.cursor_style in (3, 4):
            return CursorShape.UNDERLINE
        return CursorShape.BAR if self.cursor_style in (5, 6) else CursorShape.BLOCK
