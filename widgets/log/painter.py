"""Draws the rows of a log: levels in tones, what was found, the cursor and the marks."""

from __future__ import annotations

import re

from rich.segment import Segment
from textual.strip import Strip

from services.models import LogLine
from widgets.log.lines import LogLines, Row, shifted
from widgets.table.layered_style import LayeredStyles
from widgets.text.cell_text import cut, sanitize_cell, width_of

GUTTER = 2
"""Cells before the text: the cursor or the mark."""
_LEVEL = re.compile(
    r"\b(?:(?P<bad>FATAL|CRITICAL|PANIC|ERROR|ERR)|(?P<warn>WARN(?:ING)?)|(?P<dim>DEBUG|TRACE))\b"
)
_LEVEL_WITHIN = 120
"""Characters of a line in which its level may stand."""
_STATES = ("line", "ours", "bad", "warn", "dim", "cursor", "marked", "match", "found", "empty")
NAMES = {word: f"log-view--{word}" for word in _STATES}
"""Component class of every state and tone."""


def tone_of(line: LogLine) -> str:
    """The state a line is drawn in, by who said it and by its level."""
    if line.ours:
        return "ours"
    level = _LEVEL.search(line.text[:_LEVEL_WITHIN])
    return "line" if level is None else level.lastgroup or "line"


class LogPainter:
    """Strips of `width` cells."""

    def __init__(self, style: LayeredStyles) -> None:
        self._style = style

    def row(
        self, lines: LogLines, row: Row, width: int, *, here: bool, marked: bool, left: int | None
    ) -> Strip:
        """One row; `left`: cells an unwrapped line is moved, None where it is wrapped."""
        line = lines[row.number]
        over = ["marked"] if marked else ["cursor"] if here else []
        names = tuple(NAMES[word] for word in ("line", tone_of(line), *over))
        style = self._style(*names)
        found = self._style(*names, NAMES["found" if here else "match"])
        text, gone = shifted(line.text[row.start : row.end], left or 0)
        glyph = ("›" if here else "■" if marked else " ") if row.first else " "
        parts = [Segment(glyph.ljust(GUTTER), style)]
        at = 0
        for begins, ends in lines.spans(row):
            start, end = max(0, begins - gone), max(0, ends - gone)
            parts += [
                Segment(sanitize_cell(text[at:start]), style),
                Segment(sanitize_cell(text[start:end]), found),
            ]
            at = end
        parts.append(Segment(sanitize_cell(text[at:]), style))
        strip = Strip([part for part in parts if part.text])
        if left is not None and strip.cell_length > width:
            strip = Strip([*strip.crop(0, width - 1), Segment("…", style)])
        return strip.adjust_cell_length(width, style)

    def message(self, words: str, width: int) -> Strip:
        """One centred line of prose where rows would be."""
        style = self._style(NAMES["line"], NAMES["empty"])
        words = cut(sanitize_cell(words), width)
        before = " " * max(0, (width - width_of(words)) // 2)
        return Strip([Segment(before + words, style)]).adjust_cell_length(width, style)

    def blank(self, width: int) -> Strip:
        """A row without a line."""
        return Strip.blank(width, self._style(NAMES["line"]))
