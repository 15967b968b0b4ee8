"""Which handler a sequence means: pyte's tables, corrected and completed."""

from __future__ import annotations

import re
from typing import Final

import pyte

MOST_PARAMETERS: Final = 32
LARGEST: Final = 65_535
LONGEST: Final = 1 << 16
"""Characters a control sequence may have; a longer one is ignored."""
LONGEST_REMEMBERED: Final = 256
"""Longer sequences are parsed anew each time, so that what is remembered stays small."""
LONGEST_STRING: Final = 1 << 20
"""Characters a string (OSC, DCS) may have; a longer one is swallowed."""

CONTROLS: Final = {
    **{char: event for char, event in pyte.Stream.basic.items() if char not in "\x0e\x0f"},
    "\x0e": "shift_out",
    "\x0f": "shift_in",
}
ESCAPES: Final = {
    **pyte.Stream.escape,
    "E": "next_line",
    "6": "back_index",
    "9": "forward_index",
    "=": "keypad_application",
    ">": "keypad_numeric",
    "N": "single_shift_2",
    "O": "single_shift_3",
    "n": "lock_shift_2",
    "o": "lock_shift_3",
    "V": "start_protected",
    "W": "end_protected",
    "Z": "identify",
    "#8": "alignment_display",
}
ALL: Final = -1
"""Every parameter that was given."""
_PYTE: Final = {
    final: event
    for final, event in pyte.Stream.csi.items()
    if final not in "'hlrm" and event not in {"cursor_down", "cursor_forward"}
}
_COUNTS: Final = {"cursor_position": 2}
CONTROL_SEQUENCES: Final[dict[str, tuple[str, int]]] = {
    **{final: (event, _COUNTS.get(event, 1)) for final, event in _PYTE.items()},
    "B": ("cursor_down", 1),
    "C": ("cursor_forward", 1),
    "I": ("tab_forward", 1),
    "Z": ("tab_back", 1),
    "`": ("cursor_to_absolute_column", 1),
    "a": ("cursor_right_by", 1),
    "e": ("cursor_down_by", 1),
    "S": ("scroll_region_up", 1),
    "T": ("scroll_region_down_if_alone", ALL),
    "^": ("scroll_region_down", 1),
    "b": ("repeat", 1),
    "h": ("set_mode", ALL),
    "l": ("reset_mode", ALL),
    "?h": ("set_private_mode", ALL),
    "?l": ("reset_private_mode", ALL),
    "?s": ("save_modes", ALL),
    "?r": ("restore_modes", ALL),
    "?J": ("selective_erase_in_display", 1),
    "?K": ("selective_erase_in_line", 1),
    "?n": ("report_private_status", 2),
    "?u": ("report_keyboard", 0),
    ">u": ("push_keyboard", 1),
    "<u": ("pop_keyboard", 1),
    "=u": ("set_keyboard", 2),
    "?m": ("report_key_modifier_options", 1),
    ">c": ("report_secondary_attributes", 1),
    "=c": ("report_tertiary_attributes", 1),
    ">q": ("report_version", 1),
    ">m": ("set_key_modifier_options", 2),
    ">n": ("reset_key_modifier_options", 1),
    "r": ("set_margins", 2),
    "s": ("set_side_margins", 2),
    "u": ("restore_cursor", 0),
    "t": ("operate_window", 3),
    "x": ("report_parameters", 1),
    "!p": ("soft_reset", 0),
    '"p': ("select_conformance", 2),
    '"q': ("set_protection", 1),
    " q": ("set_cursor_style", 1),
    "$p": ("report_mode", 1),
    "?$p": ("report_private_mode", 1),
    "$r": ("change_attributes", ALL),
    "$t": ("reverse_attributes", ALL),
    "$v": ("copy_area", ALL),
    "$x": ("fill_area", ALL),
    "$z": ("erase_area", ALL),
    "${": ("selective_erase_area", ALL),
    "*x": ("select_attribute_extent", 1),
    "*y": ("report_checksum", ALL),
    "'}": ("insert_columns", 1),
    "'~": ("delete_columns", 1),
}

CELL_OPERATIONS: Final = frozenset(
    {"cursor_up", "cursor_down", "cursor_forward", "cursor_back", "cursor_up1", "cursor_down1"}
    | {"cursor_to_column", "cursor_to_line", "cursor_to_absolute_column"}
    | {"cursor_right_by", "cursor_down_by", "tab_forward", "repeat"}
    | {"erase_in_line", "erase_in_display", "erase_characters"}
    | {"insert_characters", "delete_characters", "insert_lines", "delete_lines"}
    | {"scroll_region_up", "scroll_region_down"}
)
"""Handlers of at most one number that change cells or the place of the cursor and nothing else."""

ENDS_PENDING_WRAP: Final = frozenset(
    {"backspace", "carriage_return", "linefeed", "index", "next_line", "reverse_index"}
    | {"cursor_up", "cursor_down", "cursor_forward", "cursor_back", "cursor_up1", "cursor_down1"}
    | {"cursor_position", "cursor_to_column", "cursor_to_absolute_column", "cursor_right_by"}
    | {"cursor_to_line", "cursor_down_by", "back_index", "forward_index", "erase_characters"}
    | {"alignment_display", "reset"}
)
"""Handlers after which no wrap is pending, whatever they were told."""
MAY_END_PENDING_WRAP: Final = frozenset(
    {"erase_in_line", "erase_in_display", "selective_erase_in_line", "selective_erase_in_display"}
    | {"insert_characters", "delete_characters", "insert_lines", "delete_lines"}
    | {"insert_columns", "delete_columns", "set_margins", "set_side_margins", "repeat", "tab"}
    | {"restore_cursor", "set_private_mode", "reset_private_mode", "restore_modes"}
)
"""Those that end one where they do something, print, or bring a cursor along. Every handler that
is in neither set leaves a pending wrap as it was."""

SEQUENCE: Final = re.compile(
    r"\[[0-?]*+[ -/]*+[@-~]|[ -/]+[0-~]|[0-OQ-WYZ\\`-~]"
)
"""A whole sequence without its escape, but for those with a string."""
_CONTROL_SEQUENCE: Final = re.compile(r"([<=>?]?)([0-9;]*)([ -/]*)([@-~])")


def number(digits: str) -> int:
    """A parameter; only its value is bounded, so zeros before it do not count."""
    digits = digits.lstrip("0")
    return min(int(digits[:6] or 0), LARGEST)


def decimal(text: str) -> int | None:
    """A number in a string, None where something else stands there."""
    return number(text) if text.isascii() and text.isdigit() else None


def parse(sequence: str) -> tuple[str, list[int]] | None:
    """A control sequence without its introducer as (key, parameters); None for a malformed one.

    The key is the private marker, the intermediates and the final byte. A parameter left out
    is 0. Sub-parameters belong to SGR alone, which is read elsewhere: here a colon is malformed.
    """
    match = _CONTROL_SEQUENCE.fullmatch(sequence)
    if match is None:
        return None
    marker, words, intermediates, final = match.groups()
    numbers = [number(word) for word in words.split(";")[:MOST_PARAMETERS]] if words else []
    return marker + intermediates + final, numbers
