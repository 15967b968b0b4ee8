"""A terminal as plain as it can be: one cell, one character, one step at a time.

It shares nothing with the emulator but the vocabulary of `services.terminal.cells` and the rule
that makes titles harmless. Slow on purpose; the differential tests hold the emulator to it.
"""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from rich._unicode_data import load
from rich.cells import get_character_cell_size

from services.terminal.cells import PLAIN, RGB, CellStyle, Underline
from services.text.sanitize import sanitize

WIDENED = load("latest").narrow_to_wide
LINES = dict(
    zip("_`abcdefghijklmnopqrstuvwxyz{|}~", " ◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·", strict=True)
)
SETS: dict[str, dict[str, str]] = {"0": LINES, "2": LINES, "A": {"#": "£"}}
DROPPED = re.compile(
    "[\u061c\u180e\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e001f\U000e0080-\U000e00ff\U000e01f0-\U000e0fff]"
)


@dataclass
class Cell:
    """A cell; the second half of a wide one has the text None."""

    text: str | None = " "
    style: CellStyle = PLAIN
    protection: int = 0

    def copy(self) -> Cell:
        return Cell(self.text, self.style, self.protection)


class Line:
    def __init__(self, cells: list[Cell]) -> None:
        self.cells = cells
        self.wrapped = False


@dataclass
class Saved:
    x: int = 0
    y: int = 0
    pending: bool = False
    style: CellStyle = PLAIN
    protection: int = 0
    sets: tuple[str, ...] = ("B", "B", "B", "B")
    gl: int = 0
    origin: bool = False


