"""Key events and pasted text as the bytes a terminal sends for them.

Keys are tables, by Textual's key names.
"""

from __future__ import annotations

import re
from functools import lru_cache

from textual.keys import REPLACED_KEYS, key_to_character

from services.terminal.cells import TerminalModes

ESC = b"\x1b"
SHIFT, ALT, CTRL, META = 1, 2, 4, 8
MODIFIERS = {"shift": SHIFT, "alt": ALT, "ctrl": CTRL, "meta": META}
"""Bits of the modifier parameter, which is one more than their sum."""

CURSOR_KEYS = {
    "up": "A",
    "down": "B",
    "right": "C",
    "left": "D",
    "kp_begin": "E",
    "end": "F",
    "home": "H",
}
"""`CSI x`, `SS3 x` in application cursor mode, `CSI 1 ; m x` with modifiers."""

EDITING_KEYS = {"insert": 2, "delete": 3, "pageup": 5, "pagedown": 6, "menu": 29}
"""`CSI n ~`, `CSI n ; m ~` with modifiers."""

FUNCTION_LETTERS = {1: "P", 2: "Q", 3: "R", 4: "S"}
"""`SS3 x`, `CSI 1 ; m x` with modifiers."""

FUNCTION_NUMBERS = {5: 15, 6: 17, 7: 18, 8: 19, 9: 20, 10: 21, 11: 23, 12: 24}
"""`CSI n ~`, `CSI n ; m ~` with modifiers."""

KEYPAD = {
    "multiply": ("*", "j"),
    "add": ("+", "k"),
    "separator": (",", "l"),
    "subtract": ("-", "m"),
    "decimal": (".", "n"),
    "divide": ("/", "o"),
    "equal": ("=", "X"),
}
"""Keypad names Textual tells apart: the character, and `SS3 x` in application keypad mode."""

CONTROLS = {
    **{chr(code | 0x60): code for code in range(1, 27)},
    **dict.fromkeys(" @2`", 0x00),
    **dict.fromkeys("[3{", 0x1B),
    **dict.fromkeys("\\4|", 0x1C),
    **dict.fromkeys("]5}", 0x1D),
    **dict.fromkeys("^6~", 0x1E),
    **dict.fromkeys("_7/-", 0x1F),
    **dict.fromkeys("?8", 0x7F),
}
"""What Ctrl makes of a character."""

SHIFTED = dict(zip("`1234567890-=[]\\;',./", '~!@#$%^&*()_+{}|:"<>?', strict=True))
"""Shift on the keyboard most terminals assume; asked only where the typed text did not arrive."""

_UNSHIFTED = {shifted: plain for plain, shifted in SHIFTED.items()}

KITTY_MODIFIERS = {"shift": 1, "alt": 2, "ctrl": 4, "super": 8, "hyper": 16, "meta": 32}
WRITING_KEYS = {"enter": 0x0D, "tab": 0x09, "backspace": 0x7F, "escape": 0x1B}
_KITTY_KEYS = {
    **WRITING_KEYS,
    **{"menu": 57363, "decimal": 57409, "divide": 57410, "multiply": 57411, "subtract": 57412},
    **{"add": 57413, "equal": 57415, "separator": 57416},
    **{f"f{number}": 57363 + number for number in range(13, 36)},
}
KITTY_NAMED = {
    **{name: (1, final) for name, final in CURSOR_KEYS.items()},
    **{name: (number, "~") for name, number in EDITING_KEYS.items()},
    **{f"f{number}": (1, letter) for number, letter in FUNCTION_LETTERS.items()},
    **{f"f{number}": (code, "~") for number, code in (*FUNCTION_NUMBERS.items(), (3, 13))},
    **{name: (code, "u") for name, code in _KITTY_KEYS.items()},
}
"""Keys by name in the Kitty keyboard protocol: the number and the final byte of `CSI n ; m x`."""

CANONICAL_LIMIT = 4095
"""Bytes of one line a terminal in canonical mode takes (upstream/terminal: Sending)."""

