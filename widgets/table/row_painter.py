"""Draws the lines of a record table; a line is drawn again only when it would look different."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from rich.segment import Segment
from textual.strip import Strip

from widgets.table.columns import Placed
from widgets.table.layered_style import LayeredStyles
from widgets.text.cell_text import cut, harmless, lay, width_of
from widgets.text.glyphs import TONES

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")

GUTTER = 2
"""Cells before the first column: the cursor or the mark."""
CURSOR_GLYPH, MARK_GLYPH = "›", "■"
NEVER = float("nan")
KEPT_LINES = 512
"""Lines kept drawn; the one drawn longest ago goes first."""
STATES = ("row", "header", "sorted", "cursor", "hover", "mark", "stale", "flash", "empty")
NAMES = {word: f"record-table--{word}" for word in (*STATES, *TONES)}
"""Component class of every state and tone."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the table adds to a record."""

    cursor: bool = False
    marked: bool = False
    hover: bool = False
    stale: bool = False
    flash: frozenset[str] = frozenset()
    """Ids of the columns that have just changed."""


@dataclass(slots=True)
class _Line(Generic[R]):
    record: R
    look: Look
    now: float
    said: tuple[str, ...]
    """What the live columns said."""
    strip: Strip


class RowPainter(Generic[K, R]):
    """Strips of a header and of rows, kept by record key for as many as a screen may need."""

    def __init__(self, style: LayeredStyles) -> None:
        self._style = style
        self._lines: dict[K, _Line[R]] = {}
        self._placed: tuple[Placed[R], ...] = ()
        self._live: tuple[Placed[R], ...] = ()
        self._width = 0

    @property
    def placed(self) -> tuple[Placed[R], ...]:
        """The columns as laid out; `x` counts from the gutter's end."""
        return self._placed

    def place(self, placed: tuple[Placed[R], ...], width: int) -> None:
        """Take another layout."""
        self._placed, self._width = placed, width
        self._live = tuple(p for p in placed if p.column.live)
        self._lines.clear()

    def forget(self) -> None:
        """Draw everything anew: the styles changed."""
        self._style.forget()
        self._lines.clear()

    def header(self, sorted_by: str | None, reverse: bool) -> Strip:
        """The titles, with an arrow at the column that orders the rows."""
        plain = self._names("header")
        chosen = self._names("header", "sorted")
        parts: list[tuple[str, tuple[str, ...]]] = [(" " * GUTTER, plain)]
        for placed in self._placed:
            column = placed.column
            here = column.id == sorted_by
            arrow = ("▼" if reverse else "▲") if here else ""
            title = cut(column.title, placed.width - len(arrow)) + arrow
            parts += [
                (text, chosen if here and text.strip() else plain)
                for text, _ in lay(((title, ""),), placed.width, column.align)
            ]
            parts.append((" " * column.gap, plain))
        return self._strip(parts, plain)

    def row(self, key: K, record: R, look: Look, now: float) -> Strip:
        """The line of one record at the instant `now`."""
        line = self._lines.get(key)
        said: tuple[str, ...] | None = None
        if line is not None and line.record is record and line.look == look:
            if line.now == now:
                return line.strip
            said = self._said(record, now)
            if said == line.said:
                line.now = now
                return line.strip
        strip = self._draw(record, look, now)
        said = self._said(record, now) if said is None else said
        self._lines.pop(key, None)
        self._lines[key] = _Line(record, look, now, said, strip)
        if len(self._lines) > KEPT_LINES:
            del self._lines[next(iter(self._lines))]
        return strip

    def renew(self, key: K, before: R, record: R) -> None:
        """A drawn record has given way to one that differs in its live columns alone."""
        line = self._lines.get(key)
        if line is not None and line.record is before:
            line.record, line.now = record, NEVER

    def aged(self, key: K, record: R, now: float) -> tuple[Placed[R], ...]:
        """The live columns of a drawn line that would say something else at `now`."""
        line = self._lines.get(key)
        if line is None or line.record is not record:
            return self._live
        if line.now == now:
            return ()
        said = self._said(record, now)
        return tuple(
            p for p, new, old in zip(self._live, said, line.said, strict=True) if new != old
        )

    def message(self, text: str) -> Strip:
        """One centred line of prose where rows would be."""
        names = self._names("empty")
        text = cut(harmless(text), self._width)
        left = (self._width - width_of(text)) // 2
        return self._strip([(" " * left + text, names)], names)

    def blank(self) -> Strip:
        """A line without a record."""
        return Strip.blank(self._width, self._style(*self._names()))

    def _said(self, record: R, now: float) -> tuple[str, ...]:
        return tuple(p.column.render(record, now).text for p in self._live)

    def _draw(self, record: R, look: Look, now: float) -> Strip:
        states = [word for word in ("hover", "cursor") if getattr(look, word)]
        late = ["stale"] if look.stale else []
        glyph = MARK_GLYPH if look.marked else CURSOR_GLYPH if look.cursor else " "
        blank = self._names(*states)
        parts: list[tuple[str, tuple[str, ...]]] = [
            (glyph.ljust(GUTTER), self._names(*states, "mark"))
        ]
        for placed in self._placed:
            column = placed.column
            flash = ["flash"] if column.id in look.flash else []
            fitting = column.render(record, now).fitting(placed.width)
            for text, tone in lay(fitting, placed.width, column.align):
                tones = [tone] if tone in TONES else []
                parts.append((text, self._names(*states, *tones, *late, *flash)))
            parts.append((" " * column.gap, blank))
        return self._strip(parts, blank)

    @staticmethod
    def _names(*words: str) -> tuple[str, ...]:
        return (NAMES["row"], *(NAMES[word] for word in words))

    def _strip(self, parts: Sequence[tuple[str, tuple[str, ...]]], pad: tuple[str, ...]) -> Strip:
        segments: list[Segment] = []
        held, names = "", pad
        for text, its in parts:
            if its == names:
                held += text
                continue
            if held:
                segments.append(Segment(held, self._style(*names)))
            held, names = text, its
        if held:
            segments.append(Segment(held, self._style(*names)))
        return Strip(segments).adjust_cell_length(self._width, self._style(*pad))
