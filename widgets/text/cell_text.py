"""Plain text cut and padded to an exact number of terminal cells."""

from __future__ import annotations

from typing import Literal, TypeAlias

from rich.cells import cell_len, set_cell_size

Align: TypeAlias = Literal["left", "right"]
Part: TypeAlias = tuple[str, str]
"""Text and its tone: the last word of a `record-table--…` class, or empty."""


def sanitize_cell(text: str) -> str:
    """Replace what does not print: blanks by a space, others by U+FFFD.

    What comes from outside was cleaned where it entered; this holds where that was forgotten.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text)


def sanitize_line(text: str, limit: int = 400) -> str:
    """Sanitise to one line of at most `limit` characters."""
    line = sanitize_cell(" ".join(text[: limit * 2].split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def sanitize_block(text: str) -> str:
    """Sanitise to lines: line breaks stay."""
    lines = text.replace("\r\n", "\n").replace("\t", "    ").split("\n")
    return "\n".join(map(sanitize_cell, lines))


def width_of(text: str) -> int:
    """Width in cells."""
    return len(text) if text.isascii() else cell_len(text)


def cut(text: str, width: int) -> str:
    """At most `width` cells of one line; what is missing shows as `…`."""
    if width <= 0:
        return ""
    if width_of(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip(" ") + "…"


def fit_parts(parts: tuple[Part, ...], width: int, align: Align = "left") -> list[Part]:
    """Cut and pad the parts to exactly `width` cells; padding carries no tone."""
    fitted: list[Part] = []
    left = width
    for index, (raw, tone) in enumerate(parts):
        if left <= 0:
            break
        text = sanitize_cell(raw)
        wide = width_of(text)
        if wide > left or (wide == left and index + 1 < len(parts) and _rest(parts, index)):
            short = cut(text, left) if wide > left else cut(text + "…", left)
            fitted.append((short, tone))
            left -= width_of(short)
            break
        if text:
            fitted.append((text, tone))
        left -= wide
    if left > 0:
        pad = (" " * left, "")
        fitted = [pad, *fitted] if align == "right" else [*fitted, pad]
    return fitted


def _rest(parts: tuple[Part, ...], index: int) -> bool:
    """Whether anything but blanks follows."""
    return any(text.strip() for text, _ in parts[index + 1 :])
