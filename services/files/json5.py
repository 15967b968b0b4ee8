"""JSON5 to JSON: comments, bare keys, single quotes, trailing commas; then the bounded reader.

Each character is looked at once, whatever the text is.
"""

from __future__ import annotations

import json
import re
from typing import Any

from services.files.bounded import LIMITS, MalformedError, UnfitError, decode, parse_json

_TOKEN = re.compile(
    r"""(?P<blank>[\s\ufeff]++|//[^\n\r\u2028\u2029]*+|/\*[\s\S]*?\*/)
    |(?P<mark>[{}\[\],:])
    |(?P<string>"(?:[^"\\\n\r]++|\\(?:\r\n|[\s\S]))*+"|'(?:[^'\\\n\r]++|\\(?:\r\n|[\s\S]))*+')
    |(?P<number>[+-]?+(?:0[xX][0-9a-fA-F]++|(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][+-]?+[0-9]++)?+))
    |(?P<word>[^\W\d][\w$]*+|\$[\w$]*+)""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"""\\(?:x([0-9a-fA-F]{2})|(\r\n|[\s\S]))|(")|([\x00-\x1f])""")
_KEPT = frozenset('"\\/bfnrtu')
_VALUES = frozenset({"true", "false", "null"})
_ODD = {"v": "\\u000b", "0": "\\u0000", "\n": "", "\r": "", "\r\n": "", "\u2028": "", "\u2029": ""}


def parse_json5(data: bytes | str) -> Any:
    """A JSON5 document.

    Raises:
        UnfitError: it is none, or beyond what is read of any document.
    """
    try:
        return parse_json(data)
    except MalformedError:
        text = decode(data)
    try:
        return parse_json(_to_json(text))
    except MalformedError as error:
        # A line of what was made of it would mislead.
        told = str(error) if "JSON5" in str(error) else "it is not JSON5"
        raise MalformedError(told) from None


def _to_json(text: str) -> str:
    parts: list[str] = []
    at, key_waits = 0, False
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _malformed(text, at)
        kind, part = found.lastgroup, found.group()
        if kind != "blank":
            if key_waits and part != ":":
                raise _malformed(text, at)
            key_waits = kind == "word" and part not in _VALUES
            if part in ("}", "]") and len(parts) > 1 and parts[-1] == "," and _ends(parts[-2]):
                parts.pop()
            parts.append(_written(kind, part))
            if len(parts) > 4 * LIMITS.values:
                raise UnfitError(f"it holds more than {LIMITS.values} values")
        at = found.end()
    if key_waits:
        raise _malformed(text, at)
    return " ".join(parts)


def _ends(part: str) -> bool:
    """Whether a value ends there, so that a comma may follow."""
    return part not in ("{", "[", ",", ":")


def _written(kind: str | None, token: str) -> str:
    if kind == "string":
        return f'"{_ESCAPE.sub(_escaped, token[1:-1])}"'
    if kind == "word":
        return token if token in _VALUES else json.dumps(token)
    if kind == "number":
        return _number(token)
    return token


def _number(token: str) -> str:
    sign = "-" if token[0] == "-" else ""
    digits = token.lstrip("+-")
    if digits[:2] in ("0x", "0X"):
        return f"{sign}{int(digits, 16)}" if len(digits) < 20 else f"{sign}1e999"
    if digits[0] == ".":
        digits = f"0{digits}"
    return sign + re.sub(r"\.(?![0-9])", "", digits)


def _escaped(found: re.Match[str]) -> str:
    code, sign, quote, control = found.groups()
    if code:
        return f"\\u00{code}"
    if quote:
        return '\\"'
    if control:
        return f"\\u{ord(control):04x}"
    if sign in _KEPT:
        return f"\\{sign}"
    return _ODD.get(sign, sign)


def _malformed(text: str, at: int) -> MalformedError:
    line = text.count("\n", 0, at) + 1
    return MalformedError(f"it is not JSON5 (line {line})")
