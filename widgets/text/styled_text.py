"""Styled text made from plain strings; nothing in them is read as markup.

The services have already made outside text harmless; a control character that slipped through is
drawn as a mark and not obeyed.
"""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content

from services.text.signs import Sign
from widgets.text.cell_text import sanitize_line

TONES = {
    "good": "$text-success",
    "busy": "$text-primary",
    "wait": "$text-accent",
    "calm": "$foreground",
    "warn": "$text-warning",
    "bad": "$text-error",
    "dim": "$foreground-muted",
}
"""The theme variable behind each tone; none of them `auto`, whose opacity drawn text would lose."""

GAP = 2
"""Cells between two things on one line."""


def styled(text: str, tone: str, *, bold: bool = False) -> Content:
    """One line in the colour of a tone (see `services.text.signs.Sign`)."""
    style = TONES[tone]
    return Content.styled(sanitize_line(text), f"bold {style}" if bold else style)


def signed(sign: Sign, words: str | None = None, *, bold: bool = False) -> Content:
    """A glyph and its word, or other `words` in the word's place, in the colour of the sign."""
    return styled(f"{sign.glyph} {sign.word if words is None else words}", sign.tone, bold=bold)


def joined(parts: Iterable[Content], gap: str = " " * GAP) -> Content:
    """The parts with a gap between them; empty ones are left out.

    In place of `Content.join`, which in Textual 8.2 counts a separator too many into its width.
    """
    pieces: list[str | Content] = []
    for part in parts:
        if part:
            pieces += [gap, part] if pieces else [part]
    return Content.assemble(*pieces)


def spread(left: Content, right: Content, width: int) -> Content:
    """One line of `width` cells: `right` at its end, `left` cut off where there is no room."""
    right = right.truncate(width, ellipsis=True)
    room = max(0, width - right.cell_length - (2 if right else 0))
    left = left.truncate(room, ellipsis=True)
    filler = max(0, width - left.cell_length - right.cell_length)
    return Content.assemble(left, " " * filler, right)
