"""Overlays over the program's text: selection, search matches, link, selection cursor."""

from __future__ import annotations

from collections.abc import Iterator

from services.lazy_dataclass import dataclass
from services.terminal.cells import TerminalScreen
from widgets.terminal.links import Link
from widgets.terminal.rows import CellPosition, logical, logical_line
from widgets.terminal.search import Match, Query
from widgets.terminal.selection import Selection


@dataclass(slots=True)
class Overlays:
    """The overlays of one view; positions are absolute, so they scroll with the text."""

    selection: Selection | None = None
    query: Query | None = None
    """Every find on view is marked."""
    match: Match | None = None
    """The find the search is at."""
    selection_cursor: CellPosition | None = None
    """The operator's own cursor while selecting by keyboard."""
    link: Link | None = None
    """The link under the mouse."""


class LineOverlays:
    """The overlays of the lines of one frame; matches are cached by logical line."""

    def __init__(self, overlays: Overlays, screen: TerminalScreen) -> None:
        self._overlays = overlays
        self._screen = screen
        self._span = overlays.selection.range(screen) if overlays.selection is not None else None
        self._finds: dict[int, list[Match]] = {}

    def on(self, number: int) -> Iterator[tuple[int, int, str]]:
        """(first column, end column, look) of every mark on a line, the topmost last."""
        overlays = self._overlays
        if overlays.selection is not None and self._span is not None:
            columns = overlays.selection.columns_on(number, self._span)
            if columns is not None:
                yield (*columns, "selection")
        if overlays.query is not None:
            for match in self._found(overlays.query, number):
                style_name = "current" if match == overlays.match else "match"
                yield from (
                    (low, high, style_name) for line, low, high in match.spans if line == number
                )
        if overlays.link is not None:
            yield from (
                (low, high, "link") for line, low, high in overlays.link.spans if line == number
            )
        if overlays.selection_cursor is not None and overlays.selection_cursor.line == number:
            yield overlays.selection_cursor.column, overlays.selection_cursor.column + 1, "current"

    def _found(self, query: Query, number: int) -> list[Match]:
        first, _ = logical(self._screen, number)
        if first not in self._finds:
            self._finds[first] = query.matches(logical_line(self._screen, number))
        return self._finds[first]
