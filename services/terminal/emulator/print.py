"""Printing text to cells: wrapping, insert mode, grapheme clusters, and bulk lines."""

from __future__ import annotations

import re
from typing import Final

from services.terminal.emulator.row import Row
from services.terminal.emulator.screen import Screen
from services.terminal.emulator.scrollback import Entry
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
_TOKEN_COST: Final = 32
"""What a text or a control costs besides its cells, in cells."""
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def bell(screen: Screen) -> None:
    """BEL."""
    screen.bells += 1


def carriage_return(screen: Screen) -> None:
    """To the left margin, or the edge where the cursor stands left of it."""
    screen.cursor.x = (
        screen.margins.left if screen.cursor.x >= screen.margins.left or screen.origin else 0
    )
    screen.cursor.pending = False


def index(screen: Screen) -> None:
    """Down one line; at the bottom margin the region moves up instead."""
    screen.cursor.pending = False
    if screen.cursor.y == screen.margins.bottom:
        if screen.margins.left <= screen.cursor.x <= screen.margins.right:
            screen.scroll_up(1)
    elif screen.cursor.y < screen.lines - 1:
        screen.cursor.y += 1


def write(screen: Screen, text: str) -> str:
    """Print text that may hold controls, but no escape; what is left of it at the limit."""
    while text:
        text = _write(screen, text)
        if screen.cost > screen.cost_limit:
            break
    return text


def _write(screen: Screen, text: str) -> str:
    if screen.fast and "\n" in text:
        if write_lines(screen, text):
            return ""
        if not text.isascii() and MAY_JOIN.match(text):
            # Only the first line depends on what stands before it.
            first, _, rest = text.partition("\r\n")
            if CONTROL.search(first) is None:
                draw(screen, first)
                screen.cost += _TOKEN_COST
                return f"\r\n{rest}"
    for match in TOKENS.finditer(text):
        piece = match[0]
        if piece == "\r\n":
            carriage_return(screen)
            screen.control("\n")
        elif piece < " " or piece == "\x7f":
            screen.control(piece)
        elif screen.fast or len(piece) <= _SLOW_PIECE:
            draw(screen, piece)
        else:
            draw(screen, piece[:_SLOW_PIECE])
            return piece[_SLOW_PIECE:] + text[match.end() :]
        screen.cost += _TOKEN_COST
        if screen.cost > screen.cost_limit:
            return text[match.end() :]
    return ""


def draw(screen: Screen, text: str) -> None:
    """Print text without controls."""
    if screen.charsets.translation is not None or screen.charsets.shift:
        text = _translate(screen, text)
    if not text.isascii():
        if not text.isprintable():
            text = INVISIBLE.sub("", text)
        taken = 0
        while MAY_JOIN.match(text, taken) and _join(screen, text[taken]):
            taken += 1
        text = screen.clusters.normalise(text[taken:])
    if text:
        if screen.fast:
            put(screen, text)
        else:
            put_cells(screen, text)
        screen.last = text


def _translate(screen: Screen, text: str) -> str:
    if screen.charsets.shift:
        table = screen.charsets.designated[screen.charsets.shift]
        screen.charsets.shift = 0
        screen.update_flags()
        first = text[:1].translate(table) if table else text[:1]
        return first + _translate(screen, text[1:]) if len(text) > 1 else first
    return text.translate(screen.charsets.translation) if screen.charsets.translation else text


def put(screen: Screen, text: str) -> None:
    """Print normalised text where nothing but wrapping can happen."""
    columns = screen.columns
    attribute = screen.cursor.attribute
    while True:
        if screen.cursor.pending:
            wrap(screen)
        x = screen.cursor.x
        room = columns - x
        if len(text) <= room:
            screen.rows[screen.cursor.y].write(x, text, attribute)
            x += len(text)
            screen.cursor.pending = x == columns
            screen.cursor.x = x - 1 if screen.cursor.pending else x
            return
        cut = room - 1 if text[room] == WIDE_SPACER else room
        row = screen.rows[screen.cursor.y]
        if cut:
            row.write(x, text[:cut], attribute)
        if cut < room:
            row.write(columns - 1, LEADING_SPACER, attribute.blank)
        text = text[cut:]
        screen.cursor.x = columns - 1
        wrap(screen)


