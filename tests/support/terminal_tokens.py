"""Pieces of terminal output, plain and odd, from which the tests make sessions."""

from __future__ import annotations

import random

TEXTS = (
    *("a", "Hello, world", "x" * 30, "  ", "ls -l", "0123456789" * 3, "tail", "~", "#1"),
    *(
        "日本語",
        "a漢b字",
        "e\u0301",
        "n\u0303o",
        "👩‍💻",
        "❤️",
        "🇫🇷🇩🇪",
        "🇫",
        "👍🏽",
        "한글",
        "┌─┐│",
        "é",
    ),
    *("\u0301", "\u200d", "\ufe0f", "♂", "1\ufe0f\u20e3", "\u202e", "\u200b", "\U00100000", "﷽"),
    *(
        "\rword\b\b\tmore",
        "tail\r\nhead",
        "\r\n\r\n",
        "\nx\r",
        "\b\b\b",
        "one\ttwo\v",
        "y" * 45 + "\r\n",
    ),
    *("\ufffd", "ｶ", "\u1100\u1161", "漢" * 12, "🏳️‍🌈!", "\U0001f3fb", "\xa0", "\xad"),
)
CONTROLS = (
    "\r\n",
    "\r\n",
    "\n",
    "\r",
    "\b",
    "\t",
    "\a",
    "\x0b",
    "\x0e",
    "\x0f",
    "\x00",
    "\x7f",
    "\x05",
)
ESCAPES = (
    *("\x1b7", "\x1b8", "\x1bD", "\x1bE", "\x1bM", "\x1bH", "\x1b6", "\x1b9", "\x1bc", "\x1b#8"),
    *("\x1b(0", "\x1b(B", "\x1b)0", "\x1b*0", "\x1bN", "\x1bO", "\x1bn", "\x1bo", "\x1bV", "\x1bW"),
    *("\x1b=", "\x1b>", "\x1b(A", "\x1b%G", "\x1b F", "\x1b(B\x1b[m", "\x1b(B\x1b[m", "\x1b(m"),
)
FINALS = (
    *(
        "A",
        "B",
        "C",
        "D",
        "E",
        "F",
        "G",
        "H",
        "H",
        "H",
        "f",
        "I",
        "J",
        "K",
        "K",
        "L",
        "M",
        "@",
        "P",
    ),
    *("S", "T", "X", "Z", "`", "a", "d", "e", "b", "g", "r", "s", "u", "?J", "?K", " q", '"q'),
    *("$v", "$x", "$z", "${", "'}", "'~", "^", "!p", '"p'),
)
MODES = (1, 3, 5, 6, 7, 12, 25, 40, 41, 45, 47, 69, 69, 1000, 1002, 1047, 1048, 1049, 2004, 2026)
RENDITIONS = (
    *("", "0", "1", "31", "42", "97;104", "38;5;208", "48;2;1;2;3", "38:2::9:8:7", "4:3", "58:5:1"),
    *(
        "7;4",
        "22",
        "24;27",
        "39;49",
        "1;31;44",
        "38;5",
        "38;2;1",
        "48:5:300",
        "999",
        "21;53",
        "0;1",
    ),
)
STRINGS = (
    *("\x1b]0;title\x07", "\x1b]2;t\u0301\x1b\\", "\x1b]8;;http://x/\x1b\\", "\x1b]8;;\x07"),
    *("\x1bPq#0;2;0;0;0\x1b\\", "\x1b_Gf=1;AA\x1b\\", "\x1b^pm\x1b\\", "\x1bXsos\x1b\\", "\x1b]R"),
    *("\x1b]P0123456", "\x1b]1337;x=\x18", "\x1b]0;cut\x1b[m", "\x1b]52;c;?\x07"),
)
BROKEN = (
    *(
        "\x1b",
        "\x1b[",
        "\x1b[3",
        "\x1b[?",
        "\x1b]",
        "\x1b]0;x",
        "\x1bP",
        "\x1b(",
        "\x1b[1\n;2H",
        "\x9b3D",
    ),
    *(
        "\x1b[1 2m",
        "\x1b[48;2;1;2;3 m",
        "\x1b[<5u",
        "\x1b[=3u",
        "\x1b[>4;2m",
        "\x1b[?4m",
        "\x1b[1;2;3;4A",
        "\x1b\x1b[A",
        "\x1b[\x18",
    ),
    *(
        "\x1b[3\x7fD",
        "\x1bé",
        "\x1b[é",
        "\x84",
        "\x1b[99999999999999A",
        "\x1b[;;H",
        "\x1b[5:3D",
        "\x1b[m\x1b",
    ),
)


def token(chance: random.Random) -> str:
    """One piece."""
    kind = chance.randrange(100)
    if kind < 32:
        return chance.choice(TEXTS)
    if kind < 47:
        return chance.choice(CONTROLS)
    if kind < 55:
        return chance.choice(ESCAPES)
    if kind < 64:
        return f"\x1b[{chance.choice(RENDITIONS)}m"
    if kind < 73:
        return f"\x1b[?{chance.choice(MODES)}{chance.choice('hl')}"
    if kind < 75:
        return f"\x1b[{chance.choice((4, 20))}{chance.choice('hl')}"
    if kind < 78:
        return chance.choice(STRINGS)
    if kind < 82:
        return chance.choice(BROKEN)
    final = chance.choice(FINALS)
    marker = "?" if final.startswith("?") else ""
    count = chance.choice((0, 1, 1, 2, 2, 2, 4, 8))
    numbers = ";".join(
        str(chance.choice((0, 1, 2, 3, 5, 8, 13, 40, 65, 200))) for _ in range(count)
    )
    return f"\x1b[{marker}{numbers}{final.removeprefix('?')}"


def session(seed: int, length: int) -> bytes:
    """A session of that many pieces."""
    chance = random.Random(seed)
    return "".join(token(chance) for _ in range(length)).encode()


def pieces(data: bytes, seed: int, largest: int = 12) -> list[bytes]:
    """The same bytes cut at random."""
    chance = random.Random(seed)
    cut: list[bytes] = []
    at = 0
    while at < len(data):
        size = chance.randrange(1, largest)
        cut.append(data[at : at + size])
        at += size
    return cut