_BREAK = re.compile(r"\r\n|\n|\r")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def encode(key: str, character: str | None, modes: TerminalModes) -> bytes | None:
    """What the key sends, or None where a terminal sends nothing (a lone Shift, a media key).

    `key` and `character` are those of a Textual key event; control keys have no character.
    """
    prefix, _, base = key.rpartition("+") if key[-1:] != "+" else (key[:-2], "", "+")
    if modes.disambiguate:
        return _disambiguated(prefix, base, character)
    modifiers = 0
    for name in prefix.split("+") if prefix else ():
        if name not in MODIFIERS:
            return None
        modifiers |= MODIFIERS[name]
    if (sequence := _named(base, modifiers, modes)) is not None:
        return sequence
    if base in WRITING_KEYS:
        return _writing(base, modifiers, modes)
    if base in KEYPAD and not (character and character.isprintable()):
        # A character means Num Lock is on or the operator typed it: it goes out as text.
        sign, final = KEYPAD[base]
        if modes.application_keypad and not modifiers:
            return f"\x1bO{final}".encode()
        return _printable(sign, modifiers, modes)
    if character and character.isprintable() and not modifiers & (ALT | CTRL | META):
        return character.encode("utf-8", "replace")
    text = _character(base)
    return _printable(text, modifiers, modes) if text else None


def encode_focus(focused: bool, modes: TerminalModes) -> bytes | None:
    """The focus report of mode 1004, where the program asked for it."""
    if not modes.focus_events:
        return None
    return b"\x1b[I" if focused else b"\x1b[O"


def lines_of(text: str) -> list[str]:
    """The lines the far side would read; an ending break begins no further one."""
    lines = _BREAK.split(text)
    return lines[:-1] if len(lines) > 1 and not lines[-1] else lines


def encode_paste(text: str, modes: TerminalModes) -> bytes:
    """The text as typed input: line ends as CR, no other control character but the tab.

    Bracketed only where the program asked for it (mode 2004).
    """
    body = _CONTROL.sub("", _BREAK.sub("\r", text)).encode("utf-8", "replace")
    return b"\x1b[200~" + body + b"\x1b[201~" if modes.bracketed_paste else body


def paste_question(text: str, modes: TerminalModes) -> str | None:
    """What to ask before this is sent, or None: a program that takes brackets needs no question."""
    if modes.bracketed_paste:
        return None
    lines = lines_of(text)
    longest = max(len(line.encode("utf-8", "replace")) for line in lines)
    reasons = []
    if len(lines) > 1:
        reasons.append(
            f"These are {len(lines)} lines; the program takes each one as if you had pressed Enter."
        )
    if longest > CANONICAL_LIMIT:
        reasons.append(
            f"One line has {longest} bytes; a terminal that reads whole lines "
            f"keeps at most {CANONICAL_LIMIT} of it."
        )
    return " ".join(reasons) or None


def _named(base: str, modifiers: int, modes: TerminalModes) -> bytes | None:
    if base in CURSOR_KEYS:
        final = CURSOR_KEYS[base]
        if modifiers:
            return f"\x1b[1;{modifiers + 1}{final}".encode()
        return f"\x1b{'O' if modes.application_cursor else '['}{final}".encode()
    number = EDITING_KEYS.get(base)
    if number is None and base[:1] == "f" and base[1:].isdecimal():
        # F13-F24 are Shift and F1-F12, F25-F36 Ctrl and F1-F12, as terminfo's xterm has them.
        bank, function = divmod(int(base[1:]) - 1, 12)
        if not 0 <= bank < 3:
            return None
        modifiers |= (0, SHIFT, CTRL)[bank]
        if letter := FUNCTION_LETTERS.get(function + 1):
            return (f"\x1b[1;{modifiers + 1}{letter}" if modifiers else f"\x1bO{letter}").encode()
        number = FUNCTION_NUMBERS[function + 1]
    if number is None:
        return None
    return (f"\x1b[{number};{modifiers + 1}~" if modifiers else f"\x1b[{number}~").encode()


