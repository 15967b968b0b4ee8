"""Rows by absolute number, and what is in them by column."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len, split_graphemes

from services.lazy_dataclass import dataclass
from services.terminal.cells import ScreenRow, TerminalScreen
from widgets.terminal.viewport import end_of, screen_top

LONGEST_WRAP = 200
"""Rows of one logical line looked at in either direction."""


@dataclass(frozen=True, slots=True, order=True)
class CellPosition:
    """A cell: absolute line number, column."""

    line: int
    column: int


def row_at(screen: TerminalScreen, number: int) -> ScreenRow | None:
    """The row of that absolute number; None where it never was or is no longer kept."""
    top = screen_top(screen)
    if number >= top:
        return screen.rows[number - top] if number < top + screen.lines else None
    if number < screen.history_base:
        return None
    try:
        return screen.history_row(number)
    except IndexError:
        return None


def row_text(row: ScreenRow) -> str:
    """What the row says: whole where the line goes on, else without trailing blanks."""
    if row.wrapped:
        return "".join(text for text, _ in row.runs)
    return row.text


def graphemes(text: str) -> Iterator[tuple[int, int, str]]:
    """Each character as (first column, end column, text); what joins on belongs to it."""
    if text.isascii():
        for column, char in enumerate(text):
            yield column, column + 1, char
        return
    column = 0
    for start, end, width in split_graphemes(text)[0]:
        yield column, column + width, text[start:end]
        column += width


def columns_of(text: str, start: int, end: int) -> tuple[int, int]:
    """Columns that the characters `start..end` of a text take."""
    first = cell_len(text[:start])
    return first, first + cell_len(text[start:end])


def indices_of(text: str, start: int, end: int) -> tuple[int, int]:
    """Indices around the characters in the columns `start..end`; half a wide one counts whole."""
    if text.isascii():
        return min(max(0, start), len(text)), min(max(0, start, end), len(text))
    low = high = None
    index = 0
    for first, last, char in graphemes(text):
        if low is None and (last > start or first >= start):
            low = index
        index += len(char)
        if first < end:
            high = index
    low = index if low is None else low
    return low, max(low, high or 0)


def piece(text: str, start: int, end: int) -> str:
    """The characters in the columns `start..end`; half a wide one counts whole."""
    low, high = indices_of(text, start, end)
    return text[low:high]


def logical(screen: TerminalScreen, number: int) -> tuple[int, int]:
    """First and last row of the logical line that a row belongs to (soft wraps followed)."""
    first = last = number
    lowest = max(screen.history_base, number - LONGEST_WRAP)
    while first > lowest and (row := row_at(screen, first - 1)) is not None and row.wrapped:
        first -= 1
    highest = min(end_of(screen) - 1, number + LONGEST_WRAP)
    while last < highest and (row := row_at(screen, last)) is not None and row.wrapped:
        last += 1
    return first, last


@dataclass(frozen=True, slots=True)
class LogicalLine:
    """A line as it was written, over one or more rows."""

    first: int
    """Absolute number of its first row."""
    texts: tuple[str, ...]
    """The text of each row."""

    @property
    def text(self) -> str:
        """The whole line."""
        return "".join(self.texts)

    def index(self, position: CellPosition) -> int:
        """Index into `text` of the character at a cell; its length where there is none."""
        row = position.line - self.first
        before = sum(map(len, self.texts[:row]))
        offset = 0
        for _, last, char in graphemes(self.texts[row]):
            if last > position.column:
                return before + offset
            offset += len(char)
        return before + offset

    def position(self, index: int) -> CellPosition:
        """The cell of a character of `text`."""
        for row, text in enumerate(self.texts):
            if index < len(text) or row == len(self.texts) - 1:
                return CellPosition(self.first + row, cell_len(text[:index]))
            index -= len(text)
        return CellPosition(self.first, 0)

    def spans(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Cells of the characters `start..end`: (absolute line, first column, end column)."""
        for row, text in enumerate(self.texts):
            low, high = max(0, start), min(len(text), end)
            if low < high:
                yield (self.first + row, *columns_of(text, low, high))
            start, end = start - len(text), end - len(text)


def logical_line(screen: TerminalScreen, number: int) -> LogicalLine:
    """The logical line a row belongs to."""
    first, last = logical(screen, number)
    rows = (row_at(screen, line) for line in range(first, last + 1))
    return LogicalLine(first, tuple(row_text(row) if row is not None else "" for row in rows))
