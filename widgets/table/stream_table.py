"""A record table that follows what arrives, newest last, until the operator looks back."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, ClassVar, Generic, TypeVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.scrollbar import ScrollTo, ScrollUp

from widgets.table.record_model import Change
from widgets.table.record_table import RecordTable
from widgets.table.row_window import ViewPosition

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")

KEPT = 2000
"""Rows a stream holds at most; the oldest go first."""


class StreamTable(RecordTable[K, R], Generic[K, R]):
    """Following, the cursor stays on the newest row; moving up, a click or a sort pauses.

    Going to the last row (`G`, End) or `f` follows again.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "follow", "Follow or pause", id="stream.follow"),
    ]

    GONE = "out of this list since {at}"

    following: reactive[bool] = reactive(True, init=False, repaint=False)
    unseen: reactive[int] = reactive(0, init=False, repaint=False)
    """Rows that arrived since it was paused."""

    class FollowChanged(Message):
        """A stream follows or is paused, or more has arrived meanwhile."""

        def __init__(self, stream: StreamTable[Any, Any]) -> None:
            super().__init__()
            self.stream = stream

    def reconcile(
        self, upserted: Iterable[R], removed: Iterable[K] = (), *, at: float | None = None
    ) -> Change[K, R]:
        """Apply a delta; while paused, what arrived is counted."""
        change = super().reconcile(upserted, removed, at=at)
        if not self.following:
            self.unseen += sum(1 for key in change.added if self._model.row(key) is not None)
        return change

    def clear_records(self) -> None:
        """Forget everything and follow."""
        super().clear_records()
        self.follow()

    def follow(self) -> None:
        """Show the newest row and stay with it; a sort ends."""
        if self._sort != (None, False):
            self.sort_by(None)
        self.unseen = 0
        self.following = True
        self._to_end()
        self._release()

    def pause(self) -> None:
        """Stay with the row under the cursor."""
        self.following = False

    def watch_following(self) -> None:
        """Tell the pane."""
        self.post_message(self.FollowChanged(self))

    def watch_unseen(self) -> None:
        """Tell the pane."""
        self.post_message(self.FollowChanged(self))

    def sort_by(self, column: str | None, reverse: bool = False) -> None:
        """Order by a column, which pauses: the newest row is then not the last one."""
        if (column, reverse) != (None, False):
            self.pause()
        super().sort_by(column, reverse=reverse)

    def action_follow(self) -> None:
        """Follow again, or pause here."""
        if self.following:
            self.pause()
        else:
            self.follow()

    def action_last(self) -> None:
        """Go to the last row; in the natural order that is to follow."""
        if self._sort == (None, False):
            self.follow()
        else:
            super().action_last()

    def action_mark(self) -> None:
        """A row that is marked must not move away."""
        self.pause()
        super().action_mark()

    def on_click(self, event: events.Click) -> None:
        """A row that was clicked must not move away."""
        if self._window.row_at(event.y) is not None:
            self.pause()

    def on_mouse_scroll_up(self, _: events.MouseScrollUp) -> None:
        """Scrolling up pauses."""
        self.pause()

    def on_scroll_up(self, _: ScrollUp) -> None:
        """A click above the scrollbar's grip pauses."""
        self.pause()

    def on_scroll_to(self, message: ScrollTo) -> None:
        """Dragging the grip up pauses."""
        if message.y is not None and message.y < self.max_scroll_y:
            self.pause()

    def on_resize(self, _: events.Resize) -> None:
        """Stay at the end while following."""
        if self.following:
            self._to_end()

    def _holds_cursor(self) -> bool:
        return not self.following

    def _go(self, row: int) -> None:
        if row < len(self._model) - 1:
            self.pause()
        super()._go(row)

    def _restore_position(self, place: ViewPosition[K]) -> None:
        if not self.following:
            super()._restore_position(place)
            return
        self._window.count_rows()
        self._to_end()
        self.refresh()

    def _first_cursor(self) -> K | None:
        return self._model.visible[-1] if len(self._model) else None

    def _to_end(self) -> None:
        self._window.set_cursor(self._first_cursor())
        self._window.scroll(self.max_scroll_y)
