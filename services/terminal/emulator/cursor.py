"""Moving the cursor, and tab stops; counts of 0 mean 1."""

from __future__ import annotations

from services.terminal.emulator.print import carriage_return, index, right_limit, wrap
from services.terminal.emulator.screen import Screen
from services.terminal.emulator.state import ROW_COST


def cursor_up(screen: Screen, count: int = 0) -> None:
    """CUU: stops at the top margin, or at the edge where the cursor is above it."""
    limit = screen.margins.top if screen.cursor.y >= screen.margins.top else 0
    screen.cursor.y = max(limit, screen.cursor.y - (count or 1))


def cursor_down(screen: Screen, count: int = 0) -> None:
    """CUD: stops at the bottom margin, or at the edge where the cursor is below it."""
    limit = screen.margins.bottom if screen.cursor.y <= screen.margins.bottom else screen.lines - 1
    screen.cursor.y = min(limit, screen.cursor.y + (count or 1))


def cursor_up1(screen: Screen, count: int = 0) -> None:
    """CPL."""
    cursor_up(screen, count)
    carriage_return(screen)


def cursor_down1(screen: Screen, count: int = 0) -> None:
    """CNL."""
    cursor_down(screen, count)
    carriage_return(screen)


def cursor_forward(screen: Screen, count: int = 0) -> None:
    """CUF: stops at the right margin, or at the edge where the cursor is right of it."""
    limit = screen.margins.right if screen.cursor.x <= screen.margins.right else screen.columns - 1
    screen.cursor.x = min(limit, screen.cursor.x + (count or 1))


def cursor_back(screen: Screen, count: int = 0) -> None:
    """CUB and BS: stops at the left margin, or goes on in the line above (mode 45)."""
    count = count or 1
    if screen.autowrap and screen.modes.private & {45, 1045}:
        _wrap_back(screen, count)
    else:
        limit = screen.margins.left if screen.cursor.x >= screen.margins.left else 0
        screen.cursor.x = max(limit, screen.cursor.x - count)


def _wrap_back(screen: Screen, count: int) -> None:
    """Backwards through the lines, from the top margin round to the bottom one."""
    if screen.cursor.pending:
        count -= 1
    count = min(count, screen.columns * screen.lines)
    screen.cost += screen.lines
    while count > 0:
        limit = screen.margins.left if screen.cursor.x >= screen.margins.left else 0
        step = min(count, screen.cursor.x - limit)
        screen.cursor.x -= step
        count -= step
        if count:
            count -= 1
            screen.cursor.x = screen.margins.right
            if screen.cursor.y == screen.margins.top:
                screen.cursor.y = screen.margins.bottom
            else:
                screen.cursor.y = screen.cursor.y - 1 if screen.cursor.y else screen.lines - 1


def cursor_position(screen: Screen, line: int = 0, column: int = 0) -> None:
    """CUP and HVP: from the margins in origin mode, and kept between them."""
    cursor_to(screen, line, column)


def cursor_to(screen: Screen, line: int, column: int) -> None:
    """Go to a line and column counted from 1."""
    screen.cursor.y, screen.cursor.x = _line(screen, line), _column(screen, column)
    screen.cursor.pending = False


def _line(screen: Screen, line: int) -> int:
    """Where a line counted from 1 is: in origin mode from the top margin, to the bottom one."""
    y = max(line, 1) - 1
    return (
        min(screen.margins.top + y, screen.margins.bottom)
        if screen.origin
        else min(y, screen.lines - 1)
    )


def _column(screen: Screen, column: int) -> int:
    """Where a column counted from 1 is: in origin mode between the side margins."""
    x = max(column, 1) - 1
    return (
        min(screen.margins.left + x, screen.margins.right)
        if screen.origin
        else min(x, screen.columns - 1)
    )


def cursor_to_column(screen: Screen, column: int = 0) -> None:
    """CHA."""
    screen.cursor.x = _column(screen, column)


def cursor_to_absolute_column(screen: Screen, column: int = 0) -> None:
    """HPA."""
    screen.cursor.x = _column(screen, column)


def cursor_right_by(screen: Screen, count: int = 0) -> None:
    """HPR: the margins bound it in origin mode alone."""
    limit = screen.margins.right if screen.origin else screen.columns - 1
    screen.cursor.x = min(screen.cursor.x + (count or 1), max(limit, screen.cursor.x))


def cursor_to_line(screen: Screen, line: int = 0) -> None:
    """VPA."""
    screen.cursor.y = _line(screen, line)


