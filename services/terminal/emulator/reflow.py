"""Resize: reflows the main screen and its scrollback, cuts or pads the alternate screen.

A logical line is a row and those it wraps into. The cursor stays on its logical cell, rows go to
the history or come back from it (upstream/terminal: Reflow). Only what the screen may need of the
history is wrapped at once; the older lines wait and follow in slices, the newest first.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from typing import Any

from services.terminal.emulator.row import Mark, Row, Span, pairs
from services.terminal.emulator.screen import Screen
from services.terminal.emulator.scrollback import Entry, freeze, trim
from services.terminal.emulator.state import ROW_COST
from services.terminal.emulator.widths import LEADING_SPACER, WIDE_SPACER


@dataclass(slots=True)
class _TrackedCell:
    """A cell to find again after the reflow: its line in all lines, and its column."""

    line: int
    column: int


_SLICE_ROWS = 256
"""Rows that a slice makes, save for a line more; also the most one line may have had to be
joined whole."""
_SLICE_LINES = 1024
"""Lines that a slice takes, save for one more of many rows."""


def resize(screen: Screen, columns: int, lines: int) -> None:
    """Give a screen another size; `reflow_slice` brings what waits of the history to it."""
    if (columns, lines) == (screen.columns, screen.lines):
        return
    main, alternate = (
        (screen.other_rows, screen.rows)
        if screen.on_alternate
        else (screen.rows, screen.other_rows)
    )
    before = screen.columns
    for row in (*main, *alternate):
        row.settle()
    screen.columns = screen.defaults.columns = columns
    reflowed = _reflow_rows(screen, main, columns, lines, before)
    cut = _cut(screen, alternate, columns, lines)
    screen.lines = lines
    screen.rows, screen.other_rows = (cut, reflowed) if screen.on_alternate else (reflowed, cut)
    screen.cursor.x = min(screen.cursor.x, columns - 1)
    screen.cursor.y = min(screen.cursor.y, lines - 1)
    screen.cursor.pending = screen.cursor.pending and screen.cursor.x == columns - 1
    screen.reset_margins()
    screen.tabs.extend(before, columns)
    screen.memo.clear()
    screen.update_flags()
    screen.damage_base = None


def _cut(screen: Screen, rows: list[Row], columns: int, lines: int) -> list[Row]:
    """Rows of the alternate screen at their new size; the cursor's row is kept."""
    dropped = max(0, screen.cursor.y + 1 - lines) if screen.on_alternate else 0
    if screen.on_alternate:
        screen.cursor.y -= dropped
    saved = screen.cursor.saved.get(True)
    if saved is not None:
        screen.cursor.saved[True] = replace(saved, y=max(0, saved.y - dropped), pending=False)
    kept = rows[dropped : dropped + lines]
    for row in kept:
        cells = row.to_grid()
        if len(cells) > columns:
            if row.wide and cells[columns] == WIDE_SPACER:
                cells[columns - 1] = " "
            del cells[columns:]
            del row.attributes[columns:]
        else:
            row.attributes += [screen.plain] * (columns - len(cells))
            cells += " " * (columns - len(cells))
        row.wrapped = False
        row.clean = 0
    return kept + screen.blank_rows(lines - len(kept))


