"""What the terminal benchmarks feed: seeded generators, the same bytes every time."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

RECORDINGS = Path(__file__).resolve().parents[1] / "support" / "recordings"

_WORDS = (
    *("agent", "sandbox", "gateway", "queue", "message", "delivered", "claimed", "retry"),
    *("session", "container", "heartbeat", "probe", "wake", "reconnect", "shell", "stream"),
    *("socket", "worker", "pending", "ready", "stuck", "asleep", "settle", "token", "scope"),
)
_CJK = "漢字仮名交じり文は日本語の標準的な表記である中文字符串测试数据한국어문장"
_EMOJI = ("😀", "🚀", "👩‍💻", "❤️", "🇫🇷", "👍🏽", "✅", "🔥")
_MARKED = ("e\u0301", "a\u0308", "n\u0303", "o\u0302")


def plain_log(size: int) -> bytes:
    """Lines in the shape of `ls -lR`."""
    chance = random.Random(1)
    lines = []
    length = 0
    while length < size:
        name = f"{chance.choice(_WORDS)}-{chance.randrange(10_000)}.py"
        written, minute = chance.randrange(10**6), chance.randrange(60)
        line = f"-rw-r--r-- 1 root root {written:7d} Nov 20 12:{minute:02d} {name}\r\n"
        lines.append(line)
        length += len(line)
    return "".join(lines).encode()


def yes(size: int) -> bytes:
    """`yes`."""
    return b"y\r\n" * (size // 3)


def coloured(size: int) -> bytes:
    """A listing with a colour about every ten characters."""
    chance = random.Random(2)
    parts: list[str] = []
    length = 0
    while length < size:
        words = []
        for _ in range(chance.randrange(4, 8)):
            code = chance.choice(("31", "32", "01;34", "33", "38;5;208", "7;36"))
            words.append(f"\x1b[{code}m{chance.choice(_WORDS)}\x1b[0m")
        line = "  ".join(words) + "\r\n"
        parts.append(line)
        length += len(line)
    return "".join(parts).encode()


def truecolor(size: int) -> bytes:
    """Both colours in every cell: an animation of four frames."""
    chance = random.Random(3)
    parts: list[str] = []
    length = 0
    while length < size:
        shift = chance.randrange(4) * 11
        for y in range(24):
            cells = [f"\x1b[{y + 1};1H"]
            for x in range(80):
                red, green = (x * 3 + shift) & 255, (y * 10 + shift) & 255
                cells.append(f"\x1b[38;2;{red};{green};128m\x1b[48;2;{green};{red};64m#")
            line = "".join(cells)
            parts.append(line)
            length += len(line)
    return "".join(parts).encode()


def curses(size: int) -> bytes:
    """Redraws by a curses program: moves, erasures, inserted lines, regions."""
    chance = random.Random(4)
    parts: list[str] = ["\x1b[?1049h\x1b[H\x1b[2J"]
    length = 0
    while length < size:
        kind = chance.randrange(100)
        y, x = chance.randrange(1, 25), chance.randrange(1, 70)
        word = chance.choice(_WORDS)
        if kind < 45:
            piece = f"\x1b[{y};{x}H{word}"
        elif kind < 65:
            piece = f"\x1b[{y};{x}H\x1b[{chance.choice(('1', '7', '32', '36'))}m{word}\x1b(B\x1b[m"
        elif kind < 78:
            piece = f"\x1b[{y};1H{word} {chance.choice(_WORDS)} {chance.randrange(999)}\x1b[K"
        elif kind < 84:
            piece = f"\x1b[{y};{x}H\x1b[{chance.randrange(1, 10)}X"
        elif kind < 88:
            piece = f"\x1b[{y};1H\x1b[L{word}"
        elif kind < 92:
            piece = f"\x1b[{y};1H\x1b[M"
        elif kind < 95:
            piece = f"\x1b[{y};{x}H\x1b[{chance.randrange(1, 5)}P"
        elif kind < 98:
            piece = f"\x1b[5;20r\x1b[20;1H\n{word}\x1b[r"
        else:
            piece = f"\x1b[{chance.randrange(1, 5)}B\r{word}\b\b\t{word}"
        parts.append(piece)
        length += len(piece)
    return "".join(parts).encode()


def unicode_text(size: int) -> bytes:
    """CJK, emoji, combining marks and box drawing in lines."""
    chance = random.Random(5)
    parts: list[str] = []
    length = 0
    while length < size:
        words: list[str] = []
        for _ in range(chance.randrange(5, 9)):
            kind = chance.randrange(10)
            if kind < 4:
                words.append("".join(chance.choice(_CJK) for _ in range(chance.randrange(2, 7))))
            elif kind < 6:
                words.append(chance.choice(_EMOJI))
            elif kind < 7:
                words.append("".join(chance.choice(_MARKED) for _ in range(3)))
            elif kind < 8:
                words.append("┌" + "─" * chance.randrange(3, 9) + "┐")
            else:
                words.append(chance.choice(_WORDS))
        line = " ".join(words) + "\r\n"
        parts.append(line)
        length += len(line.encode())
    return "".join(parts).encode()


GENERATED: dict[str, Callable[[int], bytes]] = {
    "plain log": plain_log,
    "yes": yes,
    "colour": coloured,
    "truecolor": truecolor,
    "curses": curses,
    "unicode": unicode_text,
}


def recordings() -> dict[str, bytes]:
    """The recorded sessions, by name; each fed again and again makes a payload."""
    return {path.stem: path.read_bytes() for path in sorted(RECORDINGS.glob("*.raw"))}
