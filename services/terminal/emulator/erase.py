"""Erasing, inserting and deleting; the handlers keep pyte's names where pyte has the event."""

from __future__ import annotations

from services.terminal.emulator.cursor import CursorMovement
from services.terminal.emulator.row import Row
from services.terminal.emulator.state import ROW_COST
from services.terminal.emulator.styles import Protection
from services.terminal.emulator.widths import WIDE_SPACER

_SCROLLBACK = 3


class Erasing(CursorMovement):
    """Changes to cells that are not printing; counts of 0 mean 1. Erased cells keep the
    background of the moment and nothing else."""

    def erase_in_line(self, how: int = 0) -> None:
        """EL: to the end, from the start, or all."""
        start, end = self._extent(how)
        if end:
            self._erase(self.rows[self.y], start, end, Protection.ISO)
            self.pending = False

    def erase_in_display(self, how: int = 0) -> None:
        """ED; 3 clears the scrollback and leaves the screen."""
        if how == _SCROLLBACK:
            self.history.clear()
        else:
            self._erase_lines(how, Protection.ISO)

    def selective_erase_in_line(self, how: int = 0) -> None:
        """DECSEL: leaves what DECSCA protects."""
        start, end = self._extent(how)
        if end:
            self._erase(self.rows[self.y], start, end, Protection.SELECTIVE)
            self.pending = False

    def selective_erase_in_display(self, how: int = 0) -> None:
        """DECSED: leaves what DECSCA protects."""
        self._erase_lines(how, Protection.SELECTIVE)

    def erase_characters(self, count: int = 0) -> None:
        """ECH: margins do not matter."""
        start, columns = self.x, self.columns
        end = min(start + (count or 1), columns)
        self._erase(self.rows[self.y], start, end, Protection.ISO)

    def _extent(self, how: int) -> tuple[int, int]:
        """The cells of the cursor's line that an erasure means; (0, 0) for an unknown one."""
        if how == 0:
            return self.x, self.columns
        return (0, self.x + 1) if how == 1 else (0, self.columns if how == 2 else 0)

    def _erase_lines(self, how: int, spared: Protection) -> None:
        if how not in (0, 1, 2):
            return
        self.pending = False
        start, end = self._extent(how)
        self._erase(self.rows[self.y], start, end, spared)
        whole = {0: self.rows[self.y + 1 :], 1: self.rows[: self.y], 2: self.rows}[how]
        empty = self.attribute.blank.plain
        for row in whole:
            row.marks = ()
            if row.length or row.wrapped or not empty:
                self._erase(row, 0, self.columns, spared)

    def _erase(self, row: Row, start: int, end: int, spared: Protection) -> None:
        """Blank cells, but for those with this protection."""
        blank, columns = self.attribute.blank, self.columns
        self.cost += end - start + ROW_COST
        found = row.known_attributes if self.protected else ()
        kept = {attribute for attribute in found if attribute.protection == spared}
        if not kept:
            row.erase(start, end, blank)
            return
        if len(kept) == len(found) and (row.length < 0 or row.length >= end):
            return
        cells = row.to_grid()
        attributes = row.attributes[start:end]
        keep = list(map(kept.__contains__, attributes))
        if all(keep):
            return
        if row.wide:
            # The halves of one cell are protected together: only the ends can cut one.
            if start and not keep[0] and cells[start] == WIDE_SPACER:
                cells[start - 1] = " "
            if end < columns and not keep[-1] and cells[end] == WIDE_SPACER:
                cells[end] = " "
        cells[start:end] = [
            cell if held else " " for cell, held in zip(cells[start:end], keep, strict=True)
        ]
        row.attributes[start:end] = [
            one if held else blank for one, held in zip(attributes, keep, strict=True)
        ]
        row.clean = 0
        if end >= columns and not keep[-1]:
            row.wrapped = False

    def insert_characters(self, count: int = 0) -> None:
        """ICH: between the side margins."""
        if self.left <= self.x <= self.right:
            row = self.rows[self.y]
            self.cost += self.right - self.x + 1
            row.insert(self.x, count or 1, self.right, self.attribute.blank)
            self.pending = False

    def delete_characters(self, count: int = 0) -> None:
        """DCH: between the side margins."""
        if self.left <= self.x <= self.right:
            row = self.rows[self.y]
            self.cost += self.right - self.x + 1
            row.delete(self.x, count or 1, self.right, self.attribute.blank)
            self.pending = False

    @property
    def _in_region(self) -> bool:
        return self.top <= self.y <= self.bottom and self.left <= self.x <= self.right

    def insert_lines(self, count: int = 0) -> None:
        """IL: in the region; the cursor goes to the left margin."""
        if self.top <= self.y <= self.bottom and self.left <= self.x <= self.right:
            self.shift_down(self.y, count or 1)
            self.x = self.left
            self.pending = False

    def delete_lines(self, count: int = 0) -> None:
        """DL: in the region; the cursor goes to the left margin."""
        if self.top <= self.y <= self.bottom and self.left <= self.x <= self.right:
            self.shift_up(self.y, count or 1)
            self.x = self.left
            self.pending = False

    def insert_columns(self, count: int = 0) -> None:
        """DECIC."""
        if self._in_region:
            self.shift_region(self.x, count or 1)
            self.pending = False

    def delete_columns(self, count: int = 0) -> None:
        """DECDC."""
        if self._in_region:
            self.shift_region(self.x, -(count or 1))
            self.pending = False

    def scroll_region_up(self, count: int = 0) -> None:
        """SU."""
        self.scroll_up(count or 1)

    def scroll_region_down(self, count: int = 0) -> None:
        """SD."""
        self.scroll_down(count or 1)

    def repeat(self, count: int = 0) -> None:
        """REP: the last character printed, again."""
        if self.last:
            cell = self.last[-2:] if self.last[-1] == WIDE_SPACER else self.last[-1]
            count = min(count or 1, self.columns * self.lines)
            width = self.right - self.left + 1
            most = self.columns + width * (self.lines + 2)
            if not self.full_width and count > most and width % len(cell) == 0:
                # Between side margins nothing goes to the history: what is over is never seen.
                count = most + (count - most) % width
            text = cell * count
            self.cost += len(text)
            if self.fast:
                self.put(text)
            else:
                self._put_cells(text)

    def alignment_display(self) -> None:
        """DECALN: a screen of E, without margins."""
        self.reset_margins()
        self.update_flags()
        self.cost += self.lines * (self.columns + ROW_COST)
        for row in self.rows:
            row.erase(0, self.columns, self.plain)
            row.write(0, "E" * self.columns, self.plain)
        self.x = self.y = 0