def _reflow_rows(
    screen: Screen, rows: list[Row], columns: int, lines: int, before: int
) -> list[Row]:
    """Rows of the main screen at their new size, with the history around them."""
    history = screen.history
    old, prompts = _unwrapped(screen)
    first = 0
    if columns != before or history.waiting:
        first = _tail_start(old, lines, columns)
    history.waiting = old[:first]
    split = bisect_left(prompts, (first,))
    history.waiting_marks = prompts[:split]
    size = len(old) - first
    marks = _tracked_cells(screen, size)
    cursor = marks[0]
    top = _TrackedCell(size, 0)
    last = max([y for y, row in enumerate(rows) if not _is_empty(row)] + [cursor.line - size])
    blanks = len(rows) - 1 - last
    entries: list[Entry] = [*old[first:], *(freeze(row) for row in rows[: last + 1])]
    found = [(at - first, mark) for at, mark in prompts[split:]]
    found += [(y, mark) for y, row in enumerate(rows[: last + 1], size) for mark in row.marks]
    cells = [_TrackedCell(at, column) for at, (column, _) in found]
    if columns != before or history.waiting:
        entries = _wrap(screen, entries, columns, [*marks, top, *cells])
    start = len(entries) - lines
    if blanks and len(entries) - top.line <= lines:
        start = top.line
    start = min(max(start, 0), cursor.line)
    moved = _moved(cells, found)
    history.replace(entries[:start], [each for each in moved if each[0] < start])
    reflowed = [history.thaw(entry) for entry in entries[start : start + lines]]
    for at, mark in moved:
        if start <= at < start + len(reflowed):
            reflowed[at - start].mark(*mark)
    reflowed += screen.blank_rows(lines - len(reflowed))
    _restore_cursors(screen, marks, start, columns, lines)
    return reflowed


def reflow_slice(screen: Screen) -> None:
    """Bring the newest of the history's waiting lines to the screen's width; a bounded step."""
    history = screen.history
    waiting, marks = history.waiting, history.waiting_marks
    first = _tail_start(waiting, _SLICE_ROWS, screen.columns)
    found = [(at - first, mark) for at, mark in marks[bisect_left(marks, (first,)) :]]
    cells = [_TrackedCell(at, column) for at, (column, _) in found]
    entries = _wrap(screen, waiting[first:], screen.columns, cells)
    del waiting[first:], marks[len(marks) - len(found) :]
    screen.cost += len(entries) * (screen.columns + ROW_COST)
    history.prepend(entries, _moved(cells, found))


def _moved(cells: list[_TrackedCell], marks: list[tuple[int, Mark]]) -> list[tuple[int, Mark]]:
    """Prompt marks where their cells are now."""
    return [
        (cell.line, (cell.column, part)) for cell, (_, (_, part)) in zip(cells, marks, strict=True)
    ]


def _unwrapped(screen: Screen) -> tuple[list[Entry], list[tuple[int, Mark]]]:
    """Every line of the history, those that wait included, and the prompt marks by index."""
    history = screen.history
    shift = len(history.waiting) - history.base
    marks = [(line + shift, mark) for line, mark in history.marks]
    return [*history.waiting, *history], history.waiting_marks + marks


