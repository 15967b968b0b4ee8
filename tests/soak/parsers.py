"""Random documents at every parser of files from outside, for a while each."""

from __future__ import annotations

import random
import time
import tomllib
from collections.abc import Callable

from services.files.bounded import (
    MissingParserError,
    UnfitError,
    parse_json,
    parse_toml,
    parse_yaml,
)

PARSERS: dict[str, Callable[[str], object]] = {
    "json": parse_json,
    "toml": parse_toml,
    "yaml": parse_yaml,
}
SLOWEST_S = 5.0
_PIECES = (
    *"[]{}\"'\\:,.-&*<!|>#=?%@~ \n\t01eé\x00\x1b\ufeff",
    *("[[", "]]", "- ", "a: ", "a = ", '"""', "'''", "&a ", "*a ", "<<: *a", "!!int ", "!!map "),
    *("!!timestamp ", "!!float ", "!!binary ", "!!set ", "0x", "1:2:3", "1e999", "nan", ".inf"),
    *(
        "2001-99-99",
        "\n  ",
        "\n---\n",
        "true",
        "null",
        "\\u0000",
        "\\ud800",
        "a.b",
        "{a: ",
        '{"a":',
    ),
)
_LARGEST = 256 * 1024
_REPEATS = (1, 1, 1, 1, 2, 3, 30, 70, 3000, 30_000)


def document(rolls: random.Random) -> str:
    """Up to thirty pieces, some of them again and again."""
    return "".join(
        rolls.choice(_PIECES) * rolls.choice(_REPEATS) for _ in range(rolls.randrange(1, 30))
    )[:_LARGEST]


def parsers(seconds: float, seed: int) -> list[str]:
    """What a parser did that it should not; each has `seconds`. A crash ends the soak itself."""
    found = []
    for name, parse in PARSERS.items():
        rolls, count, slowest = random.Random(seed), 0, 0.0
        until = time.monotonic() + seconds
        while (began := time.monotonic()) < until:
            text = document(rolls)
            try:
                parse(text)
            except MissingParserError:
                break
            except (UnfitError, tomllib.TOMLDecodeError):
                pass
            except Exception as error:
                found.append(f"{name}: {type(error).__name__} for {text[:200]!r}")
            count += 1
            slowest = max(slowest, time.monotonic() - began)
        if slowest > SLOWEST_S:
            found.append(f"{name}: {slowest:.1f} s for one document, seed {seed}")
        print(f"{name}: {count} documents, slowest {slowest:.2f} s", flush=True)
    return found
