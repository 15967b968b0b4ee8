"""Columns of a record table: which of them fit a width, and which lend cells to others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from widgets.text.cell_text import Align, Part, sanitize_cell, width_of

R = TypeVar("R")


class Cell(NamedTuple):
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

    @property
    def needed(self) -> int:
        """Cells without which it would be cut."""
        return sum(width_of(sanitize_cell(text)) for text, _ in self.short or self.parts)

    def fitting(self, width: int) -> tuple[Part, ...]:
        """The parts to show in `width` cells."""
        if self.short and sum(width_of(text) for text, _ in self.parts) > width:
            return self.short
        return self.parts


class Column(NamedTuple, Generic[R]):
    """One column. Widths are in cells; what is in the rows decides only what is lent (`lend`)."""

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
    widened: int = 99
    """The priority at which it gets its full width."""
    flex: int = 0
    """Its share of the room that is left."""
    align: Align = "left"
    gap: int = 2
    """Blank cells after it."""
    sort_key: Callable[[R, float], Any] | None = None
    """Orders the rows when the table is sorted by this column, no finer than what it shows; from
    the record and the current instant. None where that says nothing."""
    live: bool = False
    """Whether the text depends on the current instant."""
    flash: bool = False
    """Whether it is a state, whose change is lit for an instant; samples never are."""
    spills: Callable[[R], bool] | None = None
    """Of which records the text, where it does not fit, stands whole on a second line."""

    @property
    def narrowest(self) -> int:
        """The least width in cells."""
        return min(self.least or self.width, self.width)


class PlacedColumn(NamedTuple, Generic[R]):
    """A column with its place: first cell and width, without the gap."""

    column: Column[R]
    x: int
    width: int


def fit(columns: Sequence[Column[R]], room: int, sure: int = 0) -> tuple[PlacedColumn[R], ...]:
    """Place the columns that fit, in `room` cells of which `sure` are there at greater sizes too.

    With more room no column goes and none gets narrower: what is granted is granted in one order,
    and what cannot be granted yet stays blank. Room beyond the sure one widens the flexible
    columns alone. Columns of priority 0 stay however narrow it is; the last may then be cut.
    """
    sure = min(sure or room, room)
    widths: dict[str, int] = {}
    left = sure
    held_up = False
    for column, target in _grants(columns):
        held = widths.get(column.id)
        if held is None:
            needs = target + (column.gap if widths else 0)
            if needs > left and column.priority:
                held_up = True
                break
            widths[column.id] = target
            left -= needs
        else:
            more = max(0, min(target - held, left))
            widths[column.id] += more
            left -= more
    left = max(0, left)
    spare = room - sure + (left if not held_up or room > sure else 0)
    kept = [column for column in columns if column.id in widths]
    shares = sum(column.flex for column in kept)
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


def lend(
    placed: Sequence[PlacedColumn[R]], needs: Mapping[str, int]
) -> tuple[PlacedColumn[R], ...]:
    """Give cells that a column does not need to those that would be cut.

    What each needs is its widest text; one that is not known lends nothing. Columns borrow in the
    order in which room is granted and lend the other way round, so that more room never makes a
    text narrower.
    """
    order = sorted(placed, key=lambda one: one.column.priority)
    widths = {one.column.id: one.width for one in placed}
    for borrower in order:
        wanted = needs.get(borrower.column.id, 0) - borrower.width
        for lender in reversed(order):
            if wanted <= 0:
                break
            held = widths[lender.column.id]
            part = max(0, min(wanted, held - needs.get(lender.column.id, held)))
            widths[lender.column.id] -= part
            widths[borrower.column.id] += part
            wanted -= part
    lent: list[PlacedColumn[R]] = []
    x = 0
    for one in placed:
        lent.append(one._replace(x=x, width=widths[one.column.id]))
        x += lent[-1].width + one.column.gap
    return tuple(lent)


def _grants(columns: Sequence[Column[R]]) -> list[tuple[Column[R], int]]:
    """Which column is to have which width, in the order in which room is given."""
    grants: list[tuple[int, int, Column[R], int]] = []
    for column in columns:
        grants.append((column.priority, 0, column, column.narrowest))
        if column.comfort > column.narrowest:
            grants.append((column.priority, 1, column, column.comfort))
        grants.append((max(column.priority, column.widened), 2, column, column.width))
    grants.sort(key=lambda grant: grant[:2])
    return [(column, target) for *_, column, target in grants]


def row_text(columns: Sequence[Column[R]], record: R, now: float) -> str:
    """What all the columns say of a record, a line each."""
    return "\n".join(column.render(record, now).text for column in columns)
