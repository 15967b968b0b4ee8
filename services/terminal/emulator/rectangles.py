"""Rectangular areas: DECCRA, DECFRA, DECERA, DECSERA, DECCARA, DECRARA and the checksum."""

from __future__ import annotations

from services.terminal.emulator.erase import Erasing
from services.terminal.emulator.row import Row
from services.terminal.emulator.sgr import attribute_change
from services.terminal.emulator.state import ROW_COST
from services.terminal.emulator.styles import Attribute, Protection
from services.terminal.emulator.widths import WIDE_SPACER

Area = tuple[int, int, int, int]
"""Top, left, bottom and right, from 0; the last two are one past the end."""


class Rectangles(Erasing):
    """Areas count from 1 and from the margins in origin mode; otherwise margins do not matter."""

    def area(self, top: int, left: int, bottom: int, right: int) -> Area | None:
        """An area clipped to the screen; None where there is nothing of it."""
        first_line, first_column = (self.top, self.left) if self.origin else (0, 0)
        last_line = self.bottom + 1 if self.origin else self.lines
        last_column = self.right + 1 if self.origin else self.columns
        y0 = first_line + (top or 1) - 1
        x0 = first_column + (left or 1) - 1
        y1 = min(first_line + bottom, last_line) if bottom else last_line
        x1 = min(first_column + right, last_column) if right else last_column
        if y0 >= y1 or x0 >= x1:
            return None
        self.cost += (y1 - y0) * (x1 - x0 + ROW_COST)
        return y0, x0, y1, x1

    def copy_area(self, *given: int) -> None:
        """DECCRA: top, left, bottom, right, page, then the top, left and page to copy to."""
        numbers = [*given, *[0] * 8]
        area = self.area(*numbers[:4])
        target = self.area(numbers[5], numbers[6], 0, 0)
        if area is None or target is None:
            return
        y0, x0, y1, x1 = area
        width = min(x1 - x0, self.columns - target[1])
        taken = []
        for y in range(y0, y1):
            row = self.grid(y)
            assert row.cells is not None
            cells = row.cells[x0 : x0 + width]
            if cells[0] == WIDE_SPACER:
                cells[0] = " "
            end = x0 + width
            if end < self.columns and row.cells[end] == WIDE_SPACER:
                cells[-1] = " "
            taken.append((cells, row.attributes[x0:end], row.wide))
        for y, (cells, attributes, wide) in enumerate(taken, target[0]):
            if y < self.lines:
                self._write_cells(self.grid(y), target[1], cells, attributes, wide)

    def _write_cells(
        self, row: Row, at: int, cells: list[str], attributes: list[Attribute], wide: bool
    ) -> None:
        assert row.cells is not None
        if row.wide:
            row.clear_split_wide(at, at + len(cells))
        row.cells[at : at + len(cells)] = cells
        row.attributes[at : at + len(cells)] = attributes
        row.wide = row.wide or wide
        row.clean = 0

    def fill_area(self, *given: int) -> None:
        """DECFRA: a character, then the area; only printable Latin-1 is taken."""
        numbers = [*given, *[0] * 5]
        code = numbers[0]
        area = self.area(*numbers[1:5])
        if area is None or not (32 <= code <= 126 or 160 <= code <= 255):
            return
        y0, x0, y1, x1 = area
        for row in self.rows[y0:y1]:
            row.write(x0, chr(code) * (x1 - x0), self.attribute)

    def erase_area(self, *given: int) -> None:
        """DECERA."""
        self._erase_area(given, Protection.NONE)

    def selective_erase_area(self, *given: int) -> None:
        """DECSERA: leaves what DECSCA protects."""
        self._erase_area(given, Protection.SELECTIVE)

    def _erase_area(self, given: tuple[int, ...], spared: Protection) -> None:
        area = self.area(*[*given, *[0] * 4][:4])
        if area is None:
            return
        y0, x0, y1, x1 = area
        for row in self.rows[y0:y1]:
            if spared is Protection.NONE:
                row.erase(x0, x1, self.attribute.blank)
            else:
                self._erase(row, x0, x1, spared)

    def select_attribute_extent(self, how: int = 0) -> None:
        """DECSACE: whether DECCARA and DECRARA mean a stream of cells or a rectangle."""
        if how in (0, 1, 2):
            self.attribute_extent = how

    def change_attributes(self, *given: int) -> None:
        """DECCARA: bold, underline, blink and reverse of an area."""
        self._restyle(given, toggle=False)

    def reverse_attributes(self, *given: int) -> None:
        """DECRARA: turn those attributes of an area to their opposite."""
        self._restyle(given, toggle=True)

    def _restyle(self, given: tuple[int, ...], *, toggle: bool) -> None:
        numbers = [*given, *[0] * 4]
        area = self.area(*numbers[:4])
        if area is None:
            return
        change = attribute_change(list(given[4:]) or [0], toggle=toggle)
        changed: dict[Attribute, Attribute] = {}
        y0, x0, y1, x1 = area
        stream = self.attribute_extent != 2
        for y in range(y0, y1):
            row = self.grid(y)
            start = 0 if stream and y > y0 else x0
            end = self.columns if stream and y < y1 - 1 else x1
            self.cost += end - start
            before = row.attributes[start:end]
            for attribute in set(before).difference(changed):
                changed[attribute] = self.attributes.of(change(attribute.packed), attribute.link)
            first = before[0]
            if before.count(first) == len(before):
                row.attributes[start:end] = [changed[first]] * len(before)
            else:
                row.attributes[start:end] = [changed[attribute] for attribute in before]
            row.clean = 0

    def report_checksum(self, *given: int) -> None:
        """DECRQCRA, as xterm 334 and later: the sum of the code points, a blank counting 32."""
        numbers = [*given, *[0] * 6]
        area = self.area(*numbers[2:6])
        total = 0
        if area is not None:
            y0, x0, y1, x1 = area
            for row in self.rows[y0:y1]:
                text = row.content.ljust(self.columns)[x0:x1]
                if text.isascii():
                    total += sum(text.encode("ascii"))
                else:
                    total += sum(map(ord, self.clusters.to_text(text)))
        self.send_reply(f"\x1bP{numbers[0]}!~{total & 0xFFFF:04X}\x1b\\")