def _writing(base: str, modifiers: int, modes: TerminalModes) -> bytes:
    code = WRITING_KEYS[base]
    shift_tab = base == "tab" and modifiers & ~(ALT | META) == SHIFT
    level = modes.modify_other_keys
    if modifiers and not shift_tab and (level >= 2 or (level == 1 and modifiers & ~(ALT | META))):
        return _modify_other_keys(code, modifiers)
    if shift_tab:
        data = b"\x1b[Z"
    elif base == "enter":
        data = b"\r\n" if modes.newline else b"\r"
    elif base == "backspace":
        data = b"\x08" if bool(modifiers & CTRL) != modes.backspace_sends_bs else b"\x7f"
    else:
        data = bytes([code])
    return ESC + data if modifiers & (ALT | META) else data


def _printable(text: str, modifiers: int, modes: TerminalModes) -> bytes | None:
    if modifiers & SHIFT:
        text = SHIFTED.get(text, text.upper() if len(text.upper()) == 1 else text)
    level = modes.modify_other_keys
    code: int | None = None
    if modifiers & CTRL:
        code = CONTROLS.get(text.lower())
        if level >= 2 or (level == 1 and (code is None or modifiers & SHIFT)):
            return _modify_other_keys(ord(text), modifiers)
        if code is None and not text.isascii():
            return None
    elif modifiers & (ALT | META) and level >= 2:
        return _modify_other_keys(ord(text), modifiers)
    data = text.encode("utf-8", "replace") if code is None else bytes([code])
    return ESC + data if modifiers & (ALT | META) else data


def _disambiguated(prefix: str, base: str, character: str | None) -> bytes | None:
    """A key in the first tier of the Kitty keyboard protocol.

    What types text and what a shell needs to recover (Enter, Tab and Backspace alone) is sent as
    ever; everything else as `CSI code ; modifiers u` or with the letter or number it has.
    """
    modifiers = 0
    for name in prefix.split("+") if prefix else ():
        if name not in KITTY_MODIFIERS:
            return None
        modifiers |= KITTY_MODIFIERS[name]
    if base in WRITING_KEYS and base != "escape" and not modifiers:
        return bytes([WRITING_KEYS[base]])
    typed = bool(character and character.isprintable())
    if (known := KITTY_NAMED.get(base)) is not None and not (typed and base in KEYPAD):
        return _csi(known[0], modifiers, known[1])
    if typed and character and not modifiers & ~SHIFT:
        return character.encode("utf-8", "replace")
    text = KEYPAD[base][0] if base in KEYPAD else _character(base)
    if not text:
        return None
    if not modifiers & ~SHIFT:
        return (SHIFTED.get(text, text.upper()) if modifiers else text).encode("utf-8", "replace")
    if text == "@" and modifiers & 5 == CTRL:
        text = " "  # A terminal without the protocol has one byte for Ctrl+@ and Ctrl+Space.
    elif text.lower() != text:
        modifiers |= SHIFT
    elif modifiers & SHIFT:
        text = _UNSHIFTED.get(text, text)
    return _csi(ord(text.lower()), modifiers, "u") if len(text.lower()) == 1 else None


def _csi(number: int, modifiers: int, final: str) -> bytes:
    """`CSI number ; modifiers final`, without what goes without saying."""
    if modifiers:
        return f"\x1b[{number};{modifiers + 1}{final}".encode()
    return f"\x1b[{'' if number == 1 else number}{final}".encode()


def _modify_other_keys(code: int, modifiers: int) -> bytes:
    return f"\x1b[27;{modifiers + 1};{code}~".encode()


@lru_cache(512)
def _character(base: str) -> str | None:
    if len(base) == 1:
        return base if base.isprintable() else None
    text = key_to_character(REPLACED_KEYS.get(base, base))
    return text if text and len(text) == 1 and text.isprintable() else None
