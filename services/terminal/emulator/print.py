"""Printing text to cells: wrapping, insert mode, grapheme clusters, and bulk lines."""

from __future__ import annotations

import re
from typing import Final

from services.terminal.emulator.row import Row
from services.terminal.emulator.scrollback import Entry
from services.terminal.emulator.state import ScreenState
from services.terminal.emulator.widths import (
    INVISIBLE,
    LEADING_SPACER,
    MAY_JOIN,
    WIDE_SPACER,
    ZERO_WIDTH_LINE_START,
    extend,
    is_zero,
    joins,
)

TOKENS: Final = re.compile(r"[^\x00-\x1f\x7f]+|\r\n|[\x00-\x1f\x7f]")
"""Text and controls in turn."""
_SLOW_PIECE: Final = 256
"""Characters printed at a time where printing is slow."""
_TOKEN_COST: Final = 16
"""What a text or a control costs besides its cells, in cells."""
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class Printing(ScreenState):
    """Printing of text that may hold controls."""

    def control(self, char: str) -> None:
        """Obey a C0 control."""
        raise NotImplementedError

    def carriage_return(self) -> None:
        """To the left margin, or the edge where the cursor stands left of it."""
        self.x = self.left if self.x >= self.left or self.origin else 0
        self.pending = False

    def index(self) -> None:
        """Down one line; at the bottom margin the region moves up instead."""
        self.pending = False
        if self.y == self.bottom:
            if self.left <= self.x <= self.right:
                self.scroll_up(1)
        elif self.y < self.lines - 1:
            self.y += 1

    def write(self, text: str) -> str:
        """Print text that may hold controls, but no escape; what is left of it at the limit."""
        while text:
            text = self._write(text)
            if self.cost > self.cost_limit:
                break
        return text

    def _write(self, text: str) -> str:
        if self.fast and "\n" in text and self.write_lines(text):
            return ""
        for match in TOKENS.finditer(text):
            piece = match[0]
            if piece == "\r\n":
                self.carriage_return()
                self.control("\n")
            elif piece < " " or piece == "\x7f":
                self.control(piece)
            elif self.fast or len(piece) <= _SLOW_PIECE:
                self.draw(piece)
            else:
                self.draw(piece[:_SLOW_PIECE])
                return piece[_SLOW_PIECE:] + text[match.end() :]
            self.cost += _TOKEN_COST
            if self.cost > self.cost_limit:
                return text[match.end() :]
        return ""

    def draw(self, text: str) -> None:
        """Print text without controls."""
        if self.translation is not None or self.shift:
            text = self._translate(text)
        if not text.isascii():
            if INVISIBLE.search(text):
                text = INVISIBLE.sub("", text)
            taken = 0
            while MAY_JOIN.match(text, taken) and self._join(text[taken]):
                taken += 1
            text = self.clusters.normalise(text[taken:])
        if text:
            if self.fast:
                self.put(text)
            else:
                self._put_cells(text)
            self.last = text

    def _translate(self, text: str) -> str:
        if self.shift:
            table = self.charsets[self.shift]
            self.shift = 0
            self.update_flags()
            first = text[:1].translate(table) if table else text[:1]
            return first + self._translate(text[1:]) if len(text) > 1 else first
        return text.translate(self.translation) if self.translation else text

    def put(self, text: str) -> None:
        """Print normalised text where nothing but wrapping can happen."""
        columns = self.columns
        attribute = self.attribute
        while True:
            if self.pending:
                self._wrap()
            x = self.x
            room = columns - x
            if len(text) <= room:
                self.rows[self.y].write(x, text, attribute)
                x += len(text)
                self.pending = x == columns
                self.x = x - 1 if self.pending else x
                return
            cut = room - 1 if text[room] == WIDE_SPACER else room
            row = self.rows[self.y]
            if cut:
                row.write(x, text[:cut], attribute)
            if cut < room:
                row.write(columns - 1, LEADING_SPACER, attribute.blank)
            text = text[cut:]
            self.x = columns - 1
            self._wrap()

    def _wrap(self) -> None:
        """Go on in the next line."""
        if self.full_width:
            self.rows[self.y].wrapped = True
        self.index()
        self.x = self.left

    def _right_limit(self) -> int:
        """The last column text may reach from where the cursor stands."""
        return self.right if self.x <= self.right else self.columns - 1

    def _put_cells(self, text: str) -> None:
        """Print normalised text between margins, in insert mode or without autowrap."""
        at = 0
        while at < len(text):
            if self.pending and self.autowrap:
                self._wrap()
            if self.pending and not self.autowrap and self.x < self._right_limit():
                self.pending = False  # A tab back took the cursor along.
            if self.pending and text.isascii():
                at = len(text) - 1  # Without autowrap all of it goes to one cell.
            piece = "" if self.pending else self._fitting(text, at)
            if piece:
                self._put_piece(piece)
                at += len(piece)
                continue
            wide = text[at + 1 : at + 2] == WIDE_SPACER
            cell = text[at : at + 2] if wide else text[at]
            at += len(cell)
            self._put_cell(cell)

    def _fitting(self, text: str, at: int) -> str:
        """As much of a text from a place in it as has room right of the cursor."""
        limit = self._right_limit()
        if self.insert and self.x < self.left:
            limit = self.left - 1  # Insertion begins at the margin.
        end = at + limit + 1 - self.x
        if end < len(text) and text[end] == WIDE_SPACER:
            end -= 1
        return text[at:end]

    def _put_piece(self, piece: str) -> None:
        """Print text that has room."""
        row, width = self.rows[self.y], len(piece)
        self.cost += width
        if self.insert and self.left <= self.x <= self.right:
            self.cost += self.columns
            row.insert(self.x, width, self.right, self.attribute.blank)
        row.write(self.x, piece, self.attribute)
        limit = self._right_limit()
        self.x += width
        if self.x > limit:
            self.x = limit
            self.pending = True

    def _put_cell(self, cell: str) -> None:
        columns = self.columns
        width = len(cell)
        if self.pending and self.autowrap:
            self._wrap()
        self.pending = False
        limit = self._right_limit()
        if self.x + width - 1 > limit:
            if self.autowrap:
                self.rows[self.y].write(limit, LEADING_SPACER, self.attribute.blank)
                self._wrap()
                limit = self._right_limit()
            self.x = min(self.x, max(0, limit + 1 - width))
        row = self.rows[self.y]
        if self.insert and self.left <= self.x <= self.right:
            row.insert(self.x, width, self.right, self.attribute.blank)
        row.write(self.x, cell, self.attribute)
        self.x += width
        if self.x > limit:
            self.x = limit
            self.pending = True

    def _join(self, char: str) -> bool:
        """Take a character into the cell left of the cursor; False where it starts its own.

        A character without a column is always taken, by no cell where there is none.
        """
        zero = is_zero(char)
        at = self.x if self.pending else self.x - 1
        if at < 0:
            return zero
        row = self.rows[self.y]
        if row.char(at) == WIDE_SPACER:
            at -= 1
        wide = at + 1 < self.columns and row.char(at + 1) == WIDE_SPACER
        cell = self.clusters.cell(row.char(at))
        if zero:
            grown, now_wide = extend(cell, wide, char)
        elif joins(cell, wide, char):
            grown, now_wide = cell + char, True
        else:
            return False
        if grown == cell:
            return True
        kept = self.clusters.stand_in(grown)
        row = self.grid(self.y)
        row.clean = 0
        if now_wide == wide:
            assert row.cells is not None
            row.cells[at] = kept
        else:
            self._widen(row, at, kept)
        self.last = kept + WIDE_SPACER if now_wide else kept
        return True

    def _widen(self, row: Row, at: int, kept: str) -> None:
        """Give a cell its second column, as if it had had two when it was printed."""
        assert row.cells is not None
        attribute, mine = self.attribute, row.attributes[at]
        limit = self.right if at <= self.right else self.columns - 1
        self.attribute = mine
        if at == limit:
            self.x = at
            self.pending = False
            self._put_cell(kept + WIDE_SPACER)
        else:
            if self.insert and self.left <= at <= self.right:
                row.insert(at + 1, 1, self.right, attribute.blank)
            row.write(at, kept + WIDE_SPACER, mine)
            self.x = at + 2
            if self.x > limit:
                self.x, self.pending = limit, True
        self.attribute = attribute

    def write_lines(self, text: str) -> bool:
        """Print many lines at once; False where the text needs a closer look."""
        if not self.attribute.blank.plain:
            return False
        if not self.top <= self.y <= self.bottom:
            return False
        lines = text.split("\r\n")
        head, tail = lines[0], lines[-1]
        fed = head.startswith("\n")
        returned = tail.endswith("\r")
        if fed:
            lines[0] = head[1:]
        if returned:
            lines[-1] = tail[:-1]
        joined = "".join(lines)
        if joined.isascii():
            if not joined.isprintable():
                return False
        elif CONTROL.search(joined) or not self._normalise_lines(lines, joined):
            return False
        if fed:
            self.index()
        self._put_lines(lines)
        if returned:
            self.carriage_return()
        return True

    def _normalise_lines(self, lines: list[str], joined: str) -> bool:
        """Normalise lines in place; False where one may begin with a part of a cluster."""
        text = "\n".join(lines)
        if INVISIBLE.search(joined) or MAY_JOIN.match(text) or ZERO_WIDTH_LINE_START.search(text):
            return False
        lines[:] = self.clusters.normalise(text).split("\n")
        return True

    def _put_lines(self, lines: list[str]) -> None:
        """Print lines of normalised text, a newline between each two."""
        at, last = 0, len(lines) - 1
        while at < last and (self.y < self.bottom or self.x or not self.rows[self.y].is_blank):
            if lines[at]:
                self.put(lines[at])
            self.x = 0
            self.index()
            at += 1
        if at < last:
            self._scroll_lines(lines[at:last])
        if lines[last]:
            self.put(lines[last])
            self.last = lines[last]
        elif joined := next((line for line in reversed(lines) if line), ""):
            self.last = joined

    def _scroll_lines(self, lines: list[str]) -> None:
        """Let lines pass over the blank bottom line of the region."""
        entries = self._fit(lines)
        height = self.bottom - self.top
        staying = entries[-height:] if height else []
        leaving = len(staying)
        rows = self.rows
        if self.top == 0 and not self.on_alternate:
            for row in rows[:leaving]:
                self.history.add(row)
            self.history.extend(entries[: len(entries) - leaving])
        thaw = self.history.thaw
        del rows[self.top : self.top + leaving]
        at = self.bottom - leaving
        rows[at:at] = [thaw(entry) for entry in staying]

    def _fit(self, lines: list[str]) -> list[Entry]:
        """Lines as the history keeps them, cut at the right edge."""
        columns = self.columns
        attribute = self.attribute
        plain = attribute.plain
        if plain and max(map(len, lines)) <= columns:
            return list(lines)
        entries: list[Entry] = []
        for line in lines:
            at = 0
            while len(line) - at > columns:
                end = at + columns
                if line[end] == WIDE_SPACER:
                    end -= 1
                entries.append((True, ((line[at:end], attribute),)))
                at = end
            text = line[at:] if at else line
            entries.append(text if plain or not text else (False, ((text, attribute),)))
        return entries