class ReferenceTerminal:
    """Bytes in, a grid out."""

    def __init__(self, columns: int, lines: int, history: int = 10_000) -> None:
        self.columns, self.lines = columns, lines
        self.replies: list[str] = []
        self.history: deque[Line] = deque(maxlen=history)
        self.bells = 0
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.sequence = ""
        self.title = ""
        self.reset()

    # --- state

    def reset(self) -> None:
        self.history.clear()
        self.title = ""
        self.main = [self.blank_line(PLAIN) for _ in range(self.lines)]
        self.alternate = [self.blank_line(PLAIN) for _ in range(self.lines)]
        self.on_alternate = False
        self.saved = {False: Saved(), True: Saved()}
        self.tabs = {x for x in range(1, self.columns) if x % 8 == 0}
        self.x = self.y = 0
        self.pending = False
        self.private = {7, 25, 1007}
        self.ansi: set[int] = set()
        self.level = 4
        self.last: tuple[str, int] | None = None
        self.style = PLAIN
        self.soft_reset()

    def soft_reset(self) -> None:
        self.style = PLAIN
        self.protection = 0
        self.sets = ["B", "B", "B", "B"]
        self.gl = 0
        self.shift = 0
        self.private -= {1, 6, 45, 66, 69, 1045}
        self.private |= {7, 25}
        self.ansi -= {2, 4}
        self.cursor_style = 0
        self.saved[self.on_alternate] = Saved()
        self.margins()

    def margins(self) -> None:
        self.top, self.bottom, self.left, self.right = 0, self.lines - 1, 0, self.columns - 1

    @property
    def grid(self) -> list[Line]:
        return self.alternate if self.on_alternate else self.main

    @property
    def autowrap(self) -> bool:
        return 7 in self.private

    def background(self) -> CellStyle:
        return CellStyle(background=self.style.background)

    def blank(self) -> Cell:
        return Cell(" ", self.background())

    def blank_line(self, style: CellStyle) -> Line:
        return Line([Cell(" ", style) for _ in range(self.columns)])

    # --- parsing, one character at a time

    def feed(self, data: bytes) -> None:
        for char in self.decoder.decode(data):
            if "\x80" <= char <= "\x9f":
                self.take("\x1b")
                self.take(chr(ord(char) - 0x40))
            else:
                self.take(char)

    def take(self, char: str) -> None:
        text = self.sequence
        kind = text[1:2]
        if kind and kind in "]PX^_":
            self.take_string(char)
        elif char == "\x1b":
            self.sequence = char
        elif not text:
            self.control(char) if char < " " or char == "\x7f" else self.show(char)
        elif char in "\x18\x1a":
            self.sequence = ""
        elif char < " ":
            self.control(char)
        elif char == "\x7f":
            pass
        elif char > "\x7f":
            self.sequence = ""
            self.show(char)
        else:
            self.sequence = text + char
            if kind == "[":
                done = char >= "@"
            else:
                done = not (len(text) == 1 and char in "[]PX^_") and char >= "0"
            if done:
                whole, self.sequence = self.sequence, ""
                self.obey(whole)

    def take_string(self, char: str) -> None:
        text = self.sequence
        if text.endswith("\x1b"):
            if char == "\\":
                self.sequence = ""
                self.string(text[:-1], "\x1b\\")
            else:
                self.sequence = "\x1b"
                self.take(char)
        elif char in "\x18\x1a":
            self.sequence = ""
        elif char == "\x07" and text[1] == "]":
            self.sequence = ""
            self.string(text, char)
        else:
            self.sequence = text + char
            if re.fullmatch(r"\x1b\](R|P[0-9A-Fa-f]{7})", self.sequence):
                self.sequence = ""

    def control(self, char: str) -> None:
        if char == "\x07":
            self.bells += 1
        elif char == "\x08":
            self.back(1)
        elif char == "\t":
            if self.pending and 41 in self.private:
                self.wrap()
            self.tab(1)
        elif char in "\n\x0b\x0c":
            self.index()
            if 20 in self.ansi:
                self.carriage_return()
        elif char == "\r":
            self.carriage_return()
        elif char == "\x0e":
            self.gl = 1
        elif char == "\x0f":
            self.gl = 0

    # --- printing

    def show(self, char: str) -> None:
        name = self.sets[self.shift or self.gl]
        self.shift = 0
        char = SETS.get(name, {}).get(char, char)
        if DROPPED.match(char):
            return
        width = get_character_cell_size(char)
        left = self.left_cell()
        if width == 0:
            if left is not None:
                self.extend(left, char)
            return
        if left is not None and self.joins(left, char):
            self.grow(left, char, True)
            return
        self.place(char, width)

    def left_cell(self) -> int | None:
        """The column of the cell left of the cursor, of its first half."""
        at = self.x if self.pending else self.x - 1
        if at < 0:
            return None
        return at - 1 if self.grid[self.y].cells[at].text is None else at

    def is_wide(self, x: int) -> bool:
        cells = self.grid[self.y].cells
        return x + 1 < self.columns and cells[x + 1].text is None

    def joins(self, at: int, char: str) -> bool:
        text = self.grid[self.y].cells[at].text or ""
        if text.endswith("\u200d"):
            joined = get_character_cell_size(char) == 2 or (char in WIDENED and char > "\x7f")
            return self.is_wide(at) and len(text) < 16 and joined
        flags = "\U0001f1e6", "\U0001f1ff"
        return flags[0] <= char <= flags[1] and len(text) == 1 and flags[0] <= text <= flags[1]

    def extend(self, at: int, char: str) -> None:
        text = self.grid[self.y].cells[at].text or ""
        wide = self.is_wide(at)
        if len(text) >= 16 or (char == "\u200d" and (not wide or text.endswith(char))):
            return
        self.grow(at, char, wide or (char == "\ufe0f" and text[0] in WIDENED))

    def grow(self, at: int, char: str, wide: bool) -> None:
        line = self.grid[self.y]
        cell = line.cells[at]
        text = (cell.text or "") + char
        if wide == self.is_wide(at):
            cell.text = text
            self.last = (text, 2 if wide else 1)
            return
        kept = self.style, self.protection
        self.style, self.protection = cell.style, cell.protection
        limit = self.right if at <= self.right else self.columns - 1
        if at == limit:
            self.x, self.pending = at, False
            self.place(text, 2)
        else:
            if 4 in self.ansi and self.left <= at <= self.right:
                self.insert_cells(line, at + 1, 1)
            self.mend(line, at, at + 2)
            line.cells[at] = Cell(text, self.style, self.protection)
            line.cells[at + 1] = Cell(None, self.style, self.protection)
            self.x = at + 2
            self.pending = False
            if self.x > limit:
                self.x, self.pending = limit, True
            self.last = (text, 2)
        self.style, self.protection = kept

    def limit(self) -> int:
        return self.right if self.x <= self.right else self.columns - 1

    def place(self, text: str, width: int) -> None:
        if self.pending and self.autowrap:
            self.wrap()
        self.pending = False
        limit = self.limit()
        if self.x + width - 1 > limit:
            if self.autowrap:
                self.erase(self.grid[self.y], self.x, limit + 1)
                self.wrap()
                limit = self.limit()
            self.x = min(self.x, max(0, limit + 1 - width))
        line = self.grid[self.y]
        if 4 in self.ansi and self.left <= self.x <= self.right:
            self.insert_cells(line, self.x, width)
        self.mend(line, self.x, self.x + width)
        line.cells[self.x] = Cell(text, self.style, self.protection)
        if width == 2:
            line.cells[self.x + 1] = Cell(None, self.style, self.protection)
        self.x += width
        if self.x > limit:
            self.x = limit
            self.pending = True
        self.last = (text, width)

    def wrap(self) -> None:
        if self.left == 0 and self.right == self.columns - 1:
            self.grid[self.y].wrapped = True
        self.index()
        self.x = self.left

    def mend(self, line: Line, start: int, end: int) -> None:
        """Blank the halves of wide cells that [start, end) would cut."""
        cells = line.cells
        for x in (start, end):
            if 0 < x < self.columns and cells[x].text is None:
                cells[x - 1].text = cells[x].text = " "

    # --- cells

    def erase(self, line: Line, start: int, end: int, spared: int = 0) -> None:
        if spared and any(cell.protection == spared for cell in line.cells):
            for x in range(start, end):
                if line.cells[x].protection != spared:
                    self.erase(line, x, x + 1)
            return
        self.mend(line, start, end)
        for x in range(start, end):
            line.cells[x] = self.blank()
        if end == self.columns:
            line.wrapped = False

    def insert_cells(self, line: Line, at: int, count: int) -> None:
        right = self.right
        count = min(count, right + 1 - at)
        self.mend(line, at, right + 1)
        self.mend(line, right + 1 - count, right + 1)
        cells = line.cells
        cells[at : right + 1] = [self.blank() for _ in range(count)] + cells[at : right + 1 - count]
        if right == self.columns - 1:
            line.wrapped = False

    def delete_cells(self, line: Line, at: int, count: int) -> None:
        right = self.right
        count = min(count, right + 1 - at)
        self.mend(line, at, right + 1)
        self.mend(line, at, at + count)
        cells = line.cells
        cells[at : right + 1] = cells[at + count : right + 1] + [self.blank() for _ in range(count)]
        if right == self.columns - 1:
            line.wrapped = False

    def scroll(self, top: int, count: int, keep: bool) -> None:
        """Move lines [top, bottom] up, or down where count is negative."""
        grid = self.grid
        height = self.bottom - top + 1
        count = max(-height, min(count, height))
        if self.left == 0 and self.right == self.columns - 1:
            for _ in range(abs(count)):
                if count > 0:
                    line = grid.pop(top)
                    if keep and top == 0 and not self.on_alternate:
                        self.history.append(line)
                    grid.insert(self.bottom, self.blank_line(self.background()))
                else:
                    grid.pop(self.bottom)
                    grid.insert(top, self.blank_line(self.background()))
            return
        left, end = self.left, self.right + 1
        for y in range(top, self.bottom + 1):
            self.mend(grid[y], left, end)
        kept = [[c.copy() for c in grid[y].cells[left:end]] for y in range(top, self.bottom + 1)]
        for y in range(top, self.bottom + 1):
            source = y - top + count
            if 0 <= source < len(kept):
                grid[y].cells[left:end] = kept[source]
            else:
                self.erase(grid[y], left, end)

    # --- cursor

    def carriage_return(self) -> None:
        self.x = self.left if self.x >= self.left or 6 in self.private else 0
        self.pending = False

    def index(self) -> None:
        self.pending = False
        if self.y == self.bottom:
            if self.left <= self.x <= self.right:
                self.scroll(self.top, 1, True)
        elif self.y < self.lines - 1:
            self.y += 1

    def back(self, count: int) -> None:
        if self.autowrap and self.private & {45, 1045}:
            if self.pending:
                count -= 1
            for _ in range(min(count, self.columns * self.lines)):
                if self.x == self.left or self.x == 0:
                    self.x = self.right
                    if self.y == self.top:
                        self.y = self.bottom
                    else:
                        self.y = self.y - 1 if self.y else self.lines - 1
                else:
                    self.x -= 1
        else:
            limit = self.left if self.x >= self.left else 0
            self.x = max(limit, self.x - count)
        self.pending = False

    def tab(self, count: int) -> None:
        limit = self.limit()
        for _ in range(min(count, self.columns)):
            stops = [stop for stop in self.tabs if stop > self.x]
            self.x = min([*stops, limit])

    def go(self, line: int, column: int) -> None:
        y, x = max(line, 1) - 1, max(column, 1) - 1
        if 6 in self.private:
            self.y, self.x = min(self.top + y, self.bottom), min(self.left + x, self.right)
        else:
            self.y, self.x = min(y, self.lines - 1), min(x, self.columns - 1)
        self.pending = False

    # --- sequences

    def obey(self, text: str) -> None:
        if text[1] == "[":
            match = re.fullmatch(r"\x1b\[([<=>?]?)([0-9:;]*)([ -/]*)([@-~])", text)
            if match:
                key = match[1] + match[3] + match[4]
                if key == "m":
                    self.rendition(match[2])
                    return
                if ":" in match[2]:
                    return
                numbers = [value(w) for w in match[2].split(";")[:32]] if match[2] else []
                handler = CSI.get(key)
                if handler is not None:
                    handler(self, numbers, [*numbers, *[0] * 8])
            return
        handler_ = ESCAPES.get(text[1:])
        if handler_ is not None:
            handler_(self)
        elif len(text) == 3 and text[1] in "()*+-./":
            slot = {"(": 0, ")": 1, "*": 2, "+": 3, "-": 1, ".": 2, "/": 3}[text[1]]
            self.sets[slot] = text[2] if text[1] in "()*+" else "B"

    def string(self, text: str, end: str) -> None:
        body = text[2:]
        if text[1] == "]":
            code, _, rest = body.partition(";")
            if code in ("0", "2"):
                self.title = sanitize(rest, 200)
            elif code == "8":
                address = rest.partition(";")[2]
                link = sanitize(address, 2048) if len(address) <= 2048 else ""
                self.style = replace(self.style, link=link)

    def rendition(self, text: str) -> None:
        words = text.split(";")
        while words:
            word = words.pop(0)
            code = value(word.split(":")[0])
            change: dict[str, Any] = {}
            if ":" in word:
                parts = [value(p) for p in word.split(":")[1:]]
                if code == 4 and parts[0] <= 5:
                    change["underline"] = Underline(parts[0])
                elif code in (38, 48, 58):
                    if parts[0] == 2 and len(parts) >= 5:
                        del parts[1]
                    self.colour(change, code, parts)
            elif code == 0:
                self.style = CellStyle(link=self.style.link)
            elif code in (38, 48, 58):
                parts = [value(p) if ":" not in p else 0 for p in words[:4]]
                self.colour(change, code, parts)
                take = {5: 2, 2: 4}.get(parts[0] if parts else -1, 1)
                del words[:take]
            elif code in FLAGS:
                change = dict(FLAGS[code])
            elif 30 <= code <= 37 or 90 <= code <= 97:
                change["foreground"] = code - 30 if code < 40 else code - 82
            elif 40 <= code <= 47 or 100 <= code <= 107:
                change["background"] = code - 40 if code < 50 else code - 92
            self.style = replace(self.style, **change)

    def colour(self, change: dict[str, Any], code: int, parts: list[int]) -> None:
        name = {38: "foreground", 48: "background", 58: "underline_colour"}[code]
        if parts[:1] == [5] and len(parts) >= 2 and parts[1] <= 255:
            change[name] = parts[1]
        elif parts[:1] == [2] and len(parts) >= 4 and max(parts[1:4]) <= 255:
            change[name] = RGB | parts[1] << 16 | parts[2] << 8 | parts[3]

    def switch(self, modes: list[int], on: bool) -> None:
        for mode in modes:
            if mode not in PRIVATE or (mode == 69 and on and self.level < 4):
                continue
            if mode in (47, 1047, 1048, 1049):
                self.switch_screen(mode, on)
                continue
            if mode == 3:
                if 40 in self.private:
                    self.private = self.private | {3} if on else self.private - {3}
                    self.private -= {69}
                    self.margins()
                    for line in self.grid:
                        self.erase(line, 0, self.columns, 2)
                    self.go(1, 1)
                continue
            if mode in (1000, 1002, 1003):
                self.private -= {1000, 1002, 1003}
            self.private = self.private | {mode} if on else self.private - {mode}
            if mode == 6:
                self.go(1, 1)
            elif mode == 69:
                self.left, self.right = 0, self.columns - 1
                self.pending = self.pending and self.x == self.right

    def switch_screen(self, mode: int, on: bool) -> None:
        was = self.on_alternate
        if mode == 1048:
            self.save() if on else self.restore()
        elif on:
            if mode == 1049 and not was:
                self.save()
            self.on_alternate = True
            if mode == 1049 and not was:
                for line in self.grid:
                    self.erase(line, 0, self.columns)
        else:
            if mode == 1047 and was:
                for line in self.grid:
                    self.erase(line, 0, self.columns)
            self.on_alternate = False
            if mode == 1049:
                self.restore()

    def save(self) -> None:
        self.saved[self.on_alternate] = Saved(
            *(self.x, self.y, self.pending, self.style, self.protection),
            *(tuple(self.sets), self.gl, 6 in self.private),
        )

    def restore(self) -> None:
        saved = self.saved[self.on_alternate]
        self.x, self.y = saved.x, saved.y
        self.pending = saved.pending
        self.style, self.protection = saved.style, saved.protection
        self.sets, self.gl = list(saved.sets), saved.gl
        self.private = self.private | {6} if saved.origin else self.private - {6}

    def erase_display(self, how: int, spared: int) -> None:
        if how == 3:
            if spared == 2:
                self.history.clear()
            return
        if how > 3:
            return
        self.pending = False
        start, end = {0: (self.x, self.columns), 1: (0, self.x + 1), 2: (0, self.columns)}[how]
        self.erase(self.grid[self.y], start, end, spared)
        for y, line in enumerate(self.grid):
            if (how == 0 and y > self.y) or (how == 1 and y < self.y) or (how == 2 and y != self.y):
                self.erase(line, 0, self.columns, spared)

    def erase_line(self, how: int, spared: int) -> None:
        extents = {0: (self.x, self.columns), 1: (0, self.x + 1), 2: (0, self.columns)}
        if how in extents:
            self.erase(self.grid[self.y], *extents[how], spared)
            self.pending = False

    def in_region(self) -> bool:
        return self.top <= self.y <= self.bottom and self.left <= self.x <= self.right

    def columns_shift(self, at: int, count: int) -> None:
        for line in self.grid[self.top : self.bottom + 1]:
            if count > 0:
                self.insert_cells(line, at, count)
            else:
                self.delete_cells(line, at, -count)

    def area(self, top: int, left: int, bottom: int, right: int) -> tuple[range, range] | None:
        origin = 6 in self.private
        y_base, x_base = (self.top, self.left) if origin else (0, 0)
        y_last, x_last = (self.bottom, self.right) if origin else (self.lines - 1, self.columns - 1)
        ys = range(
            y_base + max(top, 1) - 1, min(y_base + bottom - 1 if bottom else y_last, y_last) + 1
        )
        xs = range(
            x_base + max(left, 1) - 1, min(x_base + right - 1 if right else x_last, x_last) + 1
        )
        return (ys, xs) if ys and xs else None

    def copy(self, n: list[int]) -> None:
        source, target = self.area(*n[:4]), self.area(n[5], n[6], 0, 0)
        if source is None or target is None:
            return
        ys, xs = source
        taken = []
        width = min(len(xs), self.columns - target[1].start)
        for y in ys:
            cells = [self.grid[y].cells[x].copy() for x in xs][:width]
            if cells[0].text is None:
                cells[0].text = " "
            after = xs.start + width
            if after < self.columns and self.grid[y].cells[after].text is None:
                cells[-1].text = " "
            taken.append(cells)
        for y, cells in enumerate(taken, target[0].start):
            if y < self.lines:
                start = target[1].start
                self.mend(self.grid[y], start, start + len(cells))
                self.grid[y].cells[start : start + len(cells)] = cells

    def fill(self, n: list[int]) -> None:
        area = self.area(*n[1:5])
        if area is None or not (32 <= n[0] <= 126 or 160 <= n[0] <= 255):
            return
        for y in area[0]:
            self.mend(self.grid[y], area[1].start, area[1].stop)
            for x in area[1]:
                self.grid[y].cells[x] = Cell(chr(n[0]), self.style, self.protection)

    def erase_area(self, n: list[int], spared: int) -> None:
        area = self.area(*n[:4])
        if area is not None:
            for y in area[0]:
                self.erase(self.grid[y], area[1].start, area[1].stop, spared)

    def set_margins(self, top: int, bottom: int) -> None:
        first, last = max(top, 1) - 1, min(bottom or self.lines, self.lines) - 1
        if first < last:
            self.top, self.bottom = first, last
            self.go(1, 1)

    def set_sides(self, left: int, right: int) -> None:
        if 69 not in self.private:
            self.save()
            return
        first, last = max(left, 1) - 1, min(right or self.columns, self.columns) - 1
        if first < last:
            self.left, self.right = first, last
            self.go(1, 1)

    def move(self, dy: int, dx: int) -> None:
        self.pending = False
        if dy < 0:
            self.y = max(self.top if self.y >= self.top else 0, self.y + dy)
        elif dy > 0:
            self.y = min(self.bottom if self.y <= self.bottom else self.lines - 1, self.y + dy)
        self.x = min(self.limit(), self.x + dx)

    def next_line(self, dy: int) -> None:
        self.move(dy, 0)
        self.carriage_return()

    def new_line(self) -> None:
        self.index()
        self.carriage_return()

    def step(self, dy: int, dx: int) -> None:
        """VPR and HPR: the margins bound them in origin mode alone."""
        self.pending = False
        origin = 6 in self.private
        if dy and not (origin and self.y > self.bottom):
            self.y = min(self.y + dy, self.bottom if origin else self.lines - 1)
        if dx and not (origin and self.x > self.right):
            self.x = min(self.x + dx, self.right if origin else self.columns - 1)

    def line(self, n: int) -> None:
        """VPA."""
        y = max(n, 1) - 1
        self.y = min(self.top + y, self.bottom) if 6 in self.private else min(y, self.lines - 1)
        self.pending = False

    def repeat(self, count: int) -> None:
        if self.last is not None:
            for _ in range(min(count, self.columns * self.lines)):
                self.place(*self.last)

    def reverse_index(self) -> None:
        self.pending = False
        if self.y == self.top:
            if self.left <= self.x <= self.right:
                self.scroll(self.top, -1, False)
        elif self.y:
            self.y -= 1

    def align(self) -> None:
        self.margins()
        for line in self.grid:
            line.cells = [Cell("E") for _ in range(self.columns)]
            line.wrapped = False
        self.go_home()

    def go_home(self) -> None:
        self.x = self.y = 0
        self.pending = False

    def lines_shift(self, count: int) -> None:
        if self.in_region():
            self.scroll(self.y, count, False)
            self.x = self.left
            self.pending = False

    def cells_shift(self, count: int) -> None:
        if self.left <= self.x <= self.right:
            if count > 0:
                self.insert_cells(self.grid[self.y], self.x, count)
            else:
                self.delete_cells(self.grid[self.y], self.x, -count)
            self.pending = False

    def columns_at_cursor(self, count: int) -> None:
        if self.in_region():
            self.columns_shift(self.x, count)
            self.pending = False

    def back_index(self) -> None:
        if self.x == self.left and self.top <= self.y <= self.bottom:
            self.columns_shift(self.left, 1)
        elif self.x:
            self.x -= 1
        self.pending = False

    def forward_index(self) -> None:
        if self.x == self.right and self.top <= self.y <= self.bottom:
            self.columns_shift(self.left, -1)
        elif self.x < self.columns - 1:
            self.x += 1
        self.pending = False

    def tab_back(self, count: int) -> None:
        for _ in range(min(count, self.columns)):
            edge = min(self.left, self.x) if 6 in self.private else 0
            self.x = max([stop for stop in self.tabs if stop < self.x] + [edge])

    def clear_tabs(self, how: int) -> None:
        if how == 0:
            self.tabs.discard(self.x)
        elif how == 3:
            self.tabs.clear()

    def conform(self, level: int) -> None:
        if 61 <= level <= 65:
            self.soft_reset()
            self.level = min(level - 60, 4)

    def erase_chars(self, count: int) -> None:
        self.erase(self.grid[self.y], self.x, min(self.x + count, self.columns), 2)
        self.pending = False

    def column(self, n: int) -> None:
        x = max(n, 1) - 1
        self.x = min(self.left + x, self.right) if 6 in self.private else min(x, self.columns - 1)
        self.pending = False

    def ansi_modes(self, modes: list[int], on: bool) -> None:
        known = {4, 20} & set(modes)
        self.ansi = self.ansi | known if on else self.ansi - known

    def protect(self, how: int) -> None:
        if how in (0, 1, 2):
            self.protection = 1 if how == 1 else 0


