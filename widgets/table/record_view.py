"""The view of a record table: layout, cursor, scrolling, painting; without keys or mouse.

Only the lines on the screen are drawn, and only those of records that changed are drawn again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any, ClassVar, Generic, TypeVar

from textual import events
from textual.geometry import Region, Size
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from widgets.table import messages
from widgets.table.columns import Column, fit
from widgets.table.layered_style import LayeredStyles
from widgets.table.marks import Marks
from widgets.table.read_ahead import ReadAhead
from widgets.table.record_model import Change, RecordModel
from widgets.table.row_painter import GUTTER, NAMES, RowPainter, RowState

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")

HEADER = 1
"""Lines above the first row."""
FLASH_S = 0.7


@dataclass(frozen=True, slots=True)
class ViewPosition(Generic[K]):
    """The view before a change: visible keys, row of the cursor, first row on the screen."""

    keys: Sequence[K]
    cursor: int | None
    top: int


class RecordView(ScrollView, Generic[K, R], inherit_bindings=False):
    """Rows of `R` under one header line; every row has a key `K` that never changes."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = set(NAMES.values())
    DEFAULT_CSS = """
    RecordView {
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
        &:ansi > .record-table--flash { background: transparent; text-style: reverse; }
    }
    """

    now: reactive[float] = reactive(0.0, repaint=False)
    """The instant ages are counted from, seconds since the epoch."""
    flashing: reactive[bool] = reactive(True, repaint=False)
    """Whether a changed cell flashes once."""

    def __init__(
        self,
        columns: Sequence[Column[R]],
        *,
        key: Callable[[R], K],
        search: Callable[[R], str] | None = None,
        order: Callable[[R], Any] | None = None,
        stale: Callable[[R], bool] = lambda _: False,
        empty: Callable[[], str] = lambda: "",
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._columns = tuple(columns)
        self._model: RecordModel[K, R] = RecordModel(key, search or self._row_text, order)
        # Without a search text of their own, records would have to be drawn to be read.
        self._read_ahead = ReadAhead(self, self._model) if search is not None else None
        self._marks: Marks[K] = Marks()
        self._painter: RowPainter[K, R] = RowPainter(LayeredStyles(self))
        self._stale = stale
        self.empty = empty
        """What to say where there are no rows."""
        self._revision = 0
        self._laid_out = (-1, -1)
        self._cursor: K | None = None
        self._hover: int | None = None
        self._flash: dict[K, frozenset[str]] = {}
        self._sort: tuple[str | None, bool] = (None, False)

    @property
    def cursor_key(self) -> K | None:
        """The record the cursor is on."""
        return self._cursor

    @property
    def keys(self) -> Sequence[K]:
        """Keys of the visible rows, in order."""
        return self._model.visible

    @property
    def total(self) -> int:
        """How many records there are, shown or filtered out."""
        return self._model.total

    @property
    def columns(self) -> Sequence[Column[R]]:
        """All columns, also those that do not fit."""
        return self._columns

    @property
    def shown_columns(self) -> tuple[str, ...]:
        """Ids of the columns that fit."""
        self._lay_out()
        return tuple(p.column.id for p in self._painter.placed)

    def records(self) -> Iterable[R]:
        """Every record, shown or filtered out."""
        return self._model.records()

    def record(self, key: K | None = None) -> R | None:
        """The record of `key`, or the one under the cursor."""
        wanted = self._cursor if key is None else key
        return None if wanted is None else self._model.record(wanted)

    def cell_text(self, column: str, key: K | None = None) -> str:
        """What a column says of a record, whole; empty where there is no such record or column."""
        record = self.record(key)
        if record is None:
            return ""
        return next((c.render(record, self.now).text for c in self._columns if c.id == column), "")

    def reconcile(self, upserted: Iterable[R], removed: Iterable[K] = ()) -> Change[K, R]:
        """Apply a delta: records that are new or changed, and keys that are gone."""
        place = self._view_position()
        change = self._model.reconcile(upserted, removed)
        if change.removed and self._marks.discard(change.removed):
            self.post_message(messages.MarksChanged(self, self._marks.among(self._model.visible)))
        self._start_flash(change)
        if self._read_ahead is not None:
            self._read_ahead.begin()
        if change.moved:
            self._restore_position(place)
        elif change.updated:
            changed = {key for key, _, _ in change.updated}
            for row in self._on_screen():
                if self._model.visible[row] in changed:
                    self._refresh_row(row)
        return change

    def renew(self, records: Iterable[R]) -> None:
        """Take records that differ from the ones held in what the live columns say, as in age."""
        seen = [self._model.visible[row] for row in self._on_screen()]
        held = [(key, self._model.record(key)) for key in seen]
        self._model.renew(records)
        if any(column.id == self._sort[0] and column.live for column in self._columns):
            place = self._view_position()
            if self._model.rearrange():
                self._restore_position(place)
        for key, before in held:
            record = self._model.record(key)
            if before is not None and record is not None and record is not before:
                self._painter.renew(key, before, record)
        self._repaint_ages()

    def clear_records(self) -> None:
        """Forget everything, as when another subject is shown."""
        self._model.clear()
        self._marks.clear()
        self._flash.clear()
        self._painter.invalidate()
        self._set_cursor(None)
        self._count_rows()
        self._scroll(0)
        self.refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        """The strips of a region, laid out for the present width."""
        self._lay_out()
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """The header, a record, the empty state or a blank."""
        if y < HEADER:
            return self._painter.header(*self._sort)
        row = self.scroll_offset.y + y - HEADER
        if row < len(self._model):
            return self._draw(row)
        if not len(self._model):
            lines = self._empty_lines()
            if 0 <= y - HEADER - 1 < len(lines):
                return self._painter.message(lines[y - HEADER - 1])
        return self._painter.blank()

    def notify_style_update(self) -> None:
        """The theme, the focus or a stylesheet changed: what was drawn is of no use."""
        super().notify_style_update()
        self._painter.invalidate()

    def watch_now(self) -> None:
        """Ages read differently."""
        self._repaint_ages()

    def _repaint_ages(self) -> None:
        """Repaint the cells whose age reads differently, and nothing else."""
        top = self.scroll_offset.y
        for row in self._on_screen():
            key = self._model.visible[row]
            record = self._model.record(key)
            if record is None:
                continue
            for placed in self._painter.changed_columns(key, record, self.now):
                x, y = GUTTER + placed.x, row - top + HEADER
                self.refresh(Region(x, y, placed.width, 1))

    def on_resize(self, _: events.Resize) -> None:
        """Keep the cursor on the screen."""
        row = self._model.row(self._cursor)
        if row is not None:
            self._reveal(row)

    @property
    def _page_rows(self) -> int:
        """Rows that fit."""
        return max(1, self.container_size.height - HEADER)

    def _empty_lines(self) -> list[str]:
        """What stands where there are no rows, wrapped."""
        if self._model.total:
            text = f"Nothing matches /{self._model.filter}\nEscape shows all {self._model.total}."
        else:
            text = self.empty()
        width = max(8, self._laid_out[0] - 2 * GUTTER)
        return [part for line in text.split("\n") for part in (wrap(line, width) or [""])]

    def _row_text(self, record: R) -> str:
        return "\n".join(column.render(record, self.now).text for column in self._columns)

    def _lay_out(self) -> None:
        width = self.scrollable_content_region.width
        if self._laid_out != (width, self._revision):
            self._laid_out = (width, self._revision)
            self._painter.place(fit(self._columns, max(1, width - GUTTER)), width)

    def _draw(self, row: int) -> Strip:
        key = self._model.visible[row]
        record = self._model.record(key)
        assert record is not None
        row_state = RowState(
            cursor=key == self._cursor,
            marked=key in self._marks,
            hover=row == self._hover,
            stale=self._stale(record),
            flash=self._flash.get(key, frozenset()),
        )
        return self._painter.row(key, record, row_state, self.now)

    def _on_screen(self) -> Iterator[int]:
        """Rows now on the screen."""
        top = self.scroll_offset.y
        return iter(range(top, min(top + self._page_rows, len(self._model))))

    def _refresh_key(self, key: K | None) -> None:
        self._refresh_row(self._model.row(key))

    def _refresh_row(self, row: int | None) -> None:
        if row is not None and self._is_on_screen(row, self.scroll_offset.y):
            self.refresh_line(row + HEADER)

    def _start_flash(self, change: Change[K, R]) -> None:
        if not self.flashing or not self.is_attached or self.app.animation_level == "none":
            return
        began: list[K] = []
        visible = {self._model.visible[row] for row in self._on_screen()} if change.updated else ()
        for key, before, record in change.updated:
            if key not in visible:
                continue
            changed = frozenset(
                p.column.id
                for p in self._painter.placed
                if not p.column.live
                and p.column.render(before, self.now).text != p.column.render(record, self.now).text
            )
            if changed:
                self._flash[key] = changed
                began.append(key)
        if began:
            self.set_timer(FLASH_S, lambda: self._end_flash(began))

    def _end_flash(self, keys: Sequence[K]) -> None:
        for key in keys:
            if self._flash.pop(key, None) is not None:
                self._refresh_key(key)

    def _view_position(self) -> ViewPosition[K]:
        return ViewPosition(
            self._model.visible, self._model.row(self._cursor), round(self.scroll_target_y)
        )

    def _restore_position(self, place: ViewPosition[K]) -> None:
        """After rows came, went or moved: the cursor on its record, the record where it was."""
        self._count_rows()
        row = self._model.row(self._cursor)
        if row is None and self._cursor is not None and place.cursor is not None:
            lost = self._cursor
            self._set_cursor(self._model.nearest_visible(place.keys, place.cursor))
            self.post_message(messages.CursorLost(self, lost, self._cursor))
        elif row is None:
            self._set_cursor(self._first_cursor())
        row = self._model.row(self._cursor)
        if (
            place.cursor is not None
            and row is not None
            and self._is_on_screen(place.cursor, place.top)
        ):
            top: int | None = row - (place.cursor - place.top)
        else:
            top = self._model.row(self._model.nearest_visible(place.keys, place.top))
        if top is not None:
            self._scroll(top)
        self.refresh()

    def _is_on_screen(self, row: int, top: int) -> bool:
        return top <= row < top + self._page_rows

    def _first_cursor(self) -> K | None:
        """Where the cursor starts when there was none."""
        return self._model.visible[0] if len(self._model) else None

    def _count_rows(self) -> None:
        self.virtual_size = Size(0, len(self._model) + HEADER)

    def _set_cursor(self, key: K | None) -> None:
        if key == self._cursor:
            return
        self._refresh_key(self._cursor)
        self._cursor = key
        self._refresh_key(key)
        self.post_message(messages.Highlighted(self, key))

    def _go(self, row: int) -> None:
        """Move the cursor to the nearest existing row and show it."""
        if not len(self._model):
            return
        row = max(0, min(row, len(self._model) - 1))
        self._set_cursor(self._model.visible[row])
        self._reveal(row)

    def _scroll(self, top: int) -> None:
        # Forced: the scrollbar that would allow it is laid out only after the rows are counted.
        if self.is_attached:
            self.scroll_to(y=top, animate=False, force=True)

    def _reveal(self, row: int) -> None:
        top = round(self.scroll_target_y)
        if row < top:
            self._scroll(row)
        elif row >= top + self._page_rows:
            self._scroll(row - self._page_rows + 1)
