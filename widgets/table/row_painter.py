"""Draws the lines of a record table and caches each until it would look different."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from textwrap import wrap
from typing import Any, Generic, NamedTuple, TypeVar

from rich.segment import Segment
from textual.strip import Strip

from widgets.table.columns import Cell, Column, PlacedColumn, fit, lend
from widgets.table.layered_style import LayeredStyles
from widgets.text.cell_text import cut, fit_parts, sanitize_cell, width_of
from widgets.text.styled_text import TONES

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")

GUTTER = 2
"""Cells before the first column: the cursor and the mark."""
CURSOR_GLYPH, MARK_GLYPH = "›", "■"
NEVER = float("nan")
KEPT_LINES = 256
"""Lines kept drawn; the one drawn longest ago goes first."""
STATES = ("row", "header", "sorted", "cursor", "hover", "mark", "stale", "flash", "empty")
NAMES = {word: f"record-table--{word}" for word in (*STATES, *TONES)}
"""Component class of every state and tone."""

TABLE_CSS = """
RecordTable {
    width: 1fr;
    height: 1fr;
    color: $text;
    overflow-x: hidden;
    overflow-y: auto;
    scrollbar-size-vertical: 1;
    scrollbar-gutter: stable;
    & > .record-table--header { color: $text-muted; }
    & > .record-table--sorted { color: $text-accent; text-style: bold; }
    & > .record-table--empty { color: $text-muted; }
    & > .record-table--hover { background: $foreground 5%; }
    & > .record-table--cursor { background: $foreground 10%; }
    &:focus > .record-table--cursor { background: $primary 35%; text-style: bold; }
    &:ansi > .record-table--cursor { background: transparent; }
    &:ansi:focus > .record-table--cursor {
        background: transparent;
        text-style: bold underline;
    }
    & > .record-table--mark { color: $text-accent; text-style: bold; }
    & > .record-table--good { color: $text-success; }
    & > .record-table--busy { color: $text-primary; }
    & > .record-table--wait { color: $text-accent; }
    & > .record-table--calm { color: $text; }
    & > .record-table--warn { color: $text-warning; }
    & > .record-table--bad { color: $text-error; }
    & > .record-table--dim { color: $text-muted; }
    & > .record-table--stale { text-opacity: 60%; }
    & > .record-table--flash { background: $accent 40%; }
    &:ansi > .record-table--stale { text-style: dim; }
    &:ansi > .record-table--flash { background: transparent; }
}
"""
KEPT_S = 5.0
"""A text that has gone keeps its cells this long, twice at the most: columns do not jump."""


class RowState(NamedTuple):
    """The state a table adds to a record: cursor, mark, hover, stale, flash, gone."""

    cursor: bool = False
    marked: bool = False
    hover: bool = False
    stale: bool = False
    flash: frozenset[str] = frozenset()
    """Ids of the columns that have just changed."""
    gone: str = ""
    """Said at the end of the line of a record that is no more."""


@dataclass(slots=True)
class _Line(Generic[R]):
    record: R
    row_state: RowState
    now: float
    live_texts: tuple[str, ...]
    """The texts of the live columns when it was drawn."""
    strip: Strip


class RowPainter(Generic[K, R]):
    """Strips of a header and of rows, kept by record key for as many as a screen may need."""

    def __init__(self, style: LayeredStyles) -> None:
        self._style = style
        self._lines: dict[K, _Line[R]] = {}
        self._placed: tuple[PlacedColumn[R], ...] = ()
        self._live: tuple[PlacedColumn[R], ...] = ()
        self._columns: tuple[Column[R], ...] | None = None
        self._width = self._sure = 0
        self.needs = ColumnNeeds()

    @property
    def placed(self) -> tuple[PlacedColumn[R], ...]:
        """The columns as laid out; `x` counts from the gutter's end."""
        return self._placed

    def lay_out(self, columns: tuple[Column[R], ...], width: int, sure: int = 0) -> bool:
        """Place the columns that fit (`fit`, `lend`), unless all it depends on is as it was.

        Returns whether columns of the same window have moved.
        """
        same = self._columns is columns and (self._width, self._sure) == (width, sure)
        if same and not self.needs.changed:
            return False
        self._columns, self._width, self._sure = columns, width, sure
        self.needs.changed = False
        before = self._placed
        fitting = fit(columns, max(1, width - GUTTER), max(0, sure - GUTTER))
        self._placed = lend(fitting, self.needs.widths)
        if same and self._placed == before:
            return False
        self._live = tuple(p for p in self._placed if p.column.live)
        self._lines.clear()
        return same

    def measure(self, key: K, record: R, now: float, *, again: bool) -> None:
        """Note what the columns need for a record; `again`, though it has been drawn."""
        line = self._lines.get(key)
        if again or line is None or line.record is not record:
            for placed in self._placed:
                self.needs.note(placed.column, placed.column.render(record, now))

    def column_at(self, x: int) -> Column[R] | None:
        """The column at a cell, counted from the gutter's end."""
        return next((p.column for p in self._placed if p.x <= x < p.x + p.width), None)

    def invalidate(self) -> None:
        """Drop every cached line and style, as after a change of theme."""
        self._style.invalidate()
        self._lines.clear()

    def header(self, sorted_by: str | None, reverse: bool) -> Strip:
        """The titles, with an arrow at the column that orders the rows."""
        plain = self._names("header")
        chosen = self._names("header", "sorted")
        parts: list[tuple[str, tuple[str, ...]]] = [(" " * GUTTER, plain)]
        for placed in self._placed:
            column = placed.column
            here = column.id == sorted_by
            arrow = ("▼" if reverse else "▲") if here else ""
            title = cut(column.title, placed.width - len(arrow)) + arrow
            parts += [
                (text, chosen if here and text.strip() else plain)
                for text, _ in fit_parts(((title, ""),), placed.width, column.align)
            ]
            parts.append((" " * column.gap, plain))
        return self._strip(parts, plain)

    def row(self, key: K, record: R, row_state: RowState, now: float) -> Strip:
        """The line of one record at the instant `now`."""
        line = self._lines.get(key)
        live_texts: tuple[str, ...] | None = None
        if line is not None and line.record is record and line.row_state == row_state:
            if line.now == now:
                return line.strip
            live_texts = self._live_texts(record, now)
            if live_texts == line.live_texts:
                line.now = now
                return line.strip
        strip = self._draw(record, row_state, now)
        live_texts = self._live_texts(record, now) if live_texts is None else live_texts
        self._lines.pop(key, None)
        self._lines[key] = _Line(record, row_state, now, live_texts, strip)
        if len(self._lines) > KEPT_LINES:
            del self._lines[next(iter(self._lines))]
        return strip

    def renew(self, key: K, before: R, record: R) -> None:
        """A drawn record has given way to one that differs in its live columns alone."""
        line = self._lines.get(key)
        if line is not None and line.record is before:
            line.record, line.now = record, NEVER

    def changed_columns(self, key: K, record: R, now: float) -> tuple[PlacedColumn[R], ...]:
        """The live columns of a drawn line that would say something else at `now`."""
        line = self._lines.get(key)
        if line is None or line.record is not record:
            return self._live
        if line.now == now:
            return ()
        live_texts = self._live_texts(record, now)
        return tuple(
            p
            for p, new, old in zip(self._live, live_texts, line.live_texts, strict=True)
            if new != old
        )

    def changed_cells(
        self, key: K, before: R, record: R, now: float
    ) -> tuple[tuple[int, int], ...]:
        """First cell and width of each column that says something else than what is drawn."""
        line = self._lines.get(key)
        then = now if line is None or isnan(line.now) else line.now
        return tuple(
            (GUTTER + p.x, p.width)
            for p in self._placed
            if p.column.render(before, then) != p.column.render(record, now)
        )

    def spilled_text(self, record: R | None) -> str:
        """What a record has to say that does not fit its column; empty for nothing."""
        for placed in self._placed if record is not None else ():
            spills = placed.column.spills
            if record is not None and spills is not None and spills(record):
                text = placed.column.render(record, NEVER).text
                return text if width_of(text) > placed.width else ""
        return ""

    def second_line(self, record: R, row_state: RowState) -> Strip:
        """What does not fit the first line, whole, from the second column on."""
        states = [word for word in ("hover", "cursor") if getattr(row_state, word)]
        indent = GUTTER + (self._placed[1].x if len(self._placed) > 1 else 0)
        text = cut(sanitize_cell(self.spilled_text(record)), self._width - indent)
        blank = self._names(*states)
        return self._strip([(" " * indent, blank), (text, self._names(*states, "dim"))], blank)

    def message(self, text: str, at: int) -> Strip:
        """Line `at` of a text that stands centred where rows would be."""
        width = max(8, self._width - 2 * GUTTER)
        lines = [part for line in text.split("\n") for part in (wrap(line, width) or [""])]
        if not 0 <= at < len(lines):
            return self.blank()
        names = self._names("empty")
        text = cut(sanitize_cell(lines[at]), self._width)
        left = (self._width - width_of(text)) // 2
        return self._strip([(" " * left + text, names)], names)

    def blank(self) -> Strip:
        """A line without a record."""
        return Strip.blank(self._width, self._style(*self._names()))

    def _live_texts(self, record: R, now: float) -> tuple[str, ...]:
        return tuple(p.column.render(record, now).text for p in self._live)

    def _draw(self, record: R, row_state: RowState, now: float) -> Strip:
        states = [word for word in ("hover", "cursor") if getattr(row_state, word)]
        late = ["stale"] if row_state.stale or row_state.gone else []
        here = CURSOR_GLYPH if row_state.cursor else " "
        glyph = here + (MARK_GLYPH if row_state.marked else " ")
        blank = self._names(*states)
        parts: list[tuple[str, tuple[str, ...]]] = [(glyph, self._names(*states, "mark"))]
        for placed in self._placed:
            column = placed.column
            flash = ["flash"] if column.id in row_state.flash else []
            cell = column.render(record, now)
            self.needs.note(column, cell)
            fitting = cell.fitting(placed.width)
            for text, tone in fit_parts(fitting, placed.width, column.align):
                tones = ["dim"] if row_state.gone else [tone] if tone in TONES else []
                parts.append((text, self._names(*states, *tones, *late, *flash)))
            parts.append((" " * column.gap, blank))
        strip = self._strip(parts, blank)
        if not row_state.gone:
            return strip
        note = cut(f" {row_state.gone}", self._width)
        style = self._style(*self._names(*states, "warn"))
        left = strip.crop(0, self._width - width_of(note))
        return Strip.join([left, Strip([Segment(note, style)])])

    @staticmethod
    def _names(*words: str) -> tuple[str, ...]:
        return (NAMES["row"], *(NAMES[word] for word in words))

    def _strip(self, parts: Sequence[tuple[str, tuple[str, ...]]], pad: tuple[str, ...]) -> Strip:
        segments: list[Segment] = []
        held, names = "", pad
        for text, its in parts:
            if its == names:
                held += text
                continue
            if held:
                segments.append(Segment(held, self._style(*names)))
            held, names = text, its
        if held:
            segments.append(Segment(held, self._style(*names)))
        return Strip(segments).adjust_cell_length(self._width, self._style(*pad))


