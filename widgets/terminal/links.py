"""Links under a cell: those the program marked (OSC 8), and addresses written out."""

from __future__ import annotations

import re

from rich.cells import cell_len

from services.lazy_dataclass import dataclass
from services.terminal.cells import TerminalScreen
from widgets.terminal.rows import CellPosition, logical_line, row_at

_ADDRESS = re.compile(r"(?:https?|ftp|ssh|file)://[^\s<>\"'`{}|\\^\u2500-\u257f]+", re.IGNORECASE)
_CLOSING = {")": "(", "]": "["}


@dataclass(frozen=True, slots=True)
class Link:
    """An address and the cells it is written in."""

    url: str
    spans: tuple[tuple[int, int, int], ...]
    """(absolute line, first column, end column)."""


def link_at(screen: TerminalScreen, position: CellPosition) -> Link | None:
    """The link a cell belongs to."""
    row = row_at(screen, position.line)
    if row is None:
        return None
    column = 0
    for text, style in row.runs:
        end = column + cell_len(text)
        if column <= position.column < end and style.link:
            return Link(style.link, ((position.line, column, end),))
        column = end
    if position.column >= column:
        return None
    line = logical_line(screen, position.line)
    index = line.index(position)
    for match in _ADDRESS.finditer(line.text):
        url = _trimmed(match.group())
        if match.start() <= index < match.start() + len(url):
            return Link(url, tuple(line.spans(match.start(), match.start() + len(url))))
    return None


def _trimmed(url: str) -> str:
    """Without the punctuation of the sentence around it."""
    while url:
        last = url[-1]
        opening = _CLOSING.get(last)
        unmatched = opening is not None and url.count(last) > url.count(opening)
        if last not in ".,;:!?" and not unmatched:
            break
        url = url[:-1]
    return url
