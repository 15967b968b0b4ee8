"""SGR: what the parameters of `CSI … m` change, in both spellings, and back again.

A style is packed into one integer, so that a sequence is a mask and some bits.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from services.terminal.cells import DEFAULT, RGB, CellStyle, Colour, Underline
from services.terminal.emulator.sequences import number

Change: TypeAlias = tuple[int, int]
"""What to keep of a packed style, and what to set then."""

_BOLD, _DIM, _ITALIC, _BLINK, _REVERSE, _CONCEAL, _STRIKE, _OVERLINE = (1 << n for n in range(8))
_UNDERLINE: Final = 8
_UNDERLINED: Final = 7 << _UNDERLINE
_FIRST_BITS: Final = _BOLD | _BLINK | _REVERSE | 1 << _UNDERLINE
_FOREGROUND: Final = 11
_BACKGROUND: Final = 37
_LINE_COLOUR: Final = 63
_WIDTH: Final = (1 << 26) - 1
"""A colour plus one, so that the default is 0."""
_PROTECTION: Final = 89
_KEPT: Final = 3 << _PROTECTION
"""What SGR 0 leaves."""
_ALL: Final = _KEPT | (1 << _PROTECTION) - 1

_ON: Final = {
    **{1: _BOLD, 2: _DIM, 3: _ITALIC, 5: _BLINK, 6: _BLINK, 7: _REVERSE, 8: _CONCEAL},
    **{9: _STRIKE, 53: _OVERLINE},
}
_OFF: Final = {
    **{22: _BOLD | _DIM, 23: _ITALIC, 24: 7 << _UNDERLINE, 25: _BLINK, 27: _REVERSE},
    **{28: _CONCEAL, 29: _STRIKE, 55: _OVERLINE, 39: _WIDTH << _FOREGROUND},
    **{49: _WIDTH << _BACKGROUND, 59: _WIDTH << _LINE_COLOUR},
}
_COLOURED: Final = {38: _FOREGROUND, 48: _BACKGROUND, 58: _LINE_COLOUR}
_TRUE: Final = {f"[{code}": (place, _ALL & ~(_WIDTH << place)) for code, place in _COLOURED.items()}
_CHARACTERS: Final = "[0123456789;:"
_SGR: Final = re.compile(r"\[[0-9:;]*")
_SIXTEEN: Final = {
    **{30 + index: (_FOREGROUND, index) for index in range(8)},
    **{40 + index: (_BACKGROUND, index) for index in range(8)},
    **{90 + index: (_FOREGROUND, 8 + index) for index in range(8)},
    **{100 + index: (_BACKGROUND, 8 + index) for index in range(8)},
}


def protection_of(packed: int) -> int:
    """0 for none, 1 for DECSCA's, 2 for SPA's."""
    return packed >> _PROTECTION


def protected(packed: int, protection: int) -> int:
    """A packed style with another protection."""
    return packed & ~_KEPT | protection << _PROTECTION


def background_of(packed: int) -> int:
    """The packed style of an erased cell: its background alone."""
    return packed & _WIDTH << _BACKGROUND


def fields_of(packed: int) -> dict[str, Any]:
    """A packed style as the fields of a `CellStyle`."""
    return {
        "foreground": (packed >> _FOREGROUND & _WIDTH) - 1,
        "background": (packed >> _BACKGROUND & _WIDTH) - 1,
        "bold": bool(packed & _BOLD),
        "dim": bool(packed & _DIM),
        "italic": bool(packed & _ITALIC),
        "underline": Underline(packed >> _UNDERLINE & 7),
        "underline_colour": (packed >> _LINE_COLOUR & _WIDTH) - 1,
        "blink": bool(packed & _BLINK),
        "reverse": bool(packed & _REVERSE),
        "conceal": bool(packed & _CONCEAL),
        "strike": bool(packed & _STRIKE),
        "overline": bool(packed & _OVERLINE),
    }


def is_sgr(body: str) -> bool:
    """Whether it is SGR without its escape and final."""
    return not body.strip(_CHARACTERS) and _SGR.fullmatch(body) is not None


def _colour(parts: list[int]) -> Colour | None:
    """A colour from its mode and numbers: 5;n or 2;r;g;b."""
    if len(parts) >= 2 and parts[0] == 5:
        return parts[1] if parts[1] <= 255 else None
    if len(parts) >= 4 and parts[0] == 2 and max(parts[1:4]) <= 255:
        return RGB | parts[1] << 16 | parts[2] << 8 | parts[3]
    return None


def _set(change: Change, place: int, width: int, value: int) -> Change:
    mask, bits = change
    return mask & ~(width << place), bits & ~(width << place) | value << place


def _colon(word: str, change: Change) -> Change:
    """One parameter with sub-parameters: `4:3`, `38:5:n`, `38:2::r:g:b`, `38:2:r:g:b`."""
    code, *numbers = (number(part) for part in word.split(":"))
    if code == 4 and numbers[0] <= Underline.DASHED:
        return _set(change, _UNDERLINE, 7, numbers[0])
    if code in _COLOURED:
        if numbers[0] == 2 and len(numbers) >= 5:
            del numbers[1]  # the colour space
        colour = _colour(numbers)
        if colour is not None:
            return _set(change, _COLOURED[code], _WIDTH, colour + 1)
    return change


def changes(sequence: str) -> Change | None:  # noqa: PLR0912
    """What SGR changes, given without its escape and final; None where it is no SGR.

    Parameters that mean nothing change nothing.
    """
    words = sequence.split(";")
    if len(words) == 5 and words[1] == "2" and (true := _TRUE.get(words[0])):
        place, mask = true
        try:
            red, green, blue = int(words[2]), int(words[3]), int(words[4])
        except ValueError:
            pass
        else:
            # Numbers alone may stand there; int() would take blanks and signs as well.
            alone = not (" " in sequence or "-" in sequence or "+" in sequence)
            if alone and red <= 255 and green <= 255 and blue <= 255:
                return mask, (RGB | red << 16 | green << 8 | blue) + 1 << place
    if _SGR.fullmatch(sequence) is None:
        return None
    words = sequence[1:].split(";")
    change: Change = (_ALL, 0)
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if ":" in word:
            change = _colon(word, change)
            continue
        code = number(word)
        if code in _COLOURED:
            numbers = [number(part) if ":" not in part else 0 for part in words[at : at + 4]]
            found = _colour(numbers)
            if found is not None:
                change = _set(change, _COLOURED[code], _WIDTH, found + 1)
            at += 2 if numbers[:1] == [5] else 4 if numbers[:1] == [2] else 1
        elif code in _SIXTEEN:
            place, index = _SIXTEEN[code]
            change = _set(change, place, _WIDTH, index + 1)
        elif code in _ON:
            change = change[0], change[1] | _ON[code]
        elif code in _OFF:
            change = change[0] & ~_OFF[code], change[1] & ~_OFF[code]
        elif code in (4, 21):
            change = _set(change, _UNDERLINE, 7, 1 if code == 4 else 2)
        elif code == 0:
            change = (_KEPT, 0)
    return change


_AREA_ATTRIBUTES: Final = {
    **{1: (_BOLD, True), 22: (_BOLD, False), 4: (_UNDERLINED, True), 24: (_UNDERLINED, False)},
    **{5: (_BLINK, True), 25: (_BLINK, False), 7: (_REVERSE, True), 27: (_REVERSE, False)},
}
"""What DECCARA and DECRARA know, as bits and whether they are set."""


def attribute_change(codes: list[int], *, toggle: bool) -> Callable[[int], int]:
    """What DECCARA, or DECRARA with `toggle`, makes of a packed style."""
    steps: list[tuple[int, bool]] = []
    for code in codes:
        if code == 0:
            steps += [(bits, False) for bits in (_BOLD, _UNDERLINED, _BLINK, _REVERSE)]
        elif code in _AREA_ATTRIBUTES:
            steps.append(_AREA_ATTRIBUTES[code])

    def change(packed: int) -> int:
        for bits, on in steps:
            wanted = not packed & bits if toggle else on
            if not wanted:
                packed &= ~(bits | _DIM if bits == _BOLD else bits)
            elif not packed & bits:
                packed |= bits & _FIRST_BITS
        return packed

    return change


def _colour_parameter(code: int, colour: Colour) -> str:
    if colour == DEFAULT:
        return ""
    if colour & RGB:
        return f";{code}:2::{colour >> 16 & 255}:{colour >> 8 & 255}:{colour & 255}"
    if code == 58 or colour > 15:
        return f";{code}:5:{colour}"
    return f";{code - 8 + colour}" if colour < 8 else f";{code + 44 + colour}"


def parameters(style: CellStyle) -> str:
    """The SGR parameters that lead to a style from the default one, as DECRQSS reports them."""
    flags = {
        **{1: style.bold, 2: style.dim, 3: style.italic, 5: style.blink, 7: style.reverse},
        **{8: style.conceal, 9: style.strike, 53: style.overline},
    }
    text = "0" + "".join(f";{code}" for code, on in flags.items() if on)
    if style.underline:
        text += ";4" if style.underline is Underline.SINGLE else f";4:{int(style.underline)}"
    text += _colour_parameter(38, style.foreground) + _colour_parameter(48, style.background)
    return text + _colour_parameter(58, style.underline_colour)
