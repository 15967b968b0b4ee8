"""Operating system commands: titles, colours, links, the clipboard; and device strings."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final
from urllib.parse import unquote

from services.terminal.cells import BACKGROUND, CURSOR, EXTENDED_COLOURS, FOREGROUND, PromptPart
from services.terminal.emulator.reports import request_capabilities, request_setting
from services.terminal.emulator.screen import Screen
from services.terminal.emulator.sequences import decimal
from services.text.sanitize import sanitize

_TITLE: Final = 200
_LINK: Final = 2048
_FOLDER: Final = 1024
_PROMPT_MARKS: Final = (133, 633)
_PARTS_OF_PROMPT: Final = {part.value: part for part in PromptPart}
_COLOURS_A_COMMAND: Final = 512
_DYNAMIC: Final = {10: FOREGROUND, 11: BACKGROUND, 12: CURSOR}
_SPECIAL: Final = 5
"""Colours for bold, underline, blink, reverse and italic; kept to be told, not drawn."""
_HASH: Final = re.compile(r"#([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{9}|[0-9A-Fa-f]{12})")
_PARTS: Final = re.compile(r"rgb:([0-9A-Fa-f]{1,4})/([0-9A-Fa-f]{1,4})/([0-9A-Fa-f]{1,4})")
_DEVICE: Final = re.compile(r"[0-9;]*([$+])q")
_NAMES: Final = {
    "black": 0x000000,
    "red": 0xFF0000,
    "green": 0x00FF00,
    "blue": 0x0000FF,
    "yellow": 0xFFFF00,
    "magenta": 0xFF00FF,
    "cyan": 0x00FFFF,
    "white": 0xFFFFFF,
    "gray": 0xBEBEBE,
    "grey": 0xBEBEBE,
    "orange": 0xFFA500,
}
_SIXTEEN: Final = (
    *(0x000000, 0xCD0000, 0x00CD00, 0xCDCD00, 0x0000EE, 0xCD00CD, 0x00CDCD, 0xE5E5E5),
    *(0x7F7F7F, 0xFF0000, 0x00FF00, 0xFFFF00, 0x5C5CFF, 0xFF00FF, 0x00FFFF, 0xFFFFFF),
)


def command(screen: Screen, body: str, end: str) -> None:
    """Obey an OSC; answers end as the question did."""
    number, _, rest = body.partition(";")
    code = decimal(number)
    if code is None:
        return
    if code in (0, 1, 2):
        _set_title(screen, code, rest)
    elif code in (4, _SPECIAL):
        _indexed_colours(screen, code, rest, end)
    elif code in _DYNAMIC:
        _dynamic_colours(screen, code, rest, end)
    elif code in (104, 105):
        _reset_colours(screen, code, rest)
    elif code - 100 in _DYNAMIC:
        _set_colour(screen, _DYNAMIC[code - 100], None)
    elif code == 8:
        _link(screen, rest)
    elif code == 52:
        _clipboard(screen, rest)
    elif code == 7:
        _working_folder(screen, rest)
    elif code in _PROMPT_MARKS:
        _prompt_mark(screen, rest)


def _set_title(screen: Screen, code: int, text: str) -> None:
    text = sanitize(text, _TITLE)
    if code != 2:
        screen.icon_title = text
    if code != 1:
        screen.title = text


def _working_folder(screen: Screen, address: str) -> None:
    """OSC 7: a file URL; its host is the program's own claim and is left out."""
    if len(address) > _LINK:
        return
    path = address.removeprefix("file://")
    at = path.find("/")
    known = path != address and at >= 0
    screen.folder = sanitize(unquote(path[at:], errors="replace"), _FOLDER) if known else ""


def _prompt_mark(screen: Screen, rest: str) -> None:
    """OSC 133 and the same letters of OSC 633 (upstream/terminal: Prompt marks)."""
    part = _PARTS_OF_PROMPT.get(rest.partition(";")[0])
    if part is not None and not screen.on_alternate:
        screen.rows[screen.cursor.y].mark(screen.cursor.x + screen.cursor.pending, part)


def _set_colour(screen: Screen, index: int, colour: int | None) -> None:
    if colour is None:
        screen.colours.pop(index, None)
    else:
        screen.colours[index] = colour
    screen.damage_base = None


