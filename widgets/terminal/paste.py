"""Pasted text as bytes, and the question to ask first."""

from __future__ import annotations

import re

from services.terminal.cells import TerminalModes

CANONICAL_LIMIT = 4095
"""Bytes of one line a terminal in canonical mode takes (upstream/terminal: Sending)."""

_BREAK = re.compile(r"\r\n|\n|\r")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def lines_of(text: str) -> list[str]:
    """The lines the far side would read; an ending break begins no further one."""
    lines = _BREAK.split(text)
    return lines[:-1] if len(lines) > 1 and not lines[-1] else lines


def encode_paste(text: str, modes: TerminalModes) -> bytes:
    """The text as typed input: line ends as CR, no other control character but the tab.

    Bracketed only where the program asked for it (mode 2004).
    """
    body = _CONTROL.sub("", _BREAK.sub("\r", text)).encode("utf-8", "replace")
    return b"\x1b[200~" + body + b"\x1b[201~" if modes.bracketed_paste else body


def paste_question(text: str, modes: TerminalModes) -> str | None:
    """What to ask before this is sent, or None: a program that takes brackets needs no question."""
    if modes.bracketed_paste:
        return None
    lines = lines_of(text)
    longest = max(len(line.encode("utf-8", "replace")) for line in lines)
    reasons = []
    if len(lines) > 1:
        reasons.append(
            f"These are {len(lines)} lines; the program takes each one as if you had pressed Enter."
        )
    if longest > CANONICAL_LIMIT:
        reasons.append(
            f"One line has {longest} bytes; a terminal that reads whole lines "
            f"keeps at most {CANONICAL_LIMIT} of it."
        )
    return " ".join(reasons) or None