def _tail_start(entries: list[Entry], rows: int, columns: int) -> int:
    """Where the last logical lines begin that make so many rows at a width, if there are any.

    One line that alone is too much for a slice is cut in its midst: a step stays a step.
    """
    at, made = len(entries), 0
    lowest = at - _SLICE_LINES
    while at > 0 and made < rows and at > lowest:
        at -= 1
        cells, longest = _cells(entries[at]), max(at - _SLICE_ROWS, 0)
        while at > longest and _wraps(entries[at - 1]) and cells < 2 * _SLICE_ROWS * columns:
            at -= 1
            cells += _cells(entries[at])
        made += max(1, cells // columns)
    return at


def _wraps(entry: Entry) -> bool:
    return not isinstance(entry, str) and entry[0]


def _cells(entry: Entry) -> int:
    """Cells that a line surely has when it is wrapped anew."""
    if isinstance(entry, str):
        return len(entry.rstrip(" "))
    wrapped, spans = entry
    if wrapped:
        return sum(map(len, spans[::2])) - 1
    return sum(len(text) for text, _ in trim(pairs(spans)))


def _is_empty(row: Row) -> bool:
    return not trim(row.pieces())


def _tracked_cells(screen: Screen, size: int) -> list[_TrackedCell]:
    """The main screen's cursor and saved cursor, in this order; at least one."""
    saved = screen.cursor.saved.get(False)
    marks = []
    if not screen.on_alternate:
        marks.append(_TrackedCell(size + screen.cursor.y, screen.cursor.x + screen.cursor.pending))
    if saved is not None:
        marks.append(_TrackedCell(size + saved.y, saved.x + saved.pending))
    return marks or [_TrackedCell(size, 0)]


def _restore_cursors(
    screen: Screen, marks: list[_TrackedCell], start: int, columns: int, lines: int
) -> None:
    saved = screen.cursor.saved.get(False)
    found = []
    for mark in marks:
        pending = mark.column >= columns
        y = min(max(mark.line - start, 0), lines - 1)
        found.append((min(mark.column, columns - 1), y, pending))
    if not screen.on_alternate:
        screen.cursor.x, screen.cursor.y, screen.cursor.pending = found.pop(0)
    if saved is not None:
        x, y, pending = found[0]
        screen.cursor.saved[False] = replace(saved, x=x, y=y, pending=pending)


def _wrap(
    screen: Screen, entries: list[Entry], columns: int, marks: list[_TrackedCell]
) -> list[Entry]:
    """Every logical line at the new width; marks move with their cells."""
    out: list[Entry] = []
    waiting = sorted(marks, key=lambda mark: mark.line)
    moved = 0
    at = 0
    while at < len(entries):
        entry = entries[at]
        if _fits(entry, columns):
            while moved < len(waiting) and waiting[moved].line == at:
                _place(waiting[moved], len(out), waiting[moved].column, columns)
                moved += 1
            out.append(entry)
            at += 1
            continue
        spans: list[Span] = []
        offsets: list[tuple[_TrackedCell, int]] = []
        length = 0
        while True:
            wrapped, more = _spans(entries[at], screen)
            while moved < len(waiting) and waiting[moved].line == at:
                offsets.append((waiting[moved], length + waiting[moved].column))
                moved += 1
            at += 1
            if wrapped:
                more = _without_filler(more)
            spans += more
            length += sum(len(text) for text, _ in more)
            if not wrapped or at >= len(entries):
                break
        first = len(out)
        cuts = _cut_line(out, spans if wrapped else trim(spans), columns, wrapped, screen)
        for mark, offset in offsets:
            index = bisect_right(cuts, offset) - 1
            if index and offset == cuts[index] == length:
                index -= 1
            _place(mark, first + index, offset - cuts[index], columns)
    return out


def _fits(entry: Entry, columns: int) -> bool:
    """Whether it is a whole line that stays as it is."""
    if isinstance(entry, str):
        return len(entry) <= columns
    return not entry[0] and sum(map(len, entry[1][::2])) <= columns


def _place(mark: _TrackedCell, line: int, column: int, columns: int) -> None:
    mark.line = line
    mark.column = min(column, columns)


def _spans(entry: Entry, screen: Screen) -> tuple[bool, list[Span]]:
    if isinstance(entry, str):
        return False, [(entry, screen.plain)] if entry else []
    return entry[0], pairs(entry[1])


def _without_filler(spans: list[Span]) -> list[Span]:
    """A wrapped row without the blank a wide cell left when it went to the next row."""
    if spans and spans[-1][0].endswith(LEADING_SPACER):
        text, attribute = spans[-1]
        return [*spans[:-1], (text[:-1], attribute)] if len(text) > 1 else spans[:-1]
    return spans


def _cut_line(
    out: list[Entry], spans: list[Span], columns: int, wrapped: bool, screen: Screen
) -> list[int]:
    """Append a logical line as rows; the offsets of their first cells."""
    cuts = [0]
    row: list[Any] = []
    room = columns
    offset = 0
    for whole, attribute in spans:
        text = whole
        while text:
            if room == 0 or (room == 1 and text[1:2] == WIDE_SPACER):
                out.append((True, tuple(row)))
                cuts.append(offset)
                row, room = [], columns
            cut = min(room, len(text))
            if cut < len(text) and text[cut] == WIDE_SPACER:
                cut -= 1
            row += text[:cut], attribute
            offset += cut
            room -= cut
            text = text[cut:]
    if not wrapped and len(row) <= 2 and (not row or row[1].plain):
        out.append(row[0] if row else "")
    else:
        out.append((wrapped, tuple(row)))
    return cuts