def wrap(screen: Screen) -> None:
    """Go on in the next line."""
    if screen.full_width:
        screen.rows[screen.cursor.y].wrapped = True
    index(screen)
    screen.cursor.x = screen.margins.left


def right_limit(screen: Screen) -> int:
    """The last column text may reach from where the cursor stands."""
    return screen.margins.right if screen.cursor.x <= screen.margins.right else screen.columns - 1


def put_cells(screen: Screen, text: str) -> None:
    """Print normalised text between margins, in insert mode or without autowrap."""
    at = 0
    while at < len(text):
        if screen.cursor.pending and screen.autowrap:
            wrap(screen)
        if screen.cursor.pending and not screen.autowrap and screen.cursor.x < right_limit(screen):
            screen.cursor.pending = False  # A tab back took the cursor along.
        if screen.cursor.pending and text.isascii():
            at = len(text) - 1  # Without autowrap all of it goes to one cell.
        piece = "" if screen.cursor.pending else _fitting(screen, text, at)
        if piece:
            _put_piece(screen, piece)
            at += len(piece)
            continue
        wide = text[at + 1 : at + 2] == WIDE_SPACER
        cell = text[at : at + 2] if wide else text[at]
        at += len(cell)
        _put_cell(screen, cell)


def _fitting(screen: Screen, text: str, at: int) -> str:
    """As much of a text from a place in it as has room right of the cursor."""
    limit = right_limit(screen)
    if screen.insert and screen.cursor.x < screen.margins.left:
        limit = screen.margins.left - 1  # Insertion begins at the margin.
    end = at + limit + 1 - screen.cursor.x
    if end < len(text) and text[end] == WIDE_SPACER:
        end -= 1
    return text[at:end]


def _put_piece(screen: Screen, piece: str) -> None:
    """Print text that has room."""
    row, width = screen.rows[screen.cursor.y], len(piece)
    screen.cost += width
    if screen.insert and screen.margins.left <= screen.cursor.x <= screen.margins.right:
        screen.cost += screen.columns
        row.insert(screen.cursor.x, width, screen.margins.right, screen.cursor.attribute.blank)
    row.write(screen.cursor.x, piece, screen.cursor.attribute)
    limit = right_limit(screen)
    screen.cursor.x += width
    if screen.cursor.x > limit:
        screen.cursor.x = limit
        screen.cursor.pending = True


def _put_cell(screen: Screen, cell: str) -> None:
    width = len(cell)
    if screen.cursor.pending and screen.autowrap:
        wrap(screen)
    screen.cursor.pending = False
    limit = right_limit(screen)
    if screen.cursor.x + width - 1 > limit:
        if screen.autowrap:
            screen.rows[screen.cursor.y].write(limit, LEADING_SPACER, screen.cursor.attribute.blank)
            wrap(screen)
            limit = right_limit(screen)
        screen.cursor.x = min(screen.cursor.x, max(0, limit + 1 - width))
    row = screen.rows[screen.cursor.y]
    if screen.insert and screen.margins.left <= screen.cursor.x <= screen.margins.right:
        row.insert(screen.cursor.x, width, screen.margins.right, screen.cursor.attribute.blank)
    row.write(screen.cursor.x, cell, screen.cursor.attribute)
    screen.cursor.x += width
    if screen.cursor.x > limit:
        screen.cursor.x = limit
        screen.cursor.pending = True


def _join(screen: Screen, char: str) -> bool:
    """Take a character into the cell left of the cursor; False where it starts its own.

    A character without a column is always taken, by no cell where there is none.
    """
    zero = is_zero(char)
    at = screen.cursor.x if screen.cursor.pending else screen.cursor.x - 1
    if at < 0:
        return zero
    row = screen.rows[screen.cursor.y]
    if row.char(at) == WIDE_SPACER:
        at -= 1
    wide = at + 1 < screen.columns and row.char(at + 1) == WIDE_SPACER
    cell = screen.clusters.cell(row.char(at))
    if zero:
        grown, now_wide = extend(cell, wide, char)
    elif joins(cell, wide, char):
        grown, now_wide = cell + char, True
    else:
        return False
    if grown == cell:
        return True
    kept = screen.clusters.stand_in(grown)
    row = screen.grid(screen.cursor.y)
    row.clean = 0
    if now_wide == wide:
        assert row.cells is not None
        row.cells[at] = kept
    else:
        _widen(screen, row, at, kept)
    screen.last = kept + WIDE_SPACER if now_wide else kept
    return True


