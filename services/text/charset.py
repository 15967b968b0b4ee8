"""What a terminal whose character set is not UTF-8 is sent instead of frames and signs."""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Mapping
from functools import cache

from services.text.signs import MEANINGS

SIGNS = {
    "◉": "O",
    "◆": "*",
    "◌": "o",
    "○": "z",
    "⊖": "=",
    "⊘": "/",
    "⊗": "#",
    "≠": "%",
    "✕": "x",
    "∅": "0",
    "?": "?",
    "~": "~",
    "◈": "@",
    "●": "+",
    "▸": "$",
    "↻": "r",
    "◷": "t",
    "⇠": "w",
    "‖": "p",
    "!": "!",
    "✓": "v",
    "⇒": "}",
    "–": "-",
    "◦": ",",
    "·": ".",
    "↑": "^",
    "↓": "_",
    "»": "&",
}
"""Every sign as one character of ASCII, no two alike."""
_FRAMES = {
    "+": "╭╮╰╯┌┐└┘┏┓┗┛├┤┬┴┼",
    "-": "─━═▔▁",
    "|": "│┃║▏▎▍▌▐▕",
    ">": "›→",
    "<": "←⏎",
    "[": "■",
    "^": "▲",
    "v": "▼",
    ".": "…▂",
    ":": "▃▄",
    "=": "▅▆",
    "#": "▇█",
}
_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")
"""What Python sets LC_CTYPE to by itself in the C locale (PEP 538)."""
_TABLE = {ord(glyph): plain for glyph, plain in SIGNS.items() if not glyph.isascii()}
_TABLE |= {ord(glyph): plain for plain, glyphs in _FRAMES.items() for glyph in glyphs}
assert set(SIGNS) == set(MEANINGS)


def charset_of(environ: Mapping[str, str]) -> str:
    """The character set that the locale names; UTF-8 where it names none.

    The Linux console takes UTF-8, but its own font has no more than the signs of CP437.
    """
    named = _named(environ)
    return "cp437" if named == "utf-8" and environ.get("TERM") == "linux" else named


def _named(environ: Mapping[str, str]) -> str:
    keys = ["LC_ALL", "LC_CTYPE", "LANG"]
    if environ.get("LC_CTYPE") in _COERCED and environ.get("LANG"):
        keys.remove("LC_CTYPE")  # Python's own, set where it found no locale.
    named = next((said for key in keys if (said := environ.get(key))), "")
    if named in ("C", "POSIX"):
        return "ascii"
    codeset = named.partition(".")[2].partition("@")[0]
    try:
        return codecs.lookup(codeset).name if codeset else "utf-8"
    except LookupError:
        return "ascii"


def in_charset(text: str, charset: str) -> str:
    """The text with ASCII for frames and signs and `?` for what the set has no sign for."""
    if charset == "utf-8" or text.isascii():
        return text
    return "".join(_plain(one, charset) for one in text.translate(_TABLE))


@cache
def _plain(char: str, charset: str) -> str:
    try:
        char.encode(charset)
    except UnicodeEncodeError:
        return "??" if unicodedata.east_asian_width(char) in "WF" else "?"
    return char