class ColumnNeeds:
    """The widest text of each column, at least its title; what has gone is forgotten by and by.

    A column of one width alone needs that.
    """

    def __init__(self) -> None:
        self._now: dict[str, int] = {}
        self._before: dict[str, int] = {}
        self._since = 0.0
        self.changed = False
        """Whether columns placed by it would be placed otherwise now."""

    @property
    def widths(self) -> Mapping[str, int]:
        """Cells by the id of the column."""
        return {
            id: max(self._now.get(id, 0), self._before.get(id, 0))
            for id in {*self._now, *self._before}
        }

    def note(self, column: Column[Any], cell: Cell) -> None:
        """A column says this of some row."""
        id, needed = column.id, cell.needed
        if needed <= self._now.get(id, -1):
            return
        if id not in self._now:
            title = width_of(column.title) + bool(column.sort_key)
            needed = max(needed, title if column.least else column.width)
        self.changed |= needed > max(self._now.get(id, -1), self._before.get(id, -1))
        self._now[id] = needed

    def is_due(self, now: float) -> bool:
        """Whether it is time to forget; what is on the screen has to be noted then."""
        if abs(now - self._since) < KEPT_S:
            return False
        before = self.widths
        self._now, self._before, self._since = {}, self._now, now
        self.changed |= before != self.widths
        return True

    def clear(self) -> None:
        """Other rows are to come."""
        self._now, self._before = {}, {}
        self.changed = True