def _widen(screen: Screen, row: Row, at: int, kept: str) -> None:
    """Give a cell its second column, as if it had had two when it was printed."""
    assert row.cells is not None
    attribute, mine = screen.cursor.attribute, row.attributes[at]
    limit = screen.margins.right if at <= screen.margins.right else screen.columns - 1
    screen.cursor.attribute = mine
    if at == limit:
        screen.cursor.x = at
        screen.cursor.pending = False
        _put_cell(screen, kept + WIDE_SPACER)
    else:
        if screen.insert and screen.margins.left <= at <= screen.margins.right:
            row.insert(at + 1, 1, screen.margins.right, attribute.blank)
        row.write(at, kept + WIDE_SPACER, mine)
        screen.cursor.x = at + 2
        if screen.cursor.x > limit:
            screen.cursor.x, screen.cursor.pending = limit, True
    screen.cursor.attribute = attribute


def write_lines(screen: Screen, text: str) -> bool:
    """Print many lines at once; False where the text needs a closer look."""
    if not screen.cursor.attribute.blank.plain:
        return False
    if not screen.margins.top <= screen.cursor.y <= screen.margins.bottom:
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
    if not joined.isprintable() and (
        joined.isascii() or CONTROL.search(joined) or INVISIBLE.search(joined)
    ):
        return False
    if not joined.isascii() and not _normalise_lines(screen, lines):
        return False
    if fed:
        index(screen)
    _put_lines(screen, lines)
    if returned:
        carriage_return(screen)
    return True


def _normalise_lines(screen: Screen, lines: list[str]) -> bool:
    """Normalise lines in place; False where one may begin with a part of a cluster."""
    text = "\n".join(lines)
    if MAY_JOIN.match(text) or ZERO_WIDTH_LINE_START.search(text):
        return False
    lines[:] = screen.clusters.normalise(text).split("\n")
    return True


def _put_lines(screen: Screen, lines: list[str]) -> None:
    """Print lines of normalised text, a newline between each two."""
    at, last = 0, len(lines) - 1
    while at < last and (
        screen.cursor.y < screen.margins.bottom
        or screen.cursor.x
        or not screen.rows[screen.cursor.y].is_blank
    ):
        if lines[at]:
            put(screen, lines[at])
        screen.cursor.x = 0
        index(screen)
        at += 1
    if at < last:
        _scroll_lines(screen, lines[at:last])
    if lines[last]:
        put(screen, lines[last])
        screen.last = lines[last]
    elif joined := next((line for line in reversed(lines) if line), ""):
        screen.last = joined


def _scroll_lines(screen: Screen, lines: list[str]) -> None:
    """Let lines pass over the blank bottom line of the region."""
    entries = _fit(screen, lines)
    height = screen.margins.bottom - screen.margins.top
    staying = entries[-height:] if height else []
    leaving = len(staying)
    rows = screen.rows
    if screen.margins.top == 0 and not screen.on_alternate:
        for row in rows[:leaving]:
            screen.history.add(row)
        screen.history.extend(entries[: len(entries) - leaving])
    thaw = screen.history.thaw
    del rows[screen.margins.top : screen.margins.top + leaving]
    at = screen.margins.bottom - leaving
    rows[at:at] = [thaw(entry) for entry in staying]


def _fit(screen: Screen, lines: list[str]) -> list[Entry]:
    """Lines as the history keeps them, cut at the right edge."""
    columns = screen.columns
    attribute = screen.cursor.attribute
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
            entries.append((True, (line[at:end], attribute)))
            at = end
        text = line[at:] if at else line
        entries.append(text if plain or not text else (False, (text, attribute)))
    return entries
