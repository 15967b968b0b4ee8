"""Erasing, inserting and deleting: counts of 0 mean 1, and erased cells keep the background of
the moment and nothing else."""

from __future__ import annotations

from operator import getitem

from services.terminal.emulator.cursor import shift_region
from services.terminal.emulator.print import put, put_cells
from services.terminal.emulator.row import Row
from services.terminal.emulator.screen import Screen
from services.terminal.emulator.state import ROW_COST
from services.terminal.emulator.styles import Attribute, Protection
from services.terminal.emulator.widths import WIDE_SPACER

_SCROLLBACK = 3


def erase_in_line(screen: Screen, how: int = 0) -> None:
    """EL: to the end, from the start, or all."""
    start, end = _extent(screen, how)
    if end:
        erase_cells(screen, screen.rows[screen.cursor.y], start, end, Protection.ISO)
        screen.cursor.pending = False


def erase_in_display(screen: Screen, how: int = 0) -> None:
    """ED; 3 clears the scrollback and leaves the screen."""
    if how == _SCROLLBACK:
        screen.history.clear()
    else:
        _erase_lines(screen, how, Protection.ISO)


def selective_erase_in_line(screen: Screen, how: int = 0) -> None:
    """DECSEL: leaves what DECSCA protects."""
    start, end = _extent(screen, how)
    if end:
        erase_cells(screen, screen.rows[screen.cursor.y], start, end, Protection.SELECTIVE)
        screen.cursor.pending = False


def selective_erase_in_display(screen: Screen, how: int = 0) -> None:
    """DECSED: leaves what DECSCA protects."""
    _erase_lines(screen, how, Protection.SELECTIVE)


def erase_characters(screen: Screen, count: int = 0) -> None:
    """ECH: margins do not matter."""
    start, columns = screen.cursor.x, screen.columns
    end = min(start + (count or 1), columns)
    erase_cells(screen, screen.rows[screen.cursor.y], start, end, Protection.ISO)


def _extent(screen: Screen, how: int) -> tuple[int, int]:
    """The cells of the cursor's line that an erasure means; (0, 0) for an unknown one."""
    if how == 0:
        return screen.cursor.x, screen.columns
    return (0, screen.cursor.x + 1) if how == 1 else (0, screen.columns if how == 2 else 0)


def _erase_lines(screen: Screen, how: int, spared: Protection) -> None:
    if how not in (0, 1, 2):
        return
    screen.cursor.pending = False
    start, end = _extent(screen, how)
    erase_cells(screen, screen.rows[screen.cursor.y], start, end, spared)
    whole = {
        0: screen.rows[screen.cursor.y + 1 :],
        1: screen.rows[: screen.cursor.y],
        2: screen.rows,
    }[how]
    empty = screen.cursor.attribute.blank.plain
    for row in whole:
        row.marks = ()
        if row.length or row.wrapped or not empty:
            erase_cells(screen, row, 0, screen.columns, spared)


def erase_cells(screen: Screen, row: Row, start: int, end: int, spared: Protection) -> None:
    """Blank cells, but for those with this protection."""
    blank, columns = screen.cursor.attribute.blank, screen.columns
    screen.cost += end - start + ROW_COST
    if not screen.protected:
        row.erase(start, end, blank)
        return
    screen.cost += columns
    found: list[Attribute] = list(row.known_attributes)
    kept = {id(each) for each in found if each.protection == spared}
    if not kept:
        row.erase(start, end, blank)
        return
    if len(kept) == len(found) and (row.length < 0 or row.length >= end):
        return
    cells = row.to_grid()
    attributes = row.attributes[start:end]
    keep = list(map(kept.__contains__, map(id, attributes)))
    if all(keep):
        return
    if row.wide:
        # The halves of one cell are protected together: only the ends can cut one.
        if start and not keep[0] and cells[start] == WIDE_SPACER:
            cells[start - 1] = " "
        if end < columns and not keep[-1] and cells[end] == WIDE_SPACER:
            cells[end] = " "
    # By maps: a line of ours for each cell would cost more than the count of cells says.
    choices = zip(" " * len(keep), cells[start:end], strict=True)
    cells[start:end] = map(getitem, choices, keep)
    styles = zip([blank] * len(keep), attributes, strict=True)
    row.attributes[start:end] = map(getitem, styles, keep)
    row.clean = 0
    if end >= columns and not keep[-1]:
        row.wrapped = False


