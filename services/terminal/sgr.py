"""SGR: what the parameters of `CSI … m` change, in both spellings, and back again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from services.terminal.cells import DEFAULT, RGB, CellStyle, Colour, Underline


@dataclass(frozen=True, slots=True)
class Change:
    """What one sequence does to a style: start over or not, then set these fields."""

    reset: bool
    fields: dict[str, Any]


_SIMPLE: Final[dict[int, tuple[str, Any]]] = {
    1: ("bold", True),
    2: ("dim", True),
    3: ("italic", True),
    4: ("underline", Underline.SINGLE),
    5: ("blink", True),
    6: ("blink", True),
    7: ("reverse", True),
    8: ("conceal", True),
    9: ("strike", True),
    21: ("underline", Underline.DOUBLE),
    23: ("italic", False),
    24: ("underline", Underline.NONE),
    25: ("blink", False),
    27: ("reverse", False),
    28: ("conceal", False),
    29: ("strike", False),
    39: ("foreground", DEFAULT),
    49: ("background", DEFAULT),
    53: ("overline", True),
    55: ("overline", False),
    59: ("underline_colour", DEFAULT),
    **{30 + index: ("foreground", index) for index in range(8)},
    **{40 + index: ("background", index) for index in range(8)},
    **{90 + index: ("foreground", 8 + index) for index in range(8)},
    **{100 + index: ("background", 8 + index) for index in range(8)},
}
_COLOURED: Final = {38: "foreground", 48: "background", 58: "underline_colour"}


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else 0


def _colour(parts: list[int]) -> Colour | None:
    """A colour from its mode and numbers: 5;n or 2;r;g;b."""
    if len(parts) >= 2 and parts[0] == 5:
        return parts[1] if parts[1] <= 255 else None
    if len(parts) >= 4 and parts[0] == 2 and max(parts[1:4]) <= 255:
        return RGB | parts[1] << 16 | parts[2] << 8 | parts[3]
    return None


def _colon(word: str, fields: dict[str, Any]) -> None:
    """One parameter with sub-parameters: `4:3`, `38:5:n`, `38:2::r:g:b`, `38:2:r:g:b`."""
    parts = word.split(":")
    code = _number(parts[0])
    if code == 4:
        style = _number(parts[1])
        if style <= Underline.DASHED:
            fields["underline"] = Underline(style)
    elif code in _COLOURED:
        numbers = [_number(part) for part in parts[1:]]
        if numbers[0] == 2 and len(numbers) >= 5:
            del numbers[1]  # the colour space
        colour = _colour(numbers)
        if colour is not None:
            fields[_COLOURED[code]] = colour


def changes(parameters: str) -> Change:
    """What the parameters of an SGR sequence change; unknown ones change nothing."""
    words = parameters.split(";")
    fields: dict[str, Any] = {}
    reset = False
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if ":" in word:
            _colon(word, fields)
            continue
        code = _number(word)
        if code == 0:
            reset = True
            fields.clear()
        elif code == 22:
            fields["bold"] = fields["dim"] = False
        elif code in _COLOURED:
            numbers = [_number(part) for part in words[at : at + 4]]
            colour = _colour(numbers)
            if colour is not None:
                fields[_COLOURED[code]] = colour
            at += 2 if numbers[:1] == [5] else 4 if numbers[:1] == [2] else 1
        elif code in _SIMPLE:
            name, value = _SIMPLE[code]
            fields[name] = value
    return Change(reset, fields)


def _coloured(code: int, colour: Colour) -> str:
    if colour == DEFAULT:
        return ""
    if colour & RGB:
        return f";{code}:2::{colour >> 16 & 255}:{colour >> 8 & 255}:{colour & 255}"
    if code == 58 or colour > 15:
        return f";{code}:5:{colour}"
    return f";{code - 8 + colour}" if colour < 8 else f";{code + 52 + colour - 8}"


_FLAGS: Final[tuple[tuple[Callable[[CellStyle], bool], int], ...]] = (
    (lambda style: style.bold, 1),
    (lambda style: style.dim, 2),
    (lambda style: style.italic, 3),
    (lambda style: style.blink, 5),
    (lambda style: style.reverse, 7),
    (lambda style: style.conceal, 8),
    (lambda style: style.strike, 9),
    (lambda style: style.overline, 53),
)


def parameters(style: CellStyle) -> str:
    """The SGR parameters that lead to a style from the default one, as DECRQSS reports them."""
    text = "0" + "".join(f";{code}" for has, code in _FLAGS if has(style))
    if style.underline:
        text += ";4" if style.underline is Underline.SINGLE else f";4:{int(style.underline)}"
    text += _coloured(38, style.foreground) + _coloured(48, style.background)
    return text + _coloured(58, style.underline_colour)
