"""Masks credentials in text before it reaches a log, the screen or a file.

Every scan is one pass with possessive or disjoint matches, so hostile text costs time in proportion
to its length; masking masked text changes nothing.
"""

from __future__ import annotations

import re
from itertools import pairwise

from services.text.sanitize import sanitize

MASK = "***"
_AHEAD = 256
"""Characters beyond a cut that are read too: half a secret may not look like one."""

_SECRET_WORDS = frozenset(
    (
        "apikey",
        "authorization",
        "bearer",
        "bootstrap",
        "cookie",
        "credential",
        "credentials",
        "jwt",
        "passcode",
        "passphrase",
        "passwd",
        "password",
        "passwords",
        "pwd",
        "secret",
        "secrets",
        "signingkey",
        "token",
    )
)
_KEY_QUALIFIERS = frozenset(
    ("access", "account", "api", "encryption", "private", "secret", "signing")
)
"""What makes a following `key` a secret."""
_METADATA_WORDS = re.compile(
    r"at|budget|count|expir\w*|file|id|kind|length|limit|name|path|required|size|state|status|ttl"
    r"|type|usage|used|verified"
)
"""Last words that make a name tell of a secret without holding one, as in `token_count`."""
_QUERY_NAMES = frozenset(("auth", "code", "key", "sig", "signature"))
_HEADERS = frozenset(("authorization", "cookie", "proxy-authorization", "set-cookie"))

_NAME = re.compile(
    r"(?<![\w-])(?:([\w-]++)(?:\\{0,8}[\"']\s{0,4}[:=]|\s{0,4}[:=])|--([\w-]++)(?=\s))\s{0,4}"
)
_WORD = re.compile(r"[A-Z]++(?![a-z])|[A-Z]?[a-z]++|[A-Z]")
_QUOTED = re.compile(r"(\"(?:[^\"\\]|\\.)*+|'(?:[^'\\]|\\.)*+)([\"']?)", re.DOTALL)
_ESCAPED = re.compile(r"(\\++[\"'])[^\\\"']*+")
_BARE = re.compile(r"[^\s,;&\"'<>(){}\[\]\\]++")
_LINE = re.compile(r"[^\r\n\"'\\]++")
_LITERAL = re.compile(r"(?:null|true|false|none)(?!\w)", re.IGNORECASE)

_SHAPES = (
    (re.compile(r"(?i)(?<![\w-])(bearer|basic)(\s++)(?!\*)[\w.~+/=-]{6,}+"), rf"\1\2{MASK}"),
    (re.compile(r"(?<![\w-])eyJ[\w-]++\.[\w-]++(?:\.[\w-]*+)*+"), MASK),
    (re.compile(r"(?i)(base64url\.bearer\.authorization\.k8s\.io\.)[\w-]++"), rf"\1{MASK}"),
    (
        re.compile(
            r"(?<![\w-])(?:gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|sk-|nvapi-)[\w-]{12,}+"
            r"|(?<![\w-])(?:AKIA|ASIA)[0-9A-Z]{16}(?!\w)"
        ),
        MASK,
    ),
    (re.compile(r"(://[^\s/:@?#]*+:)[^\s/]*@"), rf"\1{MASK}@"),
    (re.compile(r"(://)[^\s/:@?#]{16,}+@"), rf"\1{MASK}@"),
)
_SHAPE_HINT = re.compile(
    r"(?i)bearer|basic|eyJ|gh[pousr]_|github_pat_|glpat-|xox|sk-|nvapi-|A[KS]IA|://"
)


def _is_secret(name: str) -> bool:
    words = [word.lower() for word in _WORD.findall(name[-120:])]
    if not words or _METADATA_WORDS.fullmatch(words[-1]):
        return False
    return (
        not _SECRET_WORDS.isdisjoint(words)
        or name.lower().replace("-", "").replace("_", "") in _SECRET_WORDS
        or any(b == "key" and a in _KEY_QUALIFIERS for a, b in pairwise(words))
    )


def _mask_value(text: str, start: int, whole_line: bool) -> tuple[str, int] | None:
    """The masked value that begins at `start` and where it ends; None where there is none."""
    if match := _QUOTED.match(text, start):
        opening = match[1][0]
        return f"{opening}{MASK}{match[2]}", match.end()
    if match := _ESCAPED.match(text, start):
        return f"{match[1]}{MASK}", match.end()
    if _LITERAL.match(text, start):
        return None
    if match := (_LINE if whole_line else _BARE).match(text, start):
        return MASK, match.end()
    return None


def _mask_named(text: str) -> str:
    out: list[str] = []
    kept = 0
    place = 0
    while match := _NAME.search(text, place):
        name = (match[1] or match[2]).lstrip("-")
        place = match.end()
        before = text[match.start() - 1 : match.start()]
        if not (_is_secret(name) or (before in ("?", "&") and name.lower() in _QUERY_NAMES)):
            continue
        masked = _mask_value(text, place, name.lower() in _HEADERS)
        if masked is None:
            continue
        out += (text[kept:place], masked[0])
        kept = place = masked[1]
    out.append(text[kept:])
    return "".join(out)


def _mask_pem(text: str) -> str:
    out: list[str] = []
    place = 0
    while (start := text.find("-----BEGIN ", place)) >= 0:
        end = text.find("-----END ", start)
        stop = -1 if end < 0 else text.find("-----", end + 9)
        out += (text[place:start], MASK)
        place = len(text) if stop < 0 else stop + 5
        if stop < 0:
            break
    out.append(text[place:])
    return "".join(out)


def redact(text: str) -> str:
    """`text` with tokens, passwords, keys, credentials in URLs and PEM blocks as `***`."""
    if "-----BEGIN " in text:
        text = _mask_pem(text)
    text = _mask_named(text)
    if _SHAPE_HINT.search(text):
        for shape, instead in _SHAPES:
            text = shape.sub(instead, text)
    return text


def redact_line(text: str, limit: int = 400) -> str:
    """One harmless line of at most `limit` characters, its secrets masked before it is cut."""
    line = redact(sanitize(text, limit + _AHEAD))
    return line if len(line) <= limit else line[: limit - 1] + "…"
