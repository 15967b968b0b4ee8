"""What a table is ordered by, and what a key or a click on a title makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

SortOrder: TypeAlias = tuple[str | None, bool]
"""Column id (None: natural order) and whether it is reversed."""
NATURAL: SortOrder = (None, False)


def next_column(order: SortOrder, sortable: Sequence[str]) -> SortOrder:
    """The next column that orders anything, then the natural order again."""
    at = sortable.index(order[0]) + 1 if order[0] in sortable else 0
    return (sortable[at], False) if at < len(sortable) else NATURAL


def clicked(order: SortOrder, column: str) -> SortOrder:
    """After a click on a title: by it, by it in reverse, then naturally again."""
    if order == (column, True):
        return NATURAL
    return column, order[0] == column
