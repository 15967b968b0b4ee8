"""Columns of a record table, and which of them fit a width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from widgets.text.cell_text import Align, Part, width_of

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Cell:
    """What one column says of one record: parts of text with their tones, never markup."""

    parts: tuple[Part, ...]
    short: tuple[Part, ...] = ()
    """Said instead where `parts` is wider than the column."""

    @classmethod
    def of(cls, text: str, tone: str = "", short: str = "") -> Cell:
        """A cell of one tone."""
        return cls(((text, tone),), ((short, tone),) if short else ())

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(text for text, _ in self.parts)

    def fitting(self, width: int) -> tuple[Part, ...]:
        """The parts to show in `width` cells."""
        if self.short and sum(width_of(text) for text, _ in self.parts) > width:
            return self.short
        return self.parts


@dataclass(frozen=True, slots=True)
class Column(Generic[R]):
    """One column. Widths are in cells; a width never depends on the data."""

    id: str
    title: str
    render: Callable[[R, float], Cell]
    """From the record and the current instant."""
    width: int
    """What it takes when there is room."""
    least: int = 0
    """The narrowest it may be; `width` where 0."""
    comfort: int = 0
    """What it has before a column of a higher priority number gets any room; `least` where 0."""
    priority: int = 0
    """0 is always shown; of the others the lower numbers get room first."""
    flex: int = 0
    """Its share of the room that is left."""
    align: Align = "left"
    gap: int = 2
    """Blank cells after it."""
    sort_key: Callable[[R], Any] | None = None
    """Orders the rows when the table is sorted by this column; None where that says nothing."""
    live: bool = False
    """Whether the text depends on the current instant."""

    @property
    def narrowest(self) -> int:
        """The least width in cells."""
        return min(self.least or self.width, self.width)


@dataclass(frozen=True, slots=True)
class PlacedColumn(Generic[R]):
    """A column with its place: first cell and width, without the gap."""

    column: Column[R]
    x: int
    width: int


def fit(columns: Sequence[Column[R]], room: int) -> tuple[PlacedColumn[R], ...]:
    """Keep what fits by priority, widen what does, give the rest to the flexible ones.

    Only a flexible column takes a width between its least and its full one. Columns of priority 0
    stay however narrow the room is; the last of them may then be cut.
    """
    kept: list[Column[R]] = []
    for column in sorted(columns, key=lambda c: c.priority):
        eased = sum(max(0, c.comfort - c.narrowest) for c in kept if c.priority < column.priority)
        if column.priority == 0 or _need([*kept, column]) + eased <= room:
            kept.append(column)
    kept.sort(key=columns.index)
    widths = {c.id: c.narrowest for c in kept}
    spare = room - _need(kept)
    for column in sorted(kept, key=lambda c: c.priority):
        more = column.width - column.narrowest
        if more <= spare or column.flex:
            widths[column.id] += min(more, spare)
            spare -= min(more, spare)
    shares = sum(c.flex for c in kept)
    if spare > 0 and shares:
        pool = spare
        for column in kept:
            part = pool * column.flex // shares
            widths[column.id] += part
            spare -= part
        widths[next(c.id for c in reversed(kept) if c.flex)] += spare
    placed: list[PlacedColumn[R]] = []
    x = 0
    for column in kept:
        wide = min(widths[column.id], room - x)
        if wide <= 0:
            break
        placed.append(PlacedColumn(column, x, wide))
        x += wide + column.gap
    return tuple(placed)


def _need(columns: Sequence[Column[R]]) -> int:
    """Cells for the narrowest form; one gap less than columns."""
    return sum(c.narrowest + c.gap for c in columns) - min((c.gap for c in columns), default=0)
