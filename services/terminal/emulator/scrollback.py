"""Scrollback: lines that left the main screen by its top, kept small.

See upstream/terminal: Scrollback.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, TypeAlias

from services.terminal.emulator.row import Mark, Row, RowDefaults, Span
from services.terminal.emulator.widths import LEADING_SPACER, WIDE_SPACER

_THAWED = 512
_BLANK = " " + LEADING_SPACER
Entry: TypeAlias = "str | tuple[bool, tuple[Any, ...]]"
"""A line of one plain style that ended in a newline; or whether it wrapped, and its spans flat: a
tuple for each would make every pass of the garbage collector in a flood ten times as long."""


def freeze(row: Row) -> Entry:
    """What the history keeps of a row: its cells up to the last one that is not blank."""
    if row.log:
        row.settle()
    spans = row.spans
    if row.cells is not None:
        pieces = row.pieces() if row.wrapped else trim(row.pieces())
        spans = [*chain.from_iterable(pieces)]
    if not row.wrapped:
        if not spans:
            return ""
        if len(spans) == 2 and spans[1].plain:
            return str(spans[0])
    return row.wrapped, tuple(spans)


def trim(spans: Sequence[Span]) -> list[Span]:
    """Spans without the plain blanks at their end."""
    kept = list(spans)
    while kept and kept[-1][1].plain:
        text, attribute = kept.pop()
        text = text.rstrip(_BLANK)
        if text:
            kept.append((text, attribute))
            break
    return kept


class Scrollback:
    """A bounded list of lines with absolute numbers that only grow."""

    def __init__(self, limit: int, defaults: RowDefaults) -> None:
        self._entries: deque[Entry] = deque(maxlen=limit)
        self._limit = limit
        self._defaults = defaults
        self._thawed: dict[int, Row] = {}
        self._marks: deque[tuple[int, Mark]] = deque()
        self.waiting: list[Entry] = []
        """Older lines that a reflow has not brought to the width yet; not kept before it has."""
        self.waiting_marks: list[tuple[int, Mark]] = []
        """Their prompt marks, with indices of `waiting`, oldest first."""
        self.base = 0
        """Absolute number of the oldest kept line."""

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    @property
    def marks(self) -> Sequence[tuple[int, Mark]]:
        """The prompt marks of kept lines with their absolute numbers, oldest first."""
        self._forget_marks()
        return self._marks

    def _forget_marks(self) -> None:
        """Drop the marks of lines that went."""
        while self._marks and self._marks[0][0] < self.base:
            self._marks.popleft()

    def add(self, row: Row) -> None:
        """Keep a row as a line; the oldest goes when there is no room."""
        entries = self._entries
        if len(entries) == self._limit:
            self.base += 1
        spans = row.spans
        if row.length < 0:
            entries.append(freeze(row))
        elif len(spans) == 2 and spans[1].plain and not row.wrapped:
            entries.append(spans[0])
        elif spans or row.wrapped:
            entries.append((row.wrapped, tuple(spans)))
        else:
            entries.append("")
        if row.marks:
            number = self.base + len(entries) - 1
            self._forget_marks()
            self._marks.extend((number, mark) for mark in row.marks)

    def extend(self, entries: Sequence[Entry]) -> None:
        """Keep lines; as many of the oldest go as have no room."""
        self.base += max(0, len(self._entries) + len(entries) - self._limit)
        if len(entries) > self._limit:
            entries = entries[-self._limit :] if self._limit else ()
        self._entries.extend(entries)

    def replace(self, entries: Sequence[Entry], marks: Iterable[tuple[int, Mark]]) -> None:
        """Put other lines in the place of all, as a reflow does; marks have indices of them.

        Where lines are waiting, all get numbers that leave room for those.
        """
        self._entries.clear()
        self._thawed.clear()
        if self.waiting:
            self.base += max(0, self._limit - len(entries))
        self.extend(entries)
        first = self.base + len(self._entries) - len(entries)
        self._marks = deque((first + index, mark) for index, mark in marks)

    def prepend(self, entries: Sequence[Entry], marks: Iterable[tuple[int, Mark]]) -> None:
        """Keep lines before all others, as far as there is room; nothing waits where none is."""
        dropped = max(0, len(self._entries) + len(entries) - self._limit)
        self._entries.extendleft(reversed(entries[dropped:]))
        self.base -= len(entries) - dropped
        found = [(self.base + at - dropped, mark) for at, mark in marks if at >= dropped]
        self._marks.extendleft(reversed(found))
        if len(self._entries) >= self._limit:
            self.waiting.clear()
            self.waiting_marks.clear()

    def clear(self) -> None:
        """Drop every line (ED 3)."""
        self.base += len(self._entries)
        self._entries.clear()
        self._thawed.clear()
        self._marks.clear()
        self.waiting.clear()
        self.waiting_marks.clear()

    def row(self, number: int) -> Row:
        """The line of that absolute number; the same row again while it is looked at.

        Raises:
            IndexError: it was never there or has been dropped.
        """
        at = number - self.base
        if not 0 <= at < len(self._entries):
            raise IndexError(f"no history line {number}")
        row = self._thawed.get(number)
        if row is None:
            if len(self._thawed) >= _THAWED:
                self._thawed.clear()
            row = self._thawed[number] = self.thaw(self._entries[at])
        return row

    def tail(self, count: int) -> list[Entry]:
        """The last `count` lines, oldest first."""
        return list(islice(self._entries, max(0, len(self._entries) - count), None))

    def thaw(self, entry: Entry) -> Row:
        """A row again."""
        row = Row(self._defaults)
        if isinstance(entry, str):
            if entry:
                row.spans += entry, self._defaults.plain
                row.length = len(entry)
                row.wide = not entry.isascii() and WIDE_SPACER in entry
        else:
            row.wrapped = entry[0]
            row.spans = list(entry[1])
            texts = row.spans[::2]
            row.length = sum(map(len, texts))
            row.wide = any(WIDE_SPACER in text for text in texts)
        return row
