"""Moving the cursor: the handlers keep pyte's names where pyte has the event."""

from __future__ import annotations

from services.terminal.emulator.print_cached import CachedPrinting
from services.terminal.emulator.state import ROW_COST


class CursorMovement(CachedPrinting):
    """Cursor movement and tab stops; counts of 0 mean 1."""

    def cursor_up(self, count: int = 0) -> None:
        """CUU: stops at the top margin, or at the edge where the cursor is above it."""
        limit = self.top if self.y >= self.top else 0
        self.y = max(limit, self.y - (count or 1))

    def cursor_down(self, count: int = 0) -> None:
        """CUD: stops at the bottom margin, or at the edge where the cursor is below it."""
        limit = self.bottom if self.y <= self.bottom else self.lines - 1
        self.y = min(limit, self.y + (count or 1))

    def cursor_up1(self, count: int = 0) -> None:
        """CPL."""
        self.cursor_up(count)
        self.carriage_return()

    def cursor_down1(self, count: int = 0) -> None:
        """CNL."""
        self.cursor_down(count)
        self.carriage_return()

    def cursor_forward(self, count: int = 0) -> None:
        """CUF: stops at the right margin, or at the edge where the cursor is right of it."""
        limit = self.right if self.x <= self.right else self.columns - 1
        self.x = min(limit, self.x + (count or 1))

    def cursor_back(self, count: int = 0) -> None:
        """CUB and BS: stops at the left margin, or goes on in the line above (mode 45)."""
        count = count or 1
        if self.autowrap and self.private & {45, 1045}:
            self._wrap_back(count)
        else:
            limit = self.left if self.x >= self.left else 0
            self.x = max(limit, self.x - count)

    def _wrap_back(self, count: int) -> None:
        """Backwards through the lines, from the top margin round to the bottom one."""
        if self.pending:
            count -= 1
        count = min(count, self.columns * self.lines)
        self.cost += self.lines
        while count > 0:
            limit = self.left if self.x >= self.left else 0
            step = min(count, self.x - limit)
            self.x -= step
            count -= step
            if count:
                count -= 1
                self.x = self.right
                if self.y == self.top:
                    self.y = self.bottom
                else:
                    self.y = self.y - 1 if self.y else self.lines - 1

    def cursor_position(self, line: int = 0, column: int = 0) -> None:
        """CUP and HVP: from the margins in origin mode, and kept between them."""
        self.cursor_to(line, column)

    def cursor_to(self, line: int, column: int) -> None:
        """Go to a line and column counted from 1."""
        self.y, self.x = self._line(line), self._column(column)
        self.pending = False

    def _line(self, line: int) -> int:
        """Where a line counted from 1 is: in origin mode from the top margin, to the bottom one."""
        y = max(line, 1) - 1
        return min(self.top + y, self.bottom) if self.origin else min(y, self.lines - 1)

    def _column(self, column: int) -> int:
        """Where a column counted from 1 is: in origin mode between the side margins."""
        x = max(column, 1) - 1
        return min(self.left + x, self.right) if self.origin else min(x, self.columns - 1)

    def cursor_to_column(self, column: int = 0) -> None:
        """CHA."""
        self.x = self._column(column)

    def cursor_to_absolute_column(self, column: int = 0) -> None:
        """HPA."""
        self.x = self._column(column)

    def cursor_right_by(self, count: int = 0) -> None:
        """HPR: the margins bound it in origin mode alone."""
        limit = self.right if self.origin else self.columns - 1
        self.x = min(self.x + (count or 1), max(limit, self.x))

    def cursor_to_line(self, line: int = 0) -> None:
        """VPA."""
        self.y = self._line(line)

    def cursor_down_by(self, count: int = 0) -> None:
        """VPR: the margins bound it in origin mode alone."""
        limit = self.bottom if self.origin else self.lines - 1
        self.y = min(self.y + (count or 1), max(limit, self.y))

    def backspace(self) -> None:
        """BS."""
        self.cursor_back(1)

    def linefeed(self) -> None:
        """LF, VT and FF; in newline mode with a carriage return."""
        self.index()
        if 20 in self.ansi:
            self.carriage_return()

    def next_line(self) -> None:
        """NEL."""
        self.index()
        self.carriage_return()

    def reverse_index(self) -> None:
        """RI: up one line; at the top margin the region moves down instead."""
        if self.y == self.top:
            if self.left <= self.x <= self.right:
                self.scroll_down(1)
        elif self.y:
            self.y -= 1

    def tab(self) -> None:
        """HT: to the next stop; a pending wrap comes first where mode 41 says so, else it stays."""
        if self.pending and 41 in self.private:
            self._wrap()
        self.tab_forward(1)

    def tab_forward(self, count: int = 0) -> None:
        """CHT: never beyond the right margin."""
        limit = self._right_limit()
        self.cost += len(self.tabs)
        stops = sorted(stop for stop in self.tabs if self.x < stop < limit)
        self.x = stops[(count or 1) - 1] if (count or 1) <= len(stops) else limit

    def tab_back(self, count: int = 0) -> None:
        """CBT: the left margin stops it in origin mode alone; a pending wrap stays."""
        self.cost += len(self.tabs)
        stops = sorted(stop for stop in self.tabs if stop < self.x)
        x = stops[-count or -1] if stops and count <= len(stops) else 0
        limit = min(self.left, self.x) if self.origin else 0
        self.x = max(x, limit)
        if self.pending:
            self.update_flags()

    def set_tab_stop(self) -> None:
        """HTS."""
        self.tabs.add(self.x)

    def clear_tab_stop(self, how: int = 0) -> None:
        """TBC."""
        if how == 0:
            self.tabs.discard(self.x)
        elif how == 3:
            self.tabs.clear()

    def set_margins(self, top: int = 0, bottom: int = 0) -> None:
        """DECSTBM: then the cursor goes home; margins that leave no two lines are ignored."""
        first = (top or 1) - 1
        last = min(bottom or self.lines, self.lines) - 1
        if first < last:
            self.top, self.bottom = first, last
            if self.origin:
                self.cursor_to(1, 1)
            else:
                self.x = self.y = 0
                self.pending = False

    def set_side_margins(self, left: int = 0, right: int = 0) -> None:
        """DECSLRM in mode 69, else SCOSC."""
        if 69 not in self.private:
            self.save_cursor()
            return
        first = (left or 1) - 1
        last = min(right or self.columns, self.columns) - 1
        if first < last:
            self.left, self.right = first, last
            self.update_flags()
            self.cursor_to(1, 1)

    def back_index(self) -> None:
        """DECBI: left one column; at the left margin the region moves right instead."""
        if self.x == self.left and self.top <= self.y <= self.bottom:
            self.shift_region(self.left, 1)
        elif self.x:
            self.x -= 1

    def forward_index(self) -> None:
        """DECFI: right one column; at the right margin the region moves left instead."""
        if self.x == self.right and self.top <= self.y <= self.bottom:
            self.shift_region(self.left, -1)
        elif self.x < self.columns - 1:
            self.x += 1

    def shift_region(self, at: int, count: int) -> None:
        """Insert columns at a column of the region, or delete them where count is negative."""
        blank = self.attribute.blank
        self.cost += (self.bottom - self.top + 1) * (self.right - at + ROW_COST)
        for row in self.rows[self.top : self.bottom + 1]:
            if count > 0:
                row.insert(at, count, self.right, blank)
            else:
                row.delete(at, -count, self.right, blank)
