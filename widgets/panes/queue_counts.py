"""Counts by label as text: what is open first, what is settled in one dim number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from services.models import Counts, Direction, InLabel, OutLabel
from services.text.signs import SETTLED, Sign, message_sign, urgent_first
from widgets.table.columns import Cell
from widgets.text.cell_text import Part


def sign_of(direction: Direction, label: str) -> Sign:
    """The sign of a label by its name; of an unknown one, the name itself."""
    try:
        return message_sign(InLabel(label) if direction is Direction.IN else OutLabel(label))
    except ValueError:
        return Sign("?", label, "warn")


def open_count(counts: Counts) -> int:
    """How many rows are not settled."""
    return sum(number for label, number in counts if label not in SETTLED)


def settled_count(counts: Counts) -> int:
    """How many rows are settled."""
    return sum(number for label, number in counts if label in SETTLED)


def cell(direction: Direction, counts: Counts) -> Cell:
    """One queue in a cell: `2 due, 1 processing`, or with signs alone where it is narrow."""
    signs = [
        (sign_of(direction, label), number)
        for label, number in urgent_first(counts)
        if number and label not in SETTLED
    ]
    if not signs:
        done = settled_count(counts)
        return Cell.of(f"✓ {done} done", "dim", f"✓{done}") if done else Cell.of("")
    whole: list[Part] = []
    short: list[Part] = []
    for sign, number in signs:
        whole += [("  ", "")] if whole else []
        whole.append((f"{sign.glyph} {number} {sign.word}", sign.tone))
    for sign, number in _by_glyph(signs):
        short += [(" ", "")] if short else []
        short.append((f"{sign.glyph}{number}", sign.tone))
    return Cell(tuple(whole), tuple(short))


def _by_glyph(signs: Iterable[tuple[Sign, int]]) -> Iterable[tuple[Sign, int]]:
    """Without words one sign is one number, in the tone of the most urgent one."""
    folded: dict[str, tuple[Sign, int]] = {}
    for sign, number in signs:
        first, before = folded.get(sign.glyph, (sign, 0))
        folded[sign.glyph] = (first, before + number)
    return folded.values()


def edge(
    direction: Direction, counts: Counts, *, words: bool, chart: Sequence[Part] = ()
) -> list[Part]:
    """One queue in the lower edge of a pane: its chart, then every label with its number."""
    parts: list[Part] = [("→ in" if direction is Direction.IN else "← out", "dim"), *chart]
    signs = [(sign_of(direction, label), number) for label, number in urgent_first(counts)]
    for sign, number in signs if words else _by_glyph(signs):
        text = f"  {sign.glyph} {number} {sign.word}" if words else f" {sign.glyph}{number}"
        parts.append((text, sign.tone))
    return parts if counts else [*parts, (" empty", "dim")]
