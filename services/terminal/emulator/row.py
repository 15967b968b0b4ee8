"""Rows: one line of cells as an object that scrolls by reference (upstream/terminal: Rows).

A row begins as spans of text and attribute, which is all that appending needs. What is written
over them is kept as it came, in a log: only when somebody looks at the row is it made a grid, a
list of cells and a list of attributes, by what was written last. So a program that paints a screen
many times between two looks pays for the cells of the last time. In all three, one character is
one cell (see `widths`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, Final, TypeAlias

from services.terminal.cells import PromptPart, Run
from services.terminal.emulator.styles import Attribute
from services.terminal.emulator.widths import JOINER, LEADING_SPACER, WIDE_SPACER, Clusters

Span: TypeAlias = tuple[str, Attribute]
Mark: TypeAlias = tuple[int, PromptPart]
"""A column and what begins there."""

NO_LOG: Final[list[Any]] = []
"""The log of every row that has none; nothing is ever put into it."""
_SEEN: Final = 1
_DRAWN: Final = 2
LONGEST_LOG: Final = 3 * 256
"""What a log may hold between two calls of the parser: three entries a write."""
_LONG_LOG: Final = 3 * 32
_SHORT_LOG: Final = 3 * 8
"""Applying so little costs less than looking for what was overwritten."""


class RowDefaults:
    """What the rows of a screen share."""

    __slots__ = ("clusters", "columns", "plain")

    def __init__(self, columns: int, clusters: Clusters, plain: Attribute) -> None:
        self.columns = columns
        self.clusters = clusters
        self.plain = plain
        """The style of a cell nothing was written to."""


class Row:
    """One line; `clean` is zeroed whenever it changes, which empties `cache` and marks damage.

    `cells`, `attributes`, `spans` and `wide` say what the row is only where its log is empty.
    """

    __slots__ = (
        "_cache",
        "attributes",
        "cells",
        "clean",
        "defaults",
        "length",
        "log",
        "marks",
        "spans",
        "wide",
        "wrapped",
    )

    def __init__(self, defaults: RowDefaults) -> None:
        self.defaults = defaults
        self.spans: list[Any] = []
        """Text and attribute of each span in turn, flat for the same reason as the log."""
        self.length = 0
        """Cells written as spans; -1 for a grid, which is as long as the screen is wide, and
        while there is a log."""
        self.log = NO_LOG
        """Column, text and attribute of what was written, none of it wide, oldest first. They lie
        flat: a tuple for each would keep the garbage collector busy. A list of its own wherever
        `length` is -1; most rows never need one."""
        self.cells: list[str] | None = None
        self.wide = False
        """Whether a cell of two columns may be in it."""
        self.wrapped = False
        self.marks: tuple[Mark, ...] = ()
        """Prompt marks in the order they came, one of a kind."""
        self.clean = 0

    @property
    def cache(self) -> object | None:
        """For the view: what it drew, until the row changes."""
        return self._cache if self.clean & _DRAWN else None

    @cache.setter
    def cache(self, value: object | None) -> None:
        self._cache = value
        self.clean = self.clean | _DRAWN if value is not None else self.clean & ~_DRAWN

    def take_damage(self) -> bool:
        """Whether it changed since last asked."""
        changed = not self.clean & _SEEN
        self.clean |= _SEEN
        return changed

    @property
    def is_blank(self) -> bool:
        """Whether nothing was written to it and nothing marks it."""
        return self.cells is None and not self.spans and not self.log and not self.marks

    def mark(self, column: int, part: PromptPart) -> None:
        """Put a prompt mark; it replaces one of its kind."""
        self.marks = (*(mark for mark in self.marks if mark[1] is not part), (column, part))

    @property
    def known_attributes(self) -> Iterable[Attribute]:
        """The attributes of the cells that were written, each once."""
        self.settle()
        if self.cells is not None:
            return dict(zip(map(id, self.attributes), self.attributes, strict=True)).values()
        return {id(each): each for each in self.spans[1::2]}.values()

    def char(self, at: int) -> str:
        """The normalised character at a column."""
        if self.log:
            start, text = self.log[-3], self.log[-2]
            if 0 <= at - start < len(text):
                return str(text[at - start])
            self.settle()
        if self.cells is not None:
            return self.cells[at]
        end = self.length
        if at >= end:
            return " "
        for text in self.spans[-2::-2]:
            end -= len(text)
            if at >= end:
                return str(text[at - end])
        return " "

    def settle(self) -> None:
        """Apply what the log holds, but for what was overwritten since."""
        log = self.log
        if not log:
            return
        places, columns = log[::3], self.defaults.columns
        if 0 in places:
            # Most often it was painted from its beginning to its end, in one go.
            first = len(places) - 1 - places[::-1].index(0)
            texts = log[3 * first + 1 :: 3]
            if [*accumulate(map(len, texts), initial=0)] == [*places[first:], columns]:
                self.cells = None
                self.spans = log[3 * first :]
                del self.spans[::3]
                self.length = columns
                self.log = NO_LOG
                return
        kept = _last_written(log, columns) if len(log) > _SHORT_LOG else log[:]
        log.clear()
        cells = self.to_grid()
        attributes = self.attributes
        for at, text, attribute in zip(kept[::3], kept[1::3], kept[2::3], strict=True):
            end = at + len(text)
            cells[at:end] = text
            attributes[at:end] = [attribute] * len(text)

    def to_grid(self) -> list[str]:
        """The cells; spans are made a grid for it."""
        if self.log:
            self.settle()
        if self.cells is not None:
            return self.cells
        spans, columns, plain = self.spans, self.defaults.columns, self.defaults.plain
        if not spans:
            cells = [" "] * columns
            attributes = [plain] * columns
        else:
            text, attribute = spans[:2]
            cells = [*text]
            attributes = [attribute] * len(text)
            for text, attribute in zip(spans[2::2], spans[3::2], strict=True):
                cells += text
                attributes += [attribute] * len(text)
            missing = columns - len(cells)
            if missing > 0:
                cells += [" "] * missing
                attributes += [plain] * missing
            self.spans = []
        if self.length >= 0:
            self.log = []
            self.length = -1
        self.cells = cells
        self.attributes = attributes
        return cells

    def clear_split_wide(self, start: int, end: int) -> None:
        """Blank the halves of wide cells that a change of [start, end) would leave alone."""
        cells = self.cells
        assert cells is not None
        if start > 0 and start < len(cells) and cells[start] == WIDE_SPACER:
            cells[start - 1] = cells[start] = " "
        if end < len(cells) and cells[end] == WIDE_SPACER:
            cells[end - 1] = cells[end] = " "

    def write(self, at: int, text: str, attribute: Attribute) -> None:
        """Overwrite cells from column `at`; the text is normalised and fits."""
        end = at + len(text)
        length = self.length
        self.clean = 0
        wide = not text.isascii() and WIDE_SPACER in text
        if length >= 0:
            if at >= length:
                if at > length:
                    self.spans += " " * (at - length), self.defaults.plain
                self.spans += text, attribute
                self.length = end
                self.wide = self.wide or wide
                return
            if at == 0 and end >= length:
                self.spans = [text, attribute]
                self.length = end
                self.wide = wide
                return
        if self.wide or wide:
            cells = self.to_grid()
            if self.wide:
                self.clear_split_wide(at, end)
            self.wide = True
            cells[at:end] = text
            self.attributes[at:end] = [attribute] * len(text)
        else:
            self._keep(at, text, attribute)

    def _keep(self, at: int, text: str, attribute: Attribute) -> None:
        log = self.log
        if len(log) > LONGEST_LOG:
            self.settle()
        elif at == 0 and len(log) > _LONG_LOG and log[-3] + len(log[-2]) == self.defaults.columns:
            self.settle()  # Painted to its end and now anew: the last time is the whole of it.
        if self.length >= 0:
            self.log = [at, text, attribute]
            self.length = -1
        else:
            self.log += at, text, attribute

    def erase(self, start: int, end: int, blank: Attribute) -> None:
        """Blank the cells of [start, end)."""
        columns = self.defaults.columns
        self.clean = 0
        if end >= columns:
            self.wrapped = False
        length = self.length
        if start == 0 and (end >= columns or (0 <= length <= end and blank.plain)):
            self.log = NO_LOG
            self.cells = None
            self.wide = False
            self.spans = [] if blank.plain else [" " * end, blank]
            self.length = 0 if blank.plain else end
            return
        if length >= 0:
            if start >= length:
                if not blank.plain:
                    self.write(start, " " * (end - start), blank)
                return
            if not self.wide and (end >= columns or (end >= length and blank.plain)):
                self._truncate(start)
                if not blank.plain:
                    self.write(start, " " * (end - start), blank)
                return
        if self.wide:
            cells = self.to_grid()
            self.clear_split_wide(start, end)
            cells[start:end] = [" "] * (end - start)
            self.attributes[start:end] = [blank] * (end - start)
        else:
            self._keep(start, " " * (end - start), blank)

    def _truncate(self, length: int) -> None:
        spans = self.spans
        have = self.length
        while have > length:
            text, attribute = spans[-2:]
            del spans[-2:]
            have -= len(text)
            if have < length:
                spans += text[: length - have], attribute
                break
        self.length = length

    def insert(self, at: int, count: int, right: int, blank: Attribute) -> None:
        """Push the cells of [at, right] to the right by blanks; what passes `right` is lost."""
        count = min(count, right + 1 - at)
        cells = self.to_grid()
        if self.wide:
            self.clear_split_wide(at, right + 1)
            self.clear_split_wide(right + 1 - count, right + 1)
        del cells[right + 1 - count : right + 1]
        del self.attributes[right + 1 - count : right + 1]
        cells[at:at] = [" "] * count
        self.attributes[at:at] = [blank] * count
        self.clean = 0
        if right + 1 >= len(cells):
            self.wrapped = False

    def delete(self, at: int, count: int, right: int, blank: Attribute) -> None:
        """Pull the cells of [at, right] to the left; blanks come in at `right`."""
        count = min(count, right + 1 - at)
        cells = self.to_grid()
        if self.wide:
            self.clear_split_wide(at, right + 1)
            self.clear_split_wide(at, at + count)
        del cells[at : at + count]
        del self.attributes[at : at + count]
        cells[right + 1 - count : right + 1 - count] = [" "] * count
        self.attributes[right + 1 - count : right + 1 - count] = [blank] * count
        self.clean = 0
        if right + 1 >= len(cells):
            self.wrapped = False

    def pieces(self) -> list[Span]:
        """Normalised text in spans of equal attribute, from column 0."""
        self.settle()
        if self.cells is None:
            return pairs(self.spans)
        spans: list[Span] = []
        cells, attributes = self.cells, self.attributes
        start = 0
        current = attributes[0]
        for at, attribute in enumerate(attributes):
            if attribute is not current:
                spans.append(("".join(cells[start:at]), current))
                start, current = at, attribute
        spans.append(("".join(cells[start:]), current))
        return spans

    @property
    def runs(self) -> list[Run]:
        """The cells from column 0 in runs of equal style; past the last all are blank and plain."""
        to_text = self.defaults.clusters.to_text
        runs: list[Run] = []
        last: Attribute | None = None
        for text, attribute in self.pieces():
            for part in (
                _split_joined(text, self.defaults.clusters) if self.wide else (to_text(text),)
            ):
                if attribute is last and not runs[-1][0].endswith(JOINER):
                    runs[-1] = (runs[-1][0] + part, attribute)
                else:
                    runs.append((part, attribute))
                    last = attribute
        if last is not None and last.plain and not self.wrapped:
            text = runs[-1][0].rstrip(" ")
            runs[-1:] = [(text, last)] if text else []
        return runs

    @property
    def content(self) -> str:
        """The normalised text of every cell that was written."""
        self.settle()
        if self.cells is not None:
            return "".join(self.cells)
        return "".join(self.spans[::2])

    @property
    def text(self) -> str:
        """The cells as text, without blanks at the end of the line (a wrapped row has no end)."""
        if self.wrapped:
            return self.defaults.clusters.to_text(self.content.removesuffix(LEADING_SPACER))
        return self.defaults.clusters.to_text(self.content).rstrip(" ")


def pairs(spans: Sequence[Any]) -> list[Span]:
    """Spans that lie flat, as pairs."""
    return list(zip(spans[::2], spans[1::2], strict=True))


def _last_written(log: list[Any], columns: int) -> list[Any]:
    """A log without what was overwritten later."""
    covered, whole = 0, (1 << columns) - 1
    kept: list[Any] = []
    for at, text, attribute in zip(log[-3::-3], log[-2::-3], log[-1::-3], strict=True):
        grown = covered | (1 << len(text)) - 1 << at
        if grown != covered:
            kept += attribute, text, at
            if grown == whole:
                break
            covered = grown
    return kept[::-1]


def _split_joined(text: str, clusters: Clusters) -> list[str]:
    """Shown text, cut wherever a view would join what the screen keeps apart."""
    to_text = clusters.to_text(text)
    if JOINER not in to_text:
        return [to_text]
    parts = [""]
    for char in text:
        if char != WIDE_SPACER:
            if parts[-1].endswith(JOINER):
                parts.append("")
            parts[-1] += clusters.cell(char)
    return parts
