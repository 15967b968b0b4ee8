"""Rectangular areas: DECCRA, DECFRA, DECERA, DECSERA, DECCARA, DECRARA and the checksum."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, islice
from operator import is_not
from typing import Final

from services.terminal.emulator.erase import erase_cells
from services.terminal.emulator.row import Row
from services.terminal.emulator.screen import Screen
from services.terminal.emulator.sgr import attribute_change
from services.terminal.emulator.state import ROW_COST
from services.terminal.emulator.styles import Attribute, Protection
from services.terminal.emulator.widths import WIDE_SPACER

_FEW: Final = 8
"""Changes of style in a row up to which its spans are dealt with sooner than its cells."""
_SPAN_COST: Final = 8
Area = tuple[int, int, int, int]
"""Top, left, bottom and right, from 0; the last two are one past the end."""


def clipped(screen: Screen, top: int, left: int, bottom: int, right: int) -> Area | None:
    """An area clipped to the screen; None where there is nothing of it."""
    first_line, first_column = (
        (screen.margins.top, screen.margins.left) if screen.origin else (0, 0)
    )
    last_line = screen.margins.bottom + 1 if screen.origin else screen.lines
    last_column = screen.margins.right + 1 if screen.origin else screen.columns
    y0 = first_line + (top or 1) - 1
    x0 = first_column + (left or 1) - 1
    y1 = min(first_line + bottom, last_line) if bottom else last_line
    x1 = min(first_column + right, last_column) if right else last_column
    if y0 >= y1 or x0 >= x1:
        return None
    screen.cost += (y1 - y0) * (x1 - x0 + ROW_COST)
    return y0, x0, y1, x1


def copy_area(screen: Screen, *given: int) -> None:
    """DECCRA: top, left, bottom, right, page, then the top, left and page to copy to."""
    numbers = [*given, *[0] * 8]
    area = clipped(screen, *numbers[:4])
    target = clipped(screen, numbers[5], numbers[6], 0, 0)
    if area is None or target is None:
        return
    y0, x0, y1, x1 = area
    width = min(x1 - x0, screen.columns - target[1])
    taken = []
    for y in range(y0, y1):
        row = screen.grid(y)
        assert row.cells is not None
        cells = row.cells[x0 : x0 + width]
        if cells[0] == WIDE_SPACER:
            cells[0] = " "
        end = x0 + width
        if end < screen.columns and row.cells[end] == WIDE_SPACER:
            cells[-1] = " "
        taken.append((cells, row.attributes[x0:end], row.wide))
    for y, (cells, attributes, wide) in enumerate(taken, target[0]):
        if y < screen.lines:
            _write_cells(screen, screen.grid(y), target[1], cells, attributes, wide)


def _write_cells(
    screen: Screen, row: Row, at: int, cells: list[str], attributes: list[Attribute], wide: bool
) -> None:
    assert row.cells is not None
    if row.wide:
        row.clear_split_wide(at, at + len(cells))
    row.cells[at : at + len(cells)] = cells
    row.attributes[at : at + len(cells)] = attributes
    row.wide = row.wide or wide
    row.clean = 0


def fill_area(screen: Screen, *given: int) -> None:
    """DECFRA: a character, then the area; only printable Latin-1 is taken."""
    numbers = [*given, *[0] * 5]
    code = numbers[0]
    area = clipped(screen, *numbers[1:5])
    if area is None or not (32 <= code <= 126 or 160 <= code <= 255):
        return
    y0, x0, y1, x1 = area
    for row in screen.rows[y0:y1]:
        row.write(x0, chr(code) * (x1 - x0), screen.cursor.attribute)


def erase_area(screen: Screen, *given: int) -> None:
    """DECERA."""
    _erase_area(screen, given, Protection.NONE)


def selective_erase_area(screen: Screen, *given: int) -> None:
    """DECSERA: leaves what DECSCA protects."""
    _erase_area(screen, given, Protection.SELECTIVE)


def _erase_area(screen: Screen, given: tuple[int, ...], spared: Protection) -> None:
    area = clipped(screen, *[*given, *[0] * 4][:4])
    if area is None:
        return
    y0, x0, y1, x1 = area
    for row in screen.rows[y0:y1]:
        if spared is Protection.NONE:
            row.erase(x0, x1, screen.cursor.attribute.blank)
        else:
            erase_cells(screen, row, x0, x1, spared)


def select_attribute_extent(screen: Screen, how: int = 0) -> None:
    """DECSACE: whether DECCARA and DECRARA mean a stream of cells or a rectangle."""
    if how in (0, 1, 2):
        screen.attribute_extent = how


def change_attributes(screen: Screen, *given: int) -> None:
    """DECCARA: bold, underline, blink and reverse of an area."""
    _restyle(screen, given, toggle=False)


def reverse_attributes(screen: Screen, *given: int) -> None:
    """DECRARA: turn those attributes of an area to their opposite."""
    _restyle(screen, given, toggle=True)


def _restyle(screen: Screen, given: tuple[int, ...], *, toggle: bool) -> None:
    numbers = [*given, *[0] * 4]
    area = clipped(screen, *numbers[:4])
    if area is None:
        return
    change = attribute_change(list(given[4:]) or [0], toggle=toggle)
    changed: dict[int, Attribute] = {}
    before: dict[int, Attribute] = {}  # Held, so that no other attribute gets their ids.

    def restyled(attribute: Attribute) -> Attribute:
        if id(attribute) not in changed:
            before[id(attribute)] = attribute
            found = screen.attributes.of(change(attribute.packed), attribute.link)
            changed[id(attribute)] = found
        return changed[id(attribute)]

    y0, x0, y1, x1 = area
    stream = screen.attribute_extent != 2
    for y in range(y0, y1):
        row = screen.rows[y]
        start = 0 if stream and y > y0 else x0
        end = screen.columns if stream and y < y1 - 1 else x1
        screen.cost += end - start
        row.settle()
        if row.cells is not None:
            steps = islice(row.attributes, 1, None)
            if sum(map(is_not, row.attributes, steps)) < _FEW:
                row.spans = [*chain.from_iterable(row.pieces())]
                row.cells, row.length = None, screen.columns
        elif len(row.spans) > 2 * _FEW:
            row.to_grid()
        if row.cells is None:
            _restyle_spans(screen, row, start, end, restyled)
        else:
            styles = row.attributes[start:end]
            ids = list(map(id, styles))
            for each in dict(zip(ids, styles, strict=True)).values():
                restyled(each)
            row.attributes[start:end] = map(changed.__getitem__, ids)
        row.clean = 0


def _restyle_spans(
    screen: Screen, row: Row, start: int, end: int, restyled: Callable[[Attribute], Attribute]
) -> None:
    """Give cells of a row that is spans other attributes; it stays spans."""
    spans, at = row.spans, 0
    screen.cost += _SPAN_COST * len(spans)
    if row.length < end:
        spans += " " * (end - row.length), screen.plain
        row.length = end
    row.spans = []
    for text, attribute in zip(spans[::2], spans[1::2], strict=True):
        first, last = max(start - at, 0), end - at
        at += len(text)
        for part, style in (
            (text[:first], attribute),
            (text[first : max(last, first)], restyled(attribute)),
            (text[max(last, first) :], attribute),
        ):
            if part:
                row.spans += part, style


def report_checksum(screen: Screen, *given: int) -> None:
    """DECRQCRA, as xterm 334 and later: the sum of the code points, a blank counting 32."""
    numbers = [*given, *[0] * 6]
    area = clipped(screen, *numbers[2:6])
    total = 0
    if area is not None:
        y0, x0, y1, x1 = area
        for row in screen.rows[y0:y1]:
            text = row.content.ljust(screen.columns)[x0:x1]
            if text.isascii():
                total += sum(text.encode("ascii"))
            else:
                total += sum(map(ord, screen.clusters.to_text(text)))
    screen.send_reply(f"\x1bP{numbers[0]}!~{total & 0xFFFF:04X}\x1b\\")
