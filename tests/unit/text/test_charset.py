"""A terminal that is not UTF-8 gets ASCII, cell for cell."""

from __future__ import annotations

import pytest

from services.text.charset import SIGNS, charset_of, in_charset
from services.text.signs import MEANINGS


@pytest.mark.parametrize(
    ("environ", "charset"),
    [
        ({}, "utf-8"),
        ({"LANG": "en_US.UTF-8"}, "utf-8"),
        ({"LANG": "de_DE.ISO-8859-1"}, "iso8859-1"),
        ({"LANG": "de_DE.ISO-8859-15@euro"}, "iso8859-15"),
        ({"LC_ALL": "C", "LANG": "en_US.UTF-8"}, "ascii"),
        ({"LC_ALL": "C.UTF-8"}, "utf-8"),
        ({"LC_CTYPE": "de_DE.ISO-8859-1", "LANG": "en_US.UTF-8"}, "iso8859-1"),
        ({"LC_CTYPE": "C.UTF-8", "LANG": "de_DE.ISO-8859-1"}, "iso8859-1"),
        ({"LC_CTYPE": "C.UTF-8"}, "utf-8"),
        ({"LANG": "xx.nobody-knows"}, "ascii"),
        ({"TERM": "linux", "LANG": "en_US.UTF-8"}, "cp437"),
        ({"TERM": "linux", "LANG": "de_DE.ISO-8859-1"}, "iso8859-1"),
    ],
)
def test_the_locale_says_which(environ: dict[str, str], charset: str) -> None:
    assert charset_of(environ) == charset


def test_every_sign_has_a_character_of_its_own() -> None:
    assert set(SIGNS) == set(MEANINGS)
    assert len(set(SIGNS.values())) == len(SIGNS)
    assert all(len(plain) == 1 and plain.isascii() for plain in SIGNS.values())


def test_a_line_keeps_its_cells() -> None:
    line = "╭─ ◉ ready ─╮ 3 … grün \x1b[31m✕\x1b[0m 昨"
    plain = in_charset(line, "iso8859-1")
    assert plain == "+- O ready -+ 3 . grün \x1b[31mx\x1b[0m ??"
    assert in_charset(line, "utf-8") is line
    assert in_charset("grün", "ascii") == "gr?n"
