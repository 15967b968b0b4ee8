"""A virtual table of records known by key, with the keys and the mouse of every list here.

Only the lines on the screen are drawn, and only those of records that changed are drawn again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

from textual import events
from textual.binding import BindingType
from textual.geometry import Region
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from widgets.table import messages, sort_order
from widgets.table.bindings import TABLE_BINDINGS
from widgets.table.changed_cells import ChangedCells
from widgets.table.columns import Column, row_text
from widgets.table.ghosts import Ghosts
from widgets.table.layered_style import LayeredStyles
from widgets.table.marks import Marks
from widgets.table.read_ahead import ReadAhead
from widgets.table.record_model import Aside, Change, Overlay, RecordModel
from widgets.table.row_drawing import RowDrawing
from widgets.table.row_painter import GUTTER, NAMES, TABLE_CSS, RowPainter
from widgets.table.row_window import HEADER, RowWindow, ViewPosition
from widgets.table.table_layout import TableLayout

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")


class RecordTable(ScrollView, Generic[K, R], can_focus=True, inherit_bindings=False):
    """Rows of `R` under one header line; every row has a key `K` that never changes.

    Moves, sorts, filters, marks and opens rows; it acts on keys, never on row numbers.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = set(NAMES.values())
    DEFAULT_CSS = TABLE_CSS
    BINDINGS: ClassVar[list[BindingType]] = TABLE_BINDINGS

    Highlighted: TypeAlias = messages.Highlighted
    CursorLost: TypeAlias = messages.CursorLost
    Opened: TypeAlias = messages.Opened
    Sorted: TypeAlias = messages.Sorted
    Filtered: TypeAlias = messages.Filtered
    MarksChanged: TypeAlias = messages.MarksChanged

    GONE: ClassVar[str] = "gone since {at}"
    """What a row says whose record went away while the operator was on it."""

    now: reactive[float] = reactive(0.0, repaint=False)
    """The instant ages are counted from, seconds since the epoch."""
    flashing: reactive[bool] = reactive(True, repaint=False)
    """Whether a changed state flashes once."""
    sure_width = 0
    """Cells that it has at every greater size of the screen; 0 where its own width is that."""

    def __init__(
        self,
        columns: Sequence[Column[R]],
        *,
        key: Callable[[R], K],
        search: Callable[[R], str] | None = None,
        order: Callable[[R], Any] | None = None,
        aside: Aside[R] | None = None,
        stale: Callable[[R], bool] = lambda _: False,
        ghost: Callable[[R, str], R] = lambda record, _: record,
        empty: Callable[[], str] = lambda: "",
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """`ghost` makes what is shown of a record that went away, given since when in words."""
        super().__init__(id=id, classes=classes)
        self.columns = tuple(columns)
        """All columns, also those that do not fit; `set_columns` changes them."""
        text = search or (lambda record: row_text(self.columns, record, self.now))
        self._model: RecordModel[K, R] = RecordModel(key, text, order, aside)
        self._read_ahead = ReadAhead(self, self._model) if search is not None else None
        self._marks: Marks[K] = Marks()
        self._painter: RowPainter[K, R] = RowPainter(LayeredStyles(self))
        self.empty = empty
        """What to say where there are no rows."""
        self._window: RowWindow[K] = RowWindow(self, self._model, self._first_cursor)
        self._ghosts = Ghosts(self._model, self._window, self._marks, ghost, self.GONE)
        self._changed = ChangedCells(self, self._model, self._window, self._painter)
        self._drawing: RowDrawing[K, R] = RowDrawing(
            *(self._model, self._window, self._marks, self._ghosts, self._changed, self._painter),
            stale,
        )
        self._table_layout: TableLayout[K, R] = TableLayout(
            *(self, self._model, self._window, self._ghosts, self._painter),
            lambda: (self.columns, self.sure_width, self.now),
        )
        self._sort = sort_order.NATURAL

    @property
    def cursor_key(self) -> K | None:
        """The record the cursor is on."""
        return self._window.cursor

    @property
    def keys(self) -> Sequence[K]:
        """Keys of the visible rows, in order."""
        return self._model.visible

    @property
    def total(self) -> int:
        """How many records there are, shown or filtered out; ghosts are none."""
        return self._model.total

    @property
    def shown(self) -> int:
        """How many records are shown; ghosts are none."""
        return len(self._model) - self._ghosts.visible

    @property
    def shown_columns(self) -> tuple[str, ...]:
        """Ids of the columns that fit."""
        self._table_layout.place_columns()
        return tuple(p.column.id for p in self._painter.placed)

    def records(self) -> Iterable[R]:
        """Every record, shown or filtered out."""
        return self._model.records()

    def record(self, key: K | None = None) -> R | None:
        """The record of `key`, or the one under the cursor."""
        wanted = self._window.cursor if key is None else key
        return None if wanted is None else self._model.record(wanted)

    def cell_text(self, column: str, key: K | None = None) -> str:
        """What a column says of a record, whole; empty where there is no such record or column."""
        record = self.record(key)
        columns = [] if record is None else [c for c in self.columns if c.id == column]
        texts = (c.render(record, self.now).text for c in columns if record is not None)
        return next(texts, "").rstrip()

    def reconcile(
        self, upserted: Iterable[R], removed: Iterable[K] = (), *, at: float | None = None
    ) -> Change[K, R]:
        """Apply a delta: what is new or changed, and keys gone since `at`.

        What is under the cursor or marked stays, as a ghost if it is gone.
        """
        place = self._window.position()
        change, unmarked = self._ghosts.reconcile(
            upserted, removed, self.now if at is None else at, cursor=self._holds_cursor()
        )
        if unmarked:
            self.post_message(messages.MarksChanged(self, self.marked))
        if change.updated and self.flashing:
            self._changed.begin(change, self.now)
        if self._read_ahead is not None:
            self._read_ahead.begin()
        if change.moved:
            self._restore_position(place)
        else:
            self._drawing.repaint(change, self.now)
        self._table_layout.settle()
        return change

    def renew(self, records: Mapping[K, R]) -> None:
        """Take records that differ from the ones held in what the live columns say, as in age."""
        place = self._window.position()
        if self._changed.renew_live(records, sorted_by_live=self._sorted_by_live):
            self._restore_position(place)
        self._changed.repaint_live(self.now)

    def set_overlay(self, overlay: Overlay[R] | None) -> None:
        """Show this beside what the records say themselves."""
        place = self._window.position()
        if self._model.set_overlay(overlay):
            self._restore_position(place)
        self.refresh()

    def clear_records(self) -> None:
        """Forget everything, as when another subject is shown."""
        self._model.clear()
        self._ghosts.clear()
        self._marks.clear()
        self._changed.clear()
        self._painter.invalidate()
        self._painter.needs.clear()
        self._window.set_cursor(None)
        self._window.count_rows()
        self._window.scroll(0)
        self.refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        """The strips of a region, laid out for the present width."""
        self._table_layout.place_columns()
        strips = super().render_lines(crop)
        self._table_layout.check()
        return strips

    def render_line(self, y: int) -> Strip:
        """A line as it is drawn."""
        return self._drawing.line(y, self.now, self._sort, self.empty)

    def notify_style_update(self) -> None:
        """The theme, the focus or a stylesheet changed: what was drawn is of no use."""
        super().notify_style_update()
        self._painter.invalidate()

    def watch_now(self) -> None:
        """Repaint the cells whose age reads differently; order anew where that is the order."""
        if self._sorted_by_live:
            place = self._window.position()
            if self._model.rearrange():
                self._restore_position(place)
        self._changed.end_due()
        self._changed.repaint_live(self.now)

    def watch_show_vertical_scrollbar(self, shown: bool) -> None:
        """A scrollbar that comes begins where the rows are."""
        if shown:
            self.vertical_scrollbar.position = self.scroll_y

    def on_resize(self, _: events.Resize) -> None:
        """Keep the cursor on the screen."""
        self._table_layout.settle()
        row = self._model.row(self._window.cursor)
        if row is not None:
            self._window.reveal(row)

    @property
    def filter_text(self) -> str:
        """The active filter, as typed."""
        return self._model.filter

    @property
    def sort(self) -> sort_order.SortOrder:
        """What the rows are ordered by."""
        return self._sort

    @property
    def marked(self) -> tuple[K, ...]:
        """Marked records that are shown, in their order: the ones a verb is for."""
        return self._marks.among(self._model.visible)

    def set_columns(self, columns: Sequence[Column[R]]) -> None:
        """Show other columns; a sort by one that is gone ends."""
        self.columns = tuple(columns)
        self._table_layout.settle()
        if self._sort[0] is not None and self._sort[0] not in {c.id for c in columns}:
            self.sort_by(None)
        self.refresh()

    def set_filter(self, text: str) -> None:
        """Show only what matches (`filter.terms`)."""
        if text == self._model.filter:
            return
        place = self._window.position()
        if self._model.set_filter(text):
            self._restore_position(place)
        self._release()
        self.refresh()
        self.refresh_bindings()
        self.post_message(self.Filtered(self, text))

    def sort_by(self, column: str | None, reverse: bool = False) -> None:
        """Order by a column with a sort key, or naturally."""
        key = next((c.sort_key for c in self.columns if c.id == column), None)
        by = None if key is None else lambda record: key(record, self.now)
        self._sort = (column if by else None, reverse)
        place = self._window.position()
        if self._model.set_sort(by, reverse=reverse):
            self._restore_position(place)
        self.refresh()
        self.post_message(self.Sorted(self, *self._sort))

    def select(self, key: K) -> bool:
        """Put the cursor on a record; False where it is not shown."""
        if (row := self._model.row(key)) is not None:
            self._go(row)
        return row is not None

    def clear_marks(self) -> None:
        """Unmark everything."""
        if self._marks.clear():
            self._marks_changed()

    def action_move(self, rows: int) -> None:
        """Move the cursor."""
        self._go((self._model.row(self._window.cursor) or 0) + rows)

    def action_first(self) -> None:
        """Go to the first row."""
        self._go(0)

    def action_last(self) -> None:
        """Go to the last row."""
        self._go(len(self._model) - 1)

    def action_page(self, pages: float) -> None:
        """Move the cursor by a part of the screen."""
        step = max(1, int((self._window.page_rows - 1) * abs(pages)))
        self.action_move(step if pages > 0 else -step)

    def action_open(self) -> None:
        """Ask for the details of the record under the cursor."""
        if self._window.cursor is not None:
            self.post_message(self.Opened(self, self._window.cursor))

    def action_sort_next(self) -> None:
        """Order by the next column that orders anything, then naturally again."""
        self._table_layout.place_columns()
        ids = [p.column.id for p in self._painter.placed if p.column.sort_key]
        self.sort_by(*sort_order.next_column(self._sort, ids))

    def action_sort_flip(self) -> None:
        """Reverse the order."""
        self.sort_by(self._sort[0], reverse=not self._sort[1])

    def action_mark(self) -> None:
        """Mark or unmark the record under the cursor and go on to the next."""
        if (key := self._window.cursor) is None:
            return
        if key not in self._ghosts or key in self._marks:
            self._marks.toggle(key)
            self._marks_changed()
        self.action_move(1)

    def action_mark_range(self) -> None:
        """Mark from the last marked record to the cursor."""
        key = self._window.cursor
        if key is not None and self._marks.extend(self._model.visible, key, self._ghosts):
            self._marks_changed()

    def action_clear(self) -> None:
        """Drop the marks; where there are none, the filter."""
        if len(self._marks):
            self.clear_marks()
        else:
            self.set_filter("")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape belongs to others while there is nothing to clear."""
        return action != "clear" or bool(len(self._marks) or self._model.filter)

    def on_click(self, event: events.Click) -> None:
        """A row: select, and open on the second click. A title: sort, reverse, natural again."""
        title = self._painter.column_at(event.x - GUTTER) if event.y < HEADER else None
        if title is not None and title.sort_key:
            self.sort_by(*sort_order.clicked(self._sort, title.id))
        row = self._window.row_at(event.y)
        if row is not None:
            self._go(row)
            if event.chain == 2:
                self.action_open()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Show which row a click would take."""
        self._window.hover_over(self._window.row_at(event.y))

    def on_leave(self, _: events.Leave) -> None:
        """The mouse is elsewhere."""
        self._window.hover_over(None)

    def _marks_changed(self) -> None:
        self._release()
        self.refresh()
        self.refresh_bindings()
        self.post_message(self.MarksChanged(self, self.marked))

    @property
    def _sorted_by_live(self) -> bool:
        """Whether the order depends on the current instant."""
        return any(column.id == self._sort[0] and column.live for column in self.columns)

    def _first_cursor(self) -> K | None:
        """Where the cursor starts when there was none."""
        return self._model.visible[0] if len(self._model) else None

    def _go(self, row: int) -> None:
        """Move the cursor to the nearest existing row and show it."""
        self._window.go(row)
        self._release()

    def _holds_cursor(self) -> bool:
        """Whether no update moves the cursor."""
        return True

    def _release(self) -> None:
        """The operator moved on: what is no longer held may leave."""
        place = self._window.position()
        if self._ghosts.release():
            self._restore_position(place)

    def _restore_position(self, place: ViewPosition[K]) -> None:
        self._window.restore(place)
        self._table_layout.settle()