PRIVATE = frozenset(
    {1, 3, 5, 6, 7, 25, 40, 41, 45, 47, 66, 67, 69, 1000, 1002, 1003, 1004, 1006, 1007, 1045}
    | {1047, 1048, 1049, 2004, 2026, 2031, 2048}
)
FLAGS: dict[int, dict[str, Any]] = {
    1: {"bold": True},
    2: {"dim": True},
    3: {"italic": True},
    4: {"underline": Underline.SINGLE},
    5: {"blink": True},
    6: {"blink": True},
    7: {"reverse": True},
    8: {"conceal": True},
    9: {"strike": True},
    21: {"underline": Underline.DOUBLE},
    22: {"bold": False, "dim": False},
    23: {"italic": False},
    24: {"underline": Underline.NONE},
    25: {"blink": False},
    27: {"reverse": False},
    28: {"conceal": False},
    29: {"strike": False},
    39: {"foreground": -1},
    49: {"background": -1},
    53: {"overline": True},
    55: {"overline": False},
    59: {"underline_colour": -1},
}
Numbers = list[int]
T = ReferenceTerminal


def value(digits: str) -> int:
    """A parameter of any length, bounded by its value."""
    return min(int(digits[-4000:] or 0), 65535)


def one(n: Numbers) -> int:
    return n[0] or 1


