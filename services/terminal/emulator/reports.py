"""Replies to the program's queries (upstream/terminal: Answers)."""

from __future__ import annotations

import re
from typing import Final

from services.terminal.emulator.screen import Screen
from services.terminal.emulator.sgr import parameters
from services.terminal.emulator.state import CELL_HEIGHT, CELL_WIDTH
from services.terminal.emulator.styles import Protection

_STATUS: Final = {
    15: "?13n",  # no printer
    25: "?20n",  # keys unlocked
    26: "?27;1;0;0n",
    53: "?50n",  # no locator
    55: "?50n",
    56: "?57;0n",
    62: "0000*{",  # no macro space
    75: "?70n",
    85: "?83n",
}
_CAPABILITIES: Final = {"Co": "256", "colors": "256", "TN": "xterm-256color", "RGB": "8/8/8"}
_TITLES_KEPT: Final = 10
_REQUESTS_ANSWERED: Final = 16
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2}){1,64}")


def report_device_attributes(screen: Screen, mode: int = 0) -> None:
    """DA1: a VT420 with selective erase, horizontal scrolling, colour and rectangles."""
    if mode == 0:
        screen.send_reply("\x1b[?64;6;21;22;28c")


def identify(screen: Screen) -> None:
    """DECID."""
    report_device_attributes(screen)


def report_secondary_attributes(screen: Screen, mode: int = 0) -> None:
    """DA2: as an xterm that answers DECRQCRA the way we do."""
    if mode == 0:
        screen.send_reply("\x1b[>41;390;0c")


def report_tertiary_attributes(screen: Screen, mode: int = 0) -> None:
    """DA3."""
    if mode == 0:
        screen.send_reply("\x1bP!|00000000\x1b\\")


def report_version(screen: Screen, mode: int = 0) -> None:
    """XTVERSION."""
    if mode == 0:
        screen.send_reply("\x1bP>|Wakedeck\x1b\\")


def report_keyboard(screen: Screen) -> None:
    """Kitty keyboard protocol: the flags that are on; also the sign that it is served."""
    screen.send_reply(f"\x1b[?{screen.keyboard[-1]}u")


def report_key_modifier_options(screen: Screen, resource: int = 0) -> None:
    """XTQMODKEYS."""
    if resource == 4:
        screen.send_reply(f"\x1b[>4;{screen.modes.modify_other_keys}m")


def _cursor_address(screen: Screen) -> tuple[int, int]:
    y, x = (
        (screen.cursor.y - screen.margins.top, screen.cursor.x - screen.margins.left)
        if screen.origin
        else (screen.cursor.y, screen.cursor.x)
    )
    return max(0, y) + 1, max(0, x) + 1


def report_device_status(screen: Screen, what: int = 0) -> None:
    """DSR."""
    if what == 5:
        screen.send_reply("\x1b[0n")
    elif what == 6:
        line, column = _cursor_address(screen)
        screen.send_reply(f"\x1b[{line};{column}R")


def report_private_status(screen: Screen, what: int = 0, label: int = 0) -> None:
    """DSR, the DEC kind."""
    if what == 6:
        line, column = _cursor_address(screen)
        screen.send_reply(f"\x1b[?{line};{column};1R")
    elif what == 996:
        report_colour_scheme(screen)
    elif what == 63:
        screen.send_reply(f"\x1bP{label}!~0000\x1b\\")
    elif what in _STATUS:
        screen.send_reply("\x1b[" + _STATUS[what])


def report_colour_scheme(screen: Screen) -> None:
    """Whether the theme is dark (1) or light (2); sent by itself in mode 2031."""
    screen.send_reply(f"\x1b[?997;{1 if screen.dark else 2}n")


def report_parameters(screen: Screen, how: int = 0) -> None:
    """DECREQTPARM."""
    if how <= 1:
        screen.send_reply(f"\x1b[{how + 2};1;1;128;128;1;0x")