def colour_of(screen: Screen, index: int) -> int:
    """What an entry is now: redefined, of the theme, or the standard one."""
    colour = screen.colours.get(index)
    if colour is None:
        colour = screen.palette.get(index)
    return default_colour(index) if colour is None else colour


def _indexed_colours(screen: Screen, code: int, rest: str, end: str) -> None:
    words = rest.split(";")[:_COLOURS_A_COMMAND]
    for word, value in zip(words[::2], words[1::2], strict=False):
        index = decimal(word)
        if index is None:
            continue
        special = index if code == _SPECIAL else index - 256
        if special > 4:
            continue
        if value == "?":
            known = screen.special_colours.get(special, colour_of(screen, FOREGROUND))
            colour = known if special >= 0 else colour_of(screen, index)
            screen.send_reply(f"\x1b]{code};{index};{format_colour(colour)}{end}")
        elif (parsed := parse_colour(value)) is None:
            continue
        elif special < 0:
            _set_colour(screen, index, parsed)
        else:
            screen.special_colours[special] = parsed


def _dynamic_colours(screen: Screen, code: int, rest: str, end: str) -> None:
    for at, value in enumerate(rest.split(";")[: len(_DYNAMIC)], code):
        if at not in _DYNAMIC:
            break
        if value == "?":
            spelt = format_colour(colour_of(screen, _DYNAMIC[at]))
            screen.send_reply(f"\x1b]{at};{spelt}{end}")
        elif (parsed := parse_colour(value)) is not None:
            _set_colour(screen, _DYNAMIC[at], parsed)


def _reset_colours(screen: Screen, code: int, rest: str) -> None:
    words = [word for word in rest.split(";")[:_COLOURS_A_COMMAND] if word]
    if code == 105:
        for index in [decimal(word) for word in words] or range(5):
            screen.special_colours.pop(-1 if index is None else index, None)
        return
    if not words:
        for index in [index for index in screen.colours if index < FOREGROUND]:
            del screen.colours[index]
        screen.special_colours.clear()
        screen.damage_base = None
    for word in words:
        index = decimal(word)
        if index is not None and index < FOREGROUND:
            _set_colour(screen, index, None)
        elif index is not None:
            screen.special_colours.pop(index - FOREGROUND, None)


def _link(screen: Screen, rest: str) -> None:
    _, _, address = rest.partition(";")
    link = sanitize(address, _LINK) if len(address) <= _LINK else ""
    screen.cursor.attribute = screen.attributes.with_link(screen.cursor.attribute, link)


def _clipboard(screen: Screen, rest: str) -> None:
    """OSC 52: reading is always refused, writing unless it was allowed."""
    _, _, data = rest.partition(";")
    if not screen.allow_clipboard or screen.on_clipboard is None or data == "?":
        return
    try:
        text = base64.b64decode(data, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return
    screen.on_clipboard(text)


def device_string(screen: Screen, body: str, _end: str = "") -> None:
    """Obey a DCS; those we do not know are swallowed whole."""
    match = _DEVICE.match(body)
    if match is not None and match[1] == "$":
        request_setting(screen, body[match.end() :])
    elif match is not None:
        request_capabilities(screen, body[match.end() :])


def default_colour(index: int) -> int:
    """What a palette entry is before anyone changes it, as 0xRRGGBB."""
    if index < 256:
        return _SIXTEEN[index] if index < 16 else EXTENDED_COLOURS[index - 16]
    return 0x000000 if index == BACKGROUND else 0xE5E5E5


def parse_colour(text: str) -> int | None:
    """0xRRGGBB from `#…`, `rgb:…/…/…` or a common name; None for anything else."""
    text = text.strip()
    if match := _HASH.fullmatch(text):
        digits = match[1]
        size = len(digits) // 3
        parts = [digits[at : at + size].ljust(2, "0")[:2] for at in (0, size, 2 * size)]
        return int("".join(parts), 16)
    if match := _PARTS.fullmatch(text):
        value = 0
        for part in match.groups():
            value = value << 8 | round(int(part, 16) * 255 / (16 ** len(part) - 1))
        return value
    return _NAMES.get(text.lower())


def format_colour(colour: int) -> str:
    """`rgb:rrrr/gggg/bbbb`."""
    parts = (colour >> 16 & 255, colour >> 8 & 255, colour & 255)
    return "rgb:" + "/".join(f"{part:02x}{part:02x}" for part in parts)
