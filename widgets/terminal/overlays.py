"""What a view lays over the program's text: selection, finds, a link, the operator's cursor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from services.terminal.cells import TerminalScreen
from widgets.terminal.links import Link
from widgets.terminal.rows import Place, logical, logical_line
from widgets.terminal.search import Match, Query
from widgets.terminal.selection import Selection


@dataclass(slots=True)
class Marks:
    """The marks of one view; places are absolute, so they scroll with the text."""

    selection: Selection | None = None
    query: Query | None = None
    """Every find on view is marked."""
    match: Match | None = None
    """The find the search is at."""
    spot: Place | None = None
    """The operator's own cursor while selecting by keyboard."""
    link: Link | None = None
    """The link under the mouse."""


class MarkedLines:
    """The marks of the lines of one frame; works out each logical line once."""

    def __init__(self, marks: Marks, screen: TerminalScreen) -> None:
        self._marks = marks
        self._screen = screen
        self._span = marks.selection.range(screen) if marks.selection is not None else None
        self._finds: dict[int, list[Match]] = {}

    def on(self, number: int) -> Iterator[tuple[int, int, str]]:
        """(first column, end column, look) of every mark on a line, the topmost last."""
        marks = self._marks
        if marks.selection is not None and self._span is not None:
            columns = marks.selection.columns_on(number, self._span)
            if columns is not None:
                yield (*columns, "selection")
        if marks.query is not None:
            for match in self._found(marks.query, number):
                look = "current" if match == marks.match else "match"
                yield from ((low, high, look) for line, low, high in match.spans if line == number)
        if marks.link is not None:
            yield from (
                (low, high, "link") for line, low, high in marks.link.spans if line == number
            )
        if marks.spot is not None and marks.spot.line == number:
            yield marks.spot.column, marks.spot.column + 1, "current"

    def _found(self, query: Query, number: int) -> list[Match]:
        first, _ = logical(self._screen, number)
        if first not in self._finds:
            self._finds[first] = query.matches(logical_line(self._screen, number))
        return self._finds[first]
