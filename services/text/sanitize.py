"""Sanitizes outside text: drops control sequences, marks invisible and reordering characters.

Control sequences are dropped whole, control characters and invisible or direction-changing ones
become visible marks, so no message, log line or process can reach the operator's terminal, hide
text or reorder it.
"""

from __future__ import annotations

import re
import unicodedata

_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI
    r"|\x9b[0-?]*[ -/]*[@-~]"  # CSI, one-byte introducer
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|$)"  # strings
    r"|\x1b[ -/]*[0-~]"  # two-byte and nF
)
_UNSAFE = re.compile(
    r"[^\x20-\x7e\xa1-\xac\xae-\u02ff\u0370-\u05ff\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_INVISIBLE_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")
_MAX_COMBINING_MARKS = 2


def _escape_invisible(text: str) -> str:
    out: list[str] = []
    marks = 0
    for char in text:
        if " " <= char <= "~":
            out.append(char)
            marks = 0
            continue
        category = unicodedata.category(char)
        if category[0] == "M":
            marks += 1
            if marks <= _MAX_COMBINING_MARKS and out and out[-1] != " ":
                out.append(char)
            continue
        marks = 0
        if category in ("Cc", "Cf", "Cs", "Co", "Cn") or char in _INVISIBLE_LETTERS:
            out.append("\ufffd" if category == "Cc" else f"‹{ord(char):04X}›")
        elif category in ("Zs", "Zl", "Zp"):
            out.append(" ")
        else:
            out.append(char)
    return "".join(out)


def printable(text: str) -> str:
    """The text with its line ends, every other control or invisible character escaped as ‹001B›.

    Nothing is dropped but combining marks beyond two on one character, and nothing is cut: two
    different names stay different, and what is shown can be typed.
    """
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    lines = text.replace("\r\n", "\n").replace("\t", "    ").split("\n")
    return "\n".join(_escape_invisible(_CONTROL.sub(_escaped, line)) for line in lines)


def _escaped(found: re.Match[str]) -> str:
    return f"‹{ord(found[0]):04X}›"


def sanitize(text: str, limit: int = 400) -> str:
    """One harmless line of at most `limit` characters.

    White space of every kind folds to one space; what was cut off shows as `…`.
    """
    if (
        len(text) <= limit
        and text.isascii()
        and text.isprintable()
        and "  " not in text
        and " " not in (text[:1], text[-1:])
    ):
        return text
    # Eight raw characters a shown one covers ordinary escape density; the cut keeps this O(limit).
    head = text[: limit * 8 + 64]
    if "\x1b" in head or not head.isascii():
        head = _SEQUENCE.sub("", head)
    line = " ".join(head.split())
    if _UNSAFE.search(line):
        # A mark that stood on nothing is gone, and may leave a space at the edge.
        line = " ".join(_escape_invisible(line).split())
    if len(line) > limit or (len(head) < len(text) and len(line) >= limit):
        return line[: limit - 1] + "…"
    return line


def sanitize_block(text: str, limit: int = 20_000) -> str:
    """Harmless text of at most `limit` characters that keeps its lines."""
    lines = text[: limit * 2].replace("\r\n", "\n").replace("\r", "\n").split("\n")
    out: list[str] = []
    used = 0
    for raw in lines:
        line = _SEQUENCE.sub("", raw.replace("\t", "    "))
        if _UNSAFE.search(line):
            line = _escape_invisible(line)
        left = limit - used
        used += len(line) + 1
        if used > limit:
            out.append(f"{line[: max(0, left - 1)]}…")
            break
        out.append(line)
    return "\n".join(out)


def end_sentence(text: str) -> str:
    """`text` ended like a sentence; nothing stays nothing."""
    text = text.strip()
    return text if not text or text[-1] in ".!?…" else f"{text}."
