"""The lines of a log as a view needs them: bounded, wrapped into rows, searched. No drawing."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

from rich.cells import cell_len, chop_cells

from services.lazy_dataclass import dataclass
from services.models import LogLine
from widgets.text.cell_text import width_of

KEPT = 5000
"""Lines held at most; the oldest go first."""
_SPARE = 500
"""Lines beyond `KEPT` that are let come before the oldest are dropped together."""
LEAST_WIDTH = 8
COPIED = 256 * 1024
"""Characters that are copied at most, the newest: a terminal takes them in one piece."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the view: a part of a line."""

    number: int
    """The line, counted from the first that ever came."""
    start: int
    end: int
    """Its first character and the one past its last."""

    @property
    def first(self) -> bool:
        """Whether the line begins here."""
        return self.start == 0


def wrapped(text: str, width: int) -> list[tuple[int, int]]:
    """Where each row of `width` cells begins and ends; one empty row for an empty text."""
    width = max(LEAST_WIDTH, width)
    if text.isascii():
        return [(at, min(at + width, len(text))) for at in range(0, len(text), width)] or [(0, 0)]
    ends = list(accumulate(len(part) for part in chop_cells(text, width)))
    return list(zip([0, *ends[:-1]], ends, strict=True)) or [(0, 0)]


class LogLines:
    """Numbered lines and the rows they take."""

    def __init__(self) -> None:
        self._lines: list[LogLine] = []
        self._first = 0
        self._rows: list[Row] = []
        self._width: int | None = None
        self._pattern: re.Pattern[str] | None = None
        self._matches: list[int] = []

    @property
    def first(self) -> int:
        """Number of the oldest line that is held."""
        return self._first

    @property
    def end(self) -> int:
        """Number of the next line to come."""
        return self._first + len(self._lines)

    @property
    def rows(self) -> Sequence[Row]:
        """Every row, oldest first."""
        return self._rows

    @property
    def widest(self) -> int:
        """Cells of the widest line."""
        return max((width_of(line.text) for line in self._lines), default=0)

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, number: int) -> LogLine:
        return self._lines[number - self._first]

    def lay_out(self, width: int | None) -> bool:
        """Wrap at that many cells; None: a line is a row. False where that is so already."""
        if width == self._width:
            return False
        self._width = width
        self._rows = list(self._wrap_lines(self._first, self._lines))
        return True

    def extend(self, lines: Iterable[LogLine]) -> int:
        """Append; how many rows were dropped at the other end."""
        fresh = list(lines)
        if self._pattern is not None:
            found = self._pattern.search
            self._matches += [self.end + at for at, one in enumerate(fresh) if found(one.text)]
        self._rows += self._wrap_lines(self.end, fresh)
        self._lines += fresh
        if len(self._lines) <= KEPT + _SPARE:
            return 0
        dropped = len(self._lines) - KEPT
        del self._lines[:dropped]
        self._first += dropped
        rows = bisect_left(self._rows, self._first, key=lambda row: row.number)
        del self._rows[:rows]
        del self._matches[: bisect_left(self._matches, self._first)]
        return rows

    def clear(self) -> None:
        """Forget every line; the search stays."""
        self._first = self.end
        self._lines, self._rows, self._matches = [], [], []

    def text_of(self, numbers: range) -> tuple[str, int]:
        """The newest of these lines that are not too much to copy, and how many they are."""
        kept: list[str] = []
        room = COPIED
        for number in reversed(numbers):
            text = self[number].text
            room -= len(text) + 1
            if room < 0 and kept:
                break
            kept.append(text)
        return "\n".join(reversed(kept)), len(kept)

    def row_of(self, number: int) -> int:
        """The first row of a line, or of the nearest that is held."""
        return min(
            bisect_left(self._rows, number, key=lambda row: row.number),
            max(0, len(self._rows) - 1),
        )

    def number_at(self, row: int) -> int:
        """The line a row belongs to, or the nearest row there is."""
        if not self._rows:
            return self._first
        return self._rows[min(max(0, row), len(self._rows) - 1)].number

    def rows_of(self, number: int) -> int:
        """How many rows a line takes."""
        at = bisect_left(self._rows, number, key=lambda row: row.number)
        return bisect_right(self._rows, number, key=lambda row: row.number) - at

    def search(self, text: str) -> None:
        """Look for this from now on, whatever its case; empty: for nothing."""
        self._pattern = re.compile(re.escape(text), re.IGNORECASE) if text else None
        self._matches = (
            []
            if self._pattern is None
            else [
                self._first + at
                for at, line in enumerate(self._lines)
                if self._pattern.search(line.text)
            ]
        )

    @property
    def matches(self) -> Sequence[int]:
        """Numbers of the lines that hold what is looked for, in order."""
        return self._matches

    def older(self, number: int) -> int | None:
        """The nearest match before a line."""
        at = bisect_left(self._matches, number)
        return self._matches[at - 1] if at else None

    def newer(self, number: int) -> int | None:
        """The nearest match after a line."""
        at = bisect_right(self._matches, number)
        return self._matches[at] if at < len(self._matches) else None

    def spans(self, row: Row) -> list[tuple[int, int]]:
        """Where in a row's text what is looked for stands."""
        if self._pattern is None:
            return []
        found = []
        for match in self._pattern.finditer(self[row.number].text):
            start, end = max(match.start(), row.start), min(match.end(), row.end)
            if start < end:
                found.append((start - row.start, end - row.start))
        return found

    def _wrap_lines(self, number: int, lines: Iterable[LogLine]) -> Iterable[Row]:
        for at, line in enumerate(lines, number):
            if self._width is None:
                yield Row(at, 0, len(line.text))
            else:
                yield from (Row(at, *part) for part in wrapped(line.text, self._width))


def shifted(text: str, cells: int) -> tuple[str, int]:
    """What is left of a text without its first `cells`, and how many characters went."""
    if cells <= 0:
        return text, 0
    if text.isascii():
        return text[cells:], min(cells, len(text))
    gone = used = 0
    for char in text:
        if used >= cells:
            break
        used += cell_len(char)
        gone += 1
    return text[gone:], gone