def request_setting(screen: Screen, setting: str) -> None:
    """DECRQSS: only settings we know are ever sent back."""
    if screen.modes.level < 3:
        return
    protection = screen.cursor.attribute.protection == Protection.SELECTIVE
    values = {
        "m": parameters(screen.cursor.attribute),
        "r": f"{screen.margins.top + 1};{screen.margins.bottom + 1}",
        "s": f"{screen.margins.left + 1};{screen.margins.right + 1}",
        "t": str(max(24, screen.lines)),
        " q": str(screen.cursor.style or 1),
        '"q': "1" if protection else "0",
        '"p': f"{60 + screen.modes.level};1",
        "*|": str(screen.lines),
        "*x": str(screen.attribute_extent),
        "$|": str(screen.columns),
        "$}": "0",
        "$~": "0",
    }
    value = values.get(setting)
    screen.send_reply("\x1bP0$r\x1b\\" if value is None else f"\x1bP1$r{value}{setting}\x1b\\")


def request_capabilities(screen: Screen, names: str) -> None:
    """XTGETTCAP: hexadecimal names; unknown ones are refused without echoing them."""
    for name in names.split(";")[:_REQUESTS_ANSWERED]:
        known = bytes.fromhex(name).decode("latin-1") if _HEX.fullmatch(name) else ""
        value = _CAPABILITIES.get(known)
        if value is None:
            screen.send_reply("\x1bP0+r\x1b\\")
        else:
            label, given = known.encode().hex().upper(), value.encode().hex().upper()
            screen.send_reply(f"\x1bP1+r{label}={given}\x1b\\")


def set_cursor_style(screen: Screen, style: int = 0) -> None:
    """DECSCUSR."""
    if style <= 6:
        screen.cursor.style = style


def set_protection(screen: Screen, how: int = 0) -> None:
    """DECSCA."""
    if how in (0, 1, 2):
        screen.protect(Protection.SELECTIVE if how == 1 else Protection.NONE)


def start_protected(screen: Screen) -> None:
    """SPA."""
    screen.protect(Protection.ISO)


def end_protected(screen: Screen) -> None:
    """EPA."""
    screen.protect(Protection.NONE)


def operate_window(screen: Screen, what: int = 0, which: int = 0, *_: int) -> None:
    """Window operations: sizes are told; nothing moves or resizes the pane."""
    lines, columns = screen.lines, screen.columns
    answers = {
        11: "1t",
        13: "3;0;0t",
        14: f"4;{lines * CELL_HEIGHT};{columns * CELL_WIDTH}t",
        15: f"5;{lines * CELL_HEIGHT};{columns * CELL_WIDTH}t",
        16: f"6;{CELL_HEIGHT};{CELL_WIDTH}t",
        18: f"8;{lines};{columns}t",
        19: f"9;{lines};{columns}t",
    }
    if what in answers:
        screen.send_reply("\x1b[" + answers[what])
    elif what in (20, 21):
        letter, text = ("L", screen.icon_title) if what == 20 else ("l", screen.title)
        shown = text if screen.allow_title_report else ""
        send_text_reply(screen, f"\x1b]{letter}{shown}\x1b\\")
    elif what == 22:
        _push_titles(screen, which)
    elif what == 23:
        _pop_titles(screen, which)


def send_text_reply(screen: Screen, text: str) -> None:
    """Send an answer that holds text."""
    if screen.reply is not None:
        screen.reply(text.encode("utf-8", "replace"))


def _push_titles(screen: Screen, which: int) -> None:
    icon = screen.icon_title if which in (0, 1) else None
    title = screen.title if which in (0, 2) else None
    if len(screen.titles) < _TITLES_KEPT:
        screen.titles.append((icon, title))


def _pop_titles(screen: Screen, which: int) -> None:
    if not screen.titles:
        return
    icon, title = screen.titles.pop()
    if which == 0 and screen.titles and (icon is None or title is None):
        more = screen.titles.pop()
        icon, title = icon or more[0], title or more[1]
    if icon is not None and which in (0, 1):
        screen.icon_title = icon
    if title is not None and which in (0, 2):
        screen.title = title
