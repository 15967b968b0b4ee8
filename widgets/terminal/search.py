"""Search in screen and scrollback: plain text, across soft wraps, by logical line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from services.lazy_dataclass import dataclass
from services.terminal.cells import TerminalScreen
from widgets.terminal.rows import CellPosition, LogicalLine, logical_line
from widgets.terminal.viewport import end_of

LONGEST_QUERY = 200


@dataclass(frozen=True, slots=True)
class Match:
    """One find: where it begins, and the cells it takes."""

    position: CellPosition
    spans: tuple[tuple[int, int, int], ...]
    """(absolute line, first column, end column)."""


class Query:
    """What is looked for; case counts only where the text has a capital letter."""

    def __init__(self, text: str) -> None:
        self.text = text[:LONGEST_QUERY]
        flags = re.NOFLAG if self.text != self.text.lower() else re.IGNORECASE
        self._pattern = re.compile(re.escape(self.text), flags)

    def matches(self, line: LogicalLine) -> list[Match]:
        """Every find in one logical line."""
        if not self.text:
            return []
        return [
            Match(line.position(found.start()), tuple(line.spans(found.start(), found.end())))
            for found in self._pattern.finditer(line.text)
        ]

    def older(self, screen: TerminalScreen, before: CellPosition) -> Iterator[Match | None]:
        """The nearest find before a place, at last; None for every line looked at in vain.

        The caller may let other work run between items: numbers are absolute, so lines that
        arrive or are dropped meanwhile do no harm.
        """
        number = min(before.line, end_of(screen) - 1)
        while number >= screen.history_base:
            line = logical_line(screen, number)
            found = [match for match in self.matches(line) if match.position < before]
            if found:
                yield found[-1]
                return
            yield None
            number = line.first - 1

    def newer(self, screen: TerminalScreen, after: CellPosition) -> Iterator[Match | None]:
        """The nearest find after a place, at last; None for every line looked at in vain."""
        number = max(after.line, screen.history_base)
        while number < end_of(screen):
            line = logical_line(screen, number)
            found = [match for match in self.matches(line) if match.position > after]
            if found:
                yield found[0]
                return
            yield None
            number = line.first + len(line.texts)
