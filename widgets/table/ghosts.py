"""Rows that an update takes away while the operator's cursor or mark is on them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

from widgets.table.marks import Marks
from widgets.table.record_model import Change, RecordModel
from widgets.table.row_window import RowWindow
from widgets.text.instants import format_instant

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")


class Ghosts(Generic[K, R]):
    """Applies updates so that none moves the cursor or changes what is marked.

    A held row, which is one under the cursor or marked, stays visible: as a ghost if it is gone,
    as it is if it only ceased to match the filter. It leaves when the operator lets go of it.
    """

    def __init__(
        self,
        model: RecordModel[K, R],
        window: RowWindow[K],
        marks: Marks[K],
        to_ghost: Callable[[R, str], R],
        text: str,
    ) -> None:
        """`to_ghost` makes what is shown of a ghost from its last record and `text`."""
        self._model, self._window, self._marks = model, window, marks
        self._to_ghost, self._text = to_ghost, text
        self._gone: dict[K, str] = {}

    def __contains__(self, key: object) -> bool:
        return key in self._gone

    @property
    def visible(self) -> int:
        """How many of the visible rows are ghosts."""
        return sum(1 for key in self._gone if self._model.row(key) is not None)

    def of(self, key: K | None) -> str:
        """Since when a record is gone, in words; empty where it is not."""
        return "" if key is None else self._gone.get(key, "")

    def reconcile(
        self, upserted: Iterable[R], removed: Iterable[K], at: float, *, cursor: bool
    ) -> tuple[Change[K, R], bool]:
        """Apply a delta; with it, whether marks were lost. `cursor`: whether its row is held."""
        text = self._text.format(at=format_instant(at, at))
        change = self._model.reconcile(
            upserted,
            removed,
            held=self._held(cursor),
            to_ghost=lambda record: self._to_ghost(record, text),
        )
        for key in change.added:
            self._gone.pop(key, None)
        self._gone.update((key, text) for key in change.removed if key in self._model.ghosts)
        return change, self._marks.discard(k for k in change.removed if k not in self._gone)

    def release(self) -> bool:
        """Let go of what is neither under the cursor nor marked; whether rows changed."""
        changed = self._model.release(self._held(True))
        if len(self._gone) != len(self._model.ghosts):
            self._gone = {k: text for k, text in self._gone.items() if k in self._model.ghosts}
        return changed

    def clear(self) -> None:
        """Forget all."""
        self._gone.clear()

    def _held(self, cursor: bool) -> set[K]:
        held = set(self._marks)
        if cursor and self._window.cursor is not None:
            held.add(self._window.cursor)
        return held