def insert_characters(screen: Screen, count: int = 0) -> None:
    """ICH: between the side margins."""
    if screen.margins.left <= screen.cursor.x <= screen.margins.right:
        row = screen.rows[screen.cursor.y]
        screen.cost += screen.margins.right - screen.cursor.x + 1
        row.insert(screen.cursor.x, count or 1, screen.margins.right, screen.cursor.attribute.blank)
        screen.cursor.pending = False


def delete_characters(screen: Screen, count: int = 0) -> None:
    """DCH: between the side margins."""
    if screen.margins.left <= screen.cursor.x <= screen.margins.right:
        row = screen.rows[screen.cursor.y]
        screen.cost += screen.margins.right - screen.cursor.x + 1
        row.delete(screen.cursor.x, count or 1, screen.margins.right, screen.cursor.attribute.blank)
        screen.cursor.pending = False


def insert_lines(screen: Screen, count: int = 0) -> None:
    """IL: in the region; the cursor goes to the left margin."""
    if screen.in_region:
        screen.shift_down(screen.cursor.y, count or 1)
        screen.cursor.x = screen.margins.left
        screen.cursor.pending = False


def delete_lines(screen: Screen, count: int = 0) -> None:
    """DL: in the region; the cursor goes to the left margin."""
    if screen.in_region:
        screen.shift_up(screen.cursor.y, count or 1)
        screen.cursor.x = screen.margins.left
        screen.cursor.pending = False


def insert_columns(screen: Screen, count: int = 0) -> None:
    """DECIC."""
    if screen.in_region:
        shift_region(screen, screen.cursor.x, count or 1)
        screen.cursor.pending = False


def delete_columns(screen: Screen, count: int = 0) -> None:
    """DECDC."""
    if screen.in_region:
        shift_region(screen, screen.cursor.x, -(count or 1))
        screen.cursor.pending = False


def scroll_region_up(screen: Screen, count: int = 0) -> None:
    """SU."""
    screen.scroll_up(count or 1)


def scroll_region_down(screen: Screen, count: int = 0) -> None:
    """SD."""
    screen.scroll_down(count or 1)


def repeat(screen: Screen, count: int = 0) -> None:
    """REP: the last character printed, again."""
    if screen.last:
        cell = screen.last[-2:] if screen.last[-1] == WIDE_SPACER else screen.last[-1]
        count = min(count or 1, screen.columns * screen.lines)
        width = screen.margins.right - screen.margins.left + 1
        most = screen.columns + width * (screen.lines + 2)
        if not screen.full_width and count > most and width % len(cell) == 0:
            # Between side margins nothing goes to the history: what is over is never seen.
            count = most + (count - most) % width
        text = cell * count
        screen.cost += len(text)
        if screen.fast:
            put(screen, text)
        else:
            put_cells(screen, text)


def alignment_display(screen: Screen) -> None:
    """DECALN: a screen of E, without margins."""
    screen.reset_margins()
    screen.update_flags()
    screen.cost += screen.lines * (screen.columns + ROW_COST)
    for row in screen.rows:
        row.erase(0, screen.columns, screen.plain)
        row.write(0, "E" * screen.columns, screen.plain)
    screen.cursor.x = screen.cursor.y = 0


def scroll_region_down_if_alone(screen: Screen, *numbers: int) -> None:
    """SD; with more parameters it would be highlight mouse tracking."""
    if len(numbers) <= 1:
        scroll_region_down(screen, *numbers)