def cursor_style(t: T, n: Numbers) -> None:
    if n[0] <= 6:
        t.cursor_style = n[0]


CSI: dict[str, Callable[[T, Numbers, Numbers], Any]] = {
    "A": lambda t, g, n: t.move(-one(n), 0),
    "B": lambda t, g, n: t.move(one(n), 0),
    "C": lambda t, g, n: t.move(0, one(n)),
    "D": lambda t, g, n: t.back(one(n)),
    "E": lambda t, g, n: t.next_line(one(n)),
    "F": lambda t, g, n: t.next_line(-one(n)),
    "G": lambda t, g, n: t.column(n[0]),
    "H": lambda t, g, n: t.go(n[0], n[1]),
    "f": lambda t, g, n: t.go(n[0], n[1]),
    "I": lambda t, g, n: t.tab(one(n)),
    "J": lambda t, g, n: t.erase_display(n[0], 2),
    "K": lambda t, g, n: t.erase_line(n[0], 2),
    "?J": lambda t, g, n: t.erase_display(n[0], 1),
    "?K": lambda t, g, n: t.erase_line(n[0], 1),
    "L": lambda t, g, n: t.lines_shift(-one(n)),
    "M": lambda t, g, n: t.lines_shift(one(n)),
    "@": lambda t, g, n: t.cells_shift(one(n)),
    "P": lambda t, g, n: t.cells_shift(-one(n)),
    "S": lambda t, g, n: t.scroll(t.top, one(n), True),
    "T": lambda t, g, n: t.scroll(t.top, -one(n), False) if len(g) <= 1 else None,
    "^": lambda t, g, n: t.scroll(t.top, -one(n), False),
    "X": lambda t, g, n: t.erase_chars(one(n)),
    "Z": lambda t, g, n: t.tab_back(one(n)),
    "`": lambda t, g, n: t.column(n[0]),
    "a": lambda t, g, n: t.step(0, one(n)),
    "d": lambda t, g, n: t.line(n[0]),
    "e": lambda t, g, n: t.step(one(n), 0),
    "b": lambda t, g, n: t.repeat(one(n)),
    "g": lambda t, g, n: t.clear_tabs(n[0]),
    "h": lambda t, g, n: t.ansi_modes(g, True),
    "l": lambda t, g, n: t.ansi_modes(g, False),
    "?h": lambda t, g, n: t.switch(g, True),
    "?l": lambda t, g, n: t.switch(g, False),
    "r": lambda t, g, n: t.set_margins(n[0], n[1]),
    "s": lambda t, g, n: t.set_sides(n[0], n[1]),
    "u": lambda t, g, n: t.restore(),
    "!p": lambda t, g, n: t.soft_reset(),
    '"p': lambda t, g, n: t.conform(n[0]),
    '"q': lambda t, g, n: t.protect(n[0]),
    " q": lambda t, g, n: cursor_style(t, n),
    "$v": lambda t, g, n: t.copy(n),
    "$x": lambda t, g, n: t.fill(n),
    "$z": lambda t, g, n: t.erase_area(n, 0),
    "${": lambda t, g, n: t.erase_area(n, 1),
    "'}": lambda t, g, n: t.columns_at_cursor(one(n)),
    "'~": lambda t, g, n: t.columns_at_cursor(-one(n)),
}
ESCAPES: dict[str, Callable[[T], Any]] = {
    "c": T.reset,
    "D": T.index,
    "E": T.new_line,
    "H": lambda t: t.tabs.add(t.x),
    "M": T.reverse_index,
    "7": T.save,
    "8": T.restore,
    "6": T.back_index,
    "9": T.forward_index,
    "=": lambda t: t.private.add(66),
    ">": lambda t: t.private.discard(66),
    "N": lambda t: setattr(t, "shift", 2),
    "O": lambda t: setattr(t, "shift", 3),
    "n": lambda t: setattr(t, "gl", 2),
    "o": lambda t: setattr(t, "gl", 3),
    "V": lambda t: setattr(t, "protection", 2),
    "W": lambda t: setattr(t, "protection", 0),
    "#8": T.align,
}
