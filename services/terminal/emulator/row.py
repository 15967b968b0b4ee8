"""Rows: one line of cells as an object that scrolls by reference (upstream/terminal: Rows).

A row begins as spans of text and attribute, which is all that appending needs. The first write
that is neither an append nor a full overwrite makes it a grid: a list of cells and a list of
attributes. In both, one character is one cell (see `widths`).
"""

from __future__ import annotations

from typing import Final, TypeAlias

from services.terminal.cells import PLAIN, CellStyle, PromptPart, Run
from services.terminal.emulator.styles import Attribute
from services.terminal.emulator.widths import JOINER, LEADING_SPACER, WIDE_SPACER, Clusters

Span: TypeAlias = tuple[str, Attribute]
Mark: TypeAlias = tuple[int, PromptPart]
"""A column and what begins there."""

_SEEN: Final = 1
_DRAWN: Final = 2


class Row:
    """One line; `clean` is zeroed whenever it changes, which empties `cache` and marks damage."""

    __slots__ = (
        "_cache",
        "attributes",
        "cells",
        "clean",
        "clusters",
        "length",
        "marks",
        "spans",
        "wide",
        "wrapped",
    )

    def __init__(self, clusters: Clusters) -> None:
        self.clusters = clusters
        self.spans: list[Span] = []
        self.length = 0
        """Cells written as spans; a grid is always as long as the screen is wide."""
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
        return self.cells is None and not self.spans and not self.marks

    def mark(self, column: int, part: PromptPart) -> None:
        """Put a prompt mark; it replaces one of its kind."""
        self.marks = (*(mark for mark in self.marks if mark[1] is not part), (column, part))

    @property
    def known_attributes(self) -> set[Attribute]:
        """The attributes of the cells that were written, each once."""
        if self.cells is not None:
            return set(self.attributes)
        return {attribute for _, attribute in self.spans}

    def char(self, at: int) -> str:
        """The normalised character at a column."""
        if self.cells is not None:
            return self.cells[at]
        end = self.length
        if at >= end:
            return " "
        for text, _ in reversed(self.spans):
            end -= len(text)
            if at >= end:
                return text[at - end]
        return " "

    def to_grid(self, columns: int, plain: Attribute) -> list[str]:
        """Turn spans into a grid."""
        spans = self.spans
        if not spans:
            cells = [" "] * columns
            attributes = [plain] * columns
        else:
            text, attribute = spans[0]
            cells = [*text]
            attributes = [attribute] * len(text)
            for text, attribute in spans[1:]:
                cells += text
                attributes += [attribute] * len(text)
            missing = columns - len(cells)
            if missing > 0:
                cells += [" "] * missing
                attributes += [plain] * missing
            self.spans = []
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

    def write(self, at: int, text: str, attribute: Attribute, columns: int) -> None:
        """Overwrite cells from column `at`; the text is normalised and fits."""
        end = at + len(text)
        cells = self.cells
        self.clean = 0
        if cells is None:
            if at >= self.length:
                if at > self.length:
                    self.spans.append((" " * (at - self.length), attribute.owner.plain))
                self.spans.append((text, attribute))
                self.length = end
                self.wide = self.wide or (not text.isascii() and WIDE_SPACER in text)
                return
            if at == 0 and end >= self.length:
                self.spans = [(text, attribute)]
                self.length = end
                self.wide = not text.isascii() and WIDE_SPACER in text
                return
            cells = self.to_grid(columns, attribute.owner.plain)
        if self.wide:
            self.clear_split_wide(at, end)
        elif not text.isascii() and WIDE_SPACER in text:
            self.wide = True
        cells[at:end] = text
        self.attributes[at:end] = [attribute] * len(text)

    def erase(self, start: int, end: int, blank: Attribute, columns: int) -> None:
        """Blank the cells of [start, end)."""
        self.clean = 0
        if end >= columns:
            self.wrapped = False
        if self.cells is None or (start == 0 and end >= columns):
            if start == 0 and (end >= columns or (end >= self.length and blank.plain)):
                self.cells = None
                self.wide = False
                self.spans = [] if blank.plain else [(" " * end, blank)]
                self.length = 0 if blank.plain else end
                return
            if start >= self.length:
                if not blank.plain:
                    self.write(start, " " * (end - start), blank, columns)
                return
            if not self.wide and (end >= columns or (end >= self.length and blank.plain)):
                self._truncate(start)
                if not blank.plain:
                    self.write(start, " " * (end - start), blank, columns)
                return
        cells = self.cells if self.cells is not None else self.to_grid(columns, blank.owner.plain)
        if self.wide:
            self.clear_split_wide(start, end)
        cells[start:end] = [" "] * (end - start)
        self.attributes[start:end] = [blank] * (end - start)

    def _truncate(self, length: int) -> None:
        spans = self.spans
        have = self.length
        while have > length:
            text, attribute = spans.pop()
            have -= len(text)
            if have < length:
                spans.append((text[: length - have], attribute))
                break
        self.length = length

    def insert(self, at: int, count: int, right: int, blank: Attribute, columns: int) -> None:
        """Push the cells of [at, right] to the right by blanks; what passes `right` is lost."""
        count = min(count, right + 1 - at)
        cells = self.cells if self.cells is not None else self.to_grid(columns, blank.owner.plain)
        if self.wide:
            self.clear_split_wide(at, right + 1)
            self.clear_split_wide(right + 1 - count, right + 1)
        del cells[right + 1 - count : right + 1]
        del self.attributes[right + 1 - count : right + 1]
        cells[at:at] = [" "] * count
        self.attributes[at:at] = [blank] * count
        self.clean = 0
        if right + 1 >= columns:
            self.wrapped = False

    def delete(self, at: int, count: int, right: int, blank: Attribute, columns: int) -> None:
        """Pull the cells of [at, right] to the left; blanks come in at `right`."""
        count = min(count, right + 1 - at)
        cells = self.cells if self.cells is not None else self.to_grid(columns, blank.owner.plain)
        if self.wide:
            self.clear_split_wide(at, right + 1)
            self.clear_split_wide(at, at + count)
        del cells[at : at + count]
        del self.attributes[at : at + count]
        cells[right + 1 - count : right + 1 - count] = [" "] * count
        self.attributes[right + 1 - count : right + 1 - count] = [blank] * count
        self.clean = 0
        if right + 1 >= columns:
            self.wrapped = False

    def pieces(self) -> list[Span]:
        """Normalised text in spans of equal attribute, from column 0."""
        if self.cells is None:
            return self.spans
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
        to_text = self.clusters.to_text
        runs: list[Run] = []
        last: CellStyle | None = None
        for text, attribute in self.pieces():
            style = attribute.style
            for part in _split_joined(text, self.clusters) if self.wide else (to_text(text),):
                if style is last and not runs[-1][0].endswith(JOINER):
                    runs[-1] = (runs[-1][0] + part, style)
                else:
                    runs.append((part, style))
                    last = style
        if runs and runs[-1][1] == PLAIN and not self.wrapped:
            text = runs[-1][0].rstrip(" ")
            runs[-1:] = [(text, PLAIN)] if text else []
        return runs

    @property
    def content(self) -> str:
        """The normalised text of every cell that was written."""
        if self.cells is not None:
            return "".join(self.cells)
        return "".join(text for text, _ in self.spans)

    @property
    def text(self) -> str:
        """The cells as text, without blanks at the end of the line (a wrapped row has no end)."""
        if self.wrapped:
            return self.clusters.to_text(self.content.removesuffix(LEADING_SPACER))
        return self.clusters.to_text(self.content).rstrip(" ")


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