def cursor_down_by(screen: Screen, count: int = 0) -> None:
    """VPR: the margins bound it in origin mode alone."""
    limit = screen.margins.bottom if screen.origin else screen.lines - 1
    screen.cursor.y = min(screen.cursor.y + (count or 1), max(limit, screen.cursor.y))


def backspace(screen: Screen) -> None:
    """BS."""
    cursor_back(screen, 1)


def linefeed(screen: Screen) -> None:
    """LF, VT and FF; in newline mode with a carriage return."""
    index(screen)
    if 20 in screen.modes.ansi:
        carriage_return(screen)


def next_line(screen: Screen) -> None:
    """NEL."""
    index(screen)
    carriage_return(screen)


def reverse_index(screen: Screen) -> None:
    """RI: up one line; at the top margin the region moves down instead."""
    if screen.cursor.y == screen.margins.top:
        if screen.margins.left <= screen.cursor.x <= screen.margins.right:
            screen.scroll_down(1)
    elif screen.cursor.y:
        screen.cursor.y -= 1


def tab(screen: Screen) -> None:
    """HT: to the next stop; a pending wrap comes first where mode 41 says so, else it stays."""
    if screen.cursor.pending and 41 in screen.modes.private:
        wrap(screen)
    tab_forward(screen, 1)


def tab_forward(screen: Screen, count: int = 0) -> None:
    """CHT: never beyond the right margin."""
    limit = right_limit(screen)
    screen.cost += 2 * len(screen.tabs)
    stops = screen.tabs.after(screen.cursor.x, limit)
    screen.cursor.x = stops[(count or 1) - 1] if (count or 1) <= len(stops) else limit


def tab_back(screen: Screen, count: int = 0) -> None:
    """CBT: the left margin stops it in origin mode alone; a pending wrap stays."""
    screen.cost += 2 * len(screen.tabs)
    stops = screen.tabs.before(screen.cursor.x)
    x = stops[-count or -1] if stops and count <= len(stops) else 0
    limit = min(screen.margins.left, screen.cursor.x) if screen.origin else 0
    screen.cursor.x = max(x, limit)
    if screen.cursor.pending:
        screen.update_flags()


def set_tab_stop(screen: Screen) -> None:
    """HTS."""
    screen.tabs.stops.add(screen.cursor.x)


def clear_tab_stop(screen: Screen, how: int = 0) -> None:
    """TBC."""
    if how == 0:
        screen.tabs.stops.discard(screen.cursor.x)
    elif how == 3:
        screen.tabs.stops.clear()


def set_margins(screen: Screen, top: int = 0, bottom: int = 0) -> None:
    """DECSTBM: then the cursor goes home; margins that leave no two lines are ignored."""
    first = (top or 1) - 1
    last = min(bottom or screen.lines, screen.lines) - 1
    if first < last:
        screen.margins.top, screen.margins.bottom = first, last
        if screen.origin:
            cursor_to(screen, 1, 1)
        else:
            screen.cursor.x = screen.cursor.y = 0
            screen.cursor.pending = False


def set_side_margins(screen: Screen, left: int = 0, right: int = 0) -> None:
    """DECSLRM in mode 69, else SCOSC."""
    if 69 not in screen.modes.private:
        screen.save_cursor()
        return
    first = (left or 1) - 1
    last = min(right or screen.columns, screen.columns) - 1
    if first < last:
        screen.margins.left, screen.margins.right = first, last
        screen.update_flags()
        cursor_to(screen, 1, 1)


def back_index(screen: Screen) -> None:
    """DECBI: left one column; at the left margin the region moves right instead."""
    if (
        screen.cursor.x == screen.margins.left
        and screen.margins.top <= screen.cursor.y <= screen.margins.bottom
    ):
        shift_region(screen, screen.margins.left, 1)
    elif screen.cursor.x:
        screen.cursor.x -= 1


def forward_index(screen: Screen) -> None:
    """DECFI: right one column; at the right margin the region moves left instead."""
    if (
        screen.cursor.x == screen.margins.right
        and screen.margins.top <= screen.cursor.y <= screen.margins.bottom
    ):
        shift_region(screen, screen.margins.left, -1)
    elif screen.cursor.x < screen.columns - 1:
        screen.cursor.x += 1


def shift_region(screen: Screen, at: int, count: int) -> None:
    """Insert columns at a column of the region, or delete them where count is negative."""
    blank = screen.cursor.attribute.blank
    screen.cost += (screen.margins.bottom - screen.margins.top + 1) * (
        screen.margins.right - at + ROW_COST
    )
    for row in screen.rows[screen.margins.top : screen.margins.bottom + 1]:
        if count > 0:
            row.insert(at, count, screen.margins.right, blank)
        else:
            row.delete(at, -count, screen.margins.right, blank)
