"""Which handler a sequence means, in tables; and obeying one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from services.terminal.emulator import (
    charsets,
    cursor,
    erase,
    modes,
    osc,
    rectangles,
    reports,
)
from services.terminal.emulator import print as printing
from services.terminal.emulator.memo import Beginning
from services.terminal.emulator.screen import Handler, Screen
from services.terminal.emulator.sequences import (
    LONGEST,
    LONGEST_REMEMBERED,
    LONGEST_STRING,
    SEQUENCE,
    parse,
)
from services.terminal.emulator.sgr import is_sgr
from services.terminal.emulator.state import charset

ALL: Final = -1
"""Every parameter that was given."""


def nothing(screen: Screen, *numbers: int) -> None:
    """A sequence that means nothing here."""


CONTROLS: Final[dict[str, Handler]] = {
    "\x07": printing.bell,
    "\x08": cursor.backspace,
    "\t": cursor.tab,
    "\n": cursor.linefeed,
    "\x0b": cursor.linefeed,
    "\x0c": cursor.linefeed,
    "\r": printing.carriage_return,
    "\x0e": charsets.shift_out,
    "\x0f": charsets.shift_in,
}
ESCAPES: Final[dict[str, Handler]] = {
    "c": modes.reset,
    "D": printing.index,
    "E": cursor.next_line,
    "M": cursor.reverse_index,
    "H": cursor.set_tab_stop,
    "7": Screen.save_cursor,
    "8": Screen.restore_cursor,
    "6": cursor.back_index,
    "9": cursor.forward_index,
    "=": modes.keypad_application,
    ">": modes.keypad_numeric,
    "N": charsets.single_shift_2,
    "O": charsets.single_shift_3,
    "n": charsets.lock_shift_2,
    "o": charsets.lock_shift_3,
    "V": reports.start_protected,
    "W": reports.end_protected,
    "Z": reports.identify,
    "#8": erase.alignment_display,
}
CONTROL_SEQUENCES: Final[dict[str, tuple[Handler, int]]] = {
    "@": (erase.insert_characters, 1),
    "A": (cursor.cursor_up, 1),
    "D": (cursor.cursor_back, 1),
    "E": (cursor.cursor_down1, 1),
    "F": (cursor.cursor_up1, 1),
    "G": (cursor.cursor_to_column, 1),
    "H": (cursor.cursor_position, 2),
    "J": (erase.erase_in_display, 1),
    "K": (erase.erase_in_line, 1),
    "L": (erase.insert_lines, 1),
    "M": (erase.delete_lines, 1),
    "P": (erase.delete_characters, 1),
    "X": (erase.erase_characters, 1),
    "c": (reports.report_device_attributes, 1),
    "d": (cursor.cursor_to_line, 1),
    "f": (cursor.cursor_position, 2),
    "g": (cursor.clear_tab_stop, 1),
    "n": (reports.report_device_status, 1),
    "B": (cursor.cursor_down, 1),
    "C": (cursor.cursor_forward, 1),
    "I": (cursor.tab_forward, 1),
    "Z": (cursor.tab_back, 1),
    "`": (cursor.cursor_to_absolute_column, 1),
    "a": (cursor.cursor_right_by, 1),
    "e": (cursor.cursor_down_by, 1),
    "S": (erase.scroll_region_up, 1),
    "T": (erase.scroll_region_down_if_alone, ALL),
    "^": (erase.scroll_region_down, 1),
    "b": (erase.repeat, 1),
    "h": (modes.set_mode, ALL),
    "l": (modes.reset_mode, ALL),
    "?h": (modes.set_private_mode, ALL),
    "?l": (modes.reset_private_mode, ALL),
    "?s": (modes.save_modes, ALL),
    "?r": (modes.restore_modes, ALL),
    "?J": (erase.selective_erase_in_display, 1),
    "?K": (erase.selective_erase_in_line, 1),
    "?n": (reports.report_private_status, 2),
    "?u": (reports.report_keyboard, 0),
    ">u": (modes.push_keyboard, 1),
    "<u": (modes.pop_keyboard, 1),
    "=u": (modes.set_keyboard, 2),
    "?m": (reports.report_key_modifier_options, 1),
    ">c": (reports.report_secondary_attributes, 1),
    "=c": (reports.report_tertiary_attributes, 1),
    ">q": (reports.report_version, 1),
    ">m": (modes.set_key_modifier_options, 2),
    ">n": (modes.reset_key_modifier_options, 1),
    "r": (cursor.set_margins, 2),
    "s": (cursor.set_side_margins, 2),
    "u": (Screen.restore_cursor, 0),
    "t": (reports.operate_window, 3),
    "x": (reports.report_parameters, 1),
    "!p": (modes.soft_reset, 0),
    '"p': (modes.select_conformance, 2),
    '"q': (reports.set_protection, 1),
    " q": (reports.set_cursor_style, 1),
    "$p": (modes.report_mode, 1),
    "?$p": (modes.report_private_mode, 1),
    "$r": (rectangles.change_attributes, ALL),
    "$t": (rectangles.reverse_attributes, ALL),
    "$v": (rectangles.copy_area, ALL),
    "$x": (rectangles.fill_area, ALL),
    "$z": (rectangles.erase_area, ALL),
    "${": (rectangles.selective_erase_area, ALL),
    "*x": (rectangles.select_attribute_extent, 1),
    "*y": (rectangles.report_checksum, ALL),
    "'}": (erase.insert_columns, 1),
    "'~": (erase.delete_columns, 1),
}

CELL_OPERATIONS: Final = frozenset[Handler](
    (
        cursor.cursor_up,
        cursor.cursor_down,
        cursor.cursor_forward,
        cursor.cursor_back,
        cursor.cursor_up1,
        cursor.cursor_down1,
        cursor.cursor_to_column,
        cursor.cursor_to_line,
        cursor.cursor_to_absolute_column,
        cursor.cursor_right_by,
        cursor.cursor_down_by,
        cursor.tab_forward,
        erase.repeat,
        erase.erase_in_line,
        erase.erase_in_display,
        erase.erase_characters,
        erase.insert_characters,
        erase.delete_characters,
        erase.insert_lines,
        erase.delete_lines,
        erase.scroll_region_up,
        erase.scroll_region_down,
    )
)
"""Handlers of at most one number that change cells or the place of the cursor and nothing else."""

ENDS_PENDING_WRAP: Final = frozenset[Handler](
    (
        cursor.backspace,
        printing.carriage_return,
        cursor.linefeed,
        printing.index,
        cursor.next_line,
        cursor.reverse_index,
        cursor.cursor_up,
        cursor.cursor_down,
        cursor.cursor_forward,
        cursor.cursor_back,
        cursor.cursor_up1,
        cursor.cursor_down1,
        cursor.cursor_position,
        cursor.cursor_to_column,
        cursor.cursor_to_absolute_column,
        cursor.cursor_right_by,
        cursor.cursor_to_line,
        cursor.cursor_down_by,
        cursor.back_index,
        cursor.forward_index,
        erase.erase_characters,
        erase.alignment_display,
        modes.reset,
    )
)
"""Handlers after which no wrap is pending, whatever they were told."""

MAY_END_PENDING_WRAP: Final = frozenset[Handler](
    (
        erase.erase_in_line,
        erase.erase_in_display,
        erase.selective_erase_in_line,
        erase.selective_erase_in_display,
        erase.insert_characters,
        erase.delete_characters,
        erase.insert_lines,
        erase.delete_lines,
        erase.insert_columns,
        erase.delete_columns,
        cursor.set_margins,
        cursor.set_side_margins,
        erase.repeat,
        cursor.tab,
        Screen.restore_cursor,
        modes.set_private_mode,
        modes.reset_private_mode,
        modes.restore_modes,
    )
)
"""Those that end one where they do something, print, or bring a cursor along. Every handler that
is in neither set leaves a pending wrap as it was."""

_SLOTS: Final = {"(": 0, ")": 1, "*": 2, "+": 3, "-": 1, ".": 2, "/": 3}
NOTHING, STYLE, PLACE, UNKNOWN, GENERAL, ERASE_TO_END, MOVES, CHANGES = range(8)
"""What a piece begins with: a sequence without effect, SGR, CUP, one not known by its piece, any
other one; EL to the end; one of the `CELL_OPERATIONS`, by whether it ends a pending wrap."""


def _ending(handler: Handler) -> Handler:
    """A handler that ends a pending wrap."""

    def ending(screen: Screen, *numbers: int) -> None:
        handler(screen, *numbers)
        screen.cursor.pending = False

    return ending


_ENDING: Final = {handler: _ending(handler) for handler in ENDS_PENDING_WRAP}
OBEYED_CONTROLS: Final = {char: _ENDING.get(handler, handler) for char, handler in CONTROLS.items()}


def perform(screen: Screen, sequence: str) -> None:
    """Obey a whole escape sequence, given without its escape."""
    introducer = sequence[0]
    if introducer == "]":
        _obey_string(screen, sequence, osc.command)
    elif introducer in "PX^_":
        if introducer == "P":
            _obey_string(screen, sequence, osc.device_string)
    elif sequence[-1] == "m" and is_sgr(sequence[:-1]):
        attribute = screen.attributes.apply_sgr(screen.cursor.attribute, sequence[:-1])
        screen.cursor.attribute = attribute or screen.cursor.attribute
    elif len(sequence) < LONGEST:
        kind, first, second = _beginning(screen, sequence)
        if kind == PLACE:
            screen.cursor.y, screen.cursor.x = first, second
            screen.cursor.pending = False
        elif kind == GENERAL:
            first(screen, *second)
        else:
            first(screen, second)
            if kind == MOVES:
                screen.cursor.pending = False


def _obey_string(screen: Screen, sequence: str, obey: Callable[[Screen, str, str], None]) -> None:
    end = "\x07" if sequence.endswith("\x07") else "\x1b\\"
    body = sequence[1:].removesuffix(end)
    if len(body) <= LONGEST_STRING:
        obey(screen, body, end)


def begins(screen: Screen, piece: str) -> tuple[int, Any, Any, str]:
    """The kind of the sequence a piece begins with, what its kind needs, and the text after it.

    For the fast state only, in which ASCII is designated already.
    """
    match = SEQUENCE.match(piece)
    if match is None:
        return UNKNOWN, None, None, ""
    sequence, text = match[0], piece[match.end() :]
    if sequence == "(B":
        return NOTHING, None, None, text
    if sequence[-1] == "m" and is_sgr(sequence[:-1]):
        return STYLE, sequence[:-1], None, text
    if len(sequence) > LONGEST:
        return NOTHING, None, None, text
    return *_beginning(screen, sequence), text


def _beginning(screen: Screen, sequence: str) -> Beginning:
    """What a sequence is; remembered, unless it is long."""
    found = screen.memo.beginnings.get(sequence)
    if found is None:
        found = _resolve(screen, sequence)
        if len(sequence) <= LONGEST_REMEMBERED:
            screen.memo.keep_sequence(sequence, found)
    return found


def _resolve(screen: Screen, sequence: str) -> Beginning:
    if sequence[0] != "[":
        return GENERAL, _resolve_escape(sequence), ()
    parsed = parse(sequence[1:])
    found = CONTROL_SEQUENCES.get(parsed[0]) if parsed is not None else None
    if parsed is None or found is None:
        return GENERAL, nothing, ()
    (key, numbers), (handler, wanted) = parsed, found
    if wanted != ALL:
        numbers = numbers[:wanted]
    if handler is cursor.cursor_position and not screen.origin:
        line, column = (*numbers, 0, 0)[:2]
        place = min(max(line, 1), screen.lines) - 1, min(max(column, 1), screen.columns) - 1
        if key == "H" and len(sequence) <= LONGEST_REMEMBERED:
            screen.memo.keep_position(sequence[:-1], place)
        return PLACE, *place
    if handler in CELL_OPERATIONS:
        number = sum(numbers)
        if handler is erase.erase_in_line and not number:
            return ERASE_TO_END, handler, number
        return MOVES if handler in ENDS_PENDING_WRAP else CHANGES, handler, number
    return GENERAL, _ENDING.get(handler, handler), tuple(numbers)


def _resolve_escape(text: str) -> Handler:
    handler = ESCAPES.get(text)
    if handler is not None:
        return _ENDING.get(handler, handler)
    if len(text) == 2 and text[0] in _SLOTS:
        slot, chosen = _SLOTS[text[0]], charset(text[1]) if text[0] in "()*+" else None
        return lambda screen: charsets.define_charset(screen, chosen, slot)
    return nothing
