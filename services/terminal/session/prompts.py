"""Detects from its output whether a shell is idle at its prompt."""

from __future__ import annotations

import re

_TAIL_BYTES = 512
_LONGEST_MARK = 8
_PASTE_ON, _PASTE_OFF = b"\x1b[?2004h", b"\x1b[?2004l"
_ALTERNATE_ON, _ALTERNATE_OFF = b"\x1b[?1049h", b"\x1b[?1049l"
_SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")


class PromptDetector:
    """Reports a shell as busy where its output is ambiguous."""

    def __init__(self) -> None:
        self._tail = b""
        self._paste: bool | None = None
        self._alternate = False

    def feed(self, data: bytes) -> None:
        """Take output in."""
        seam = self._tail[-_LONGEST_MARK:] + data
        self._paste = _latest(seam, _PASTE_ON, _PASTE_OFF, self._paste)
        self._alternate = bool(_latest(seam, _ALTERNATE_ON, _ALTERNATE_OFF, self._alternate))
        self._tail = (
            data[-_TAIL_BYTES:] if len(data) >= _TAIL_BYTES else (self._tail + data)[-_TAIL_BYTES:]
        )

    @property
    def idle(self) -> bool:
        """Whether it looks idle.

        A line editor asks for bracketed paste before it prints a prompt and takes it back before
        it runs a command. A shell without one is idle where the last line ends as prompts do.
        """
        if self._alternate:
            return False
        if self._paste is not None:
            prompt = _SEQUENCE.sub(b"", self._tail.rpartition(_PASTE_ON)[2])
            return self._paste and bool(prompt.strip())
        line = _SEQUENCE.sub(b"", self._tail).rpartition(b"\n")[2].rpartition(b"\r")[2]
        return line.endswith((b"$ ", b"# ", b"% ", b"> "))


def _latest(data: bytes, on: bytes, off: bytes, before: bool | None) -> bool | None:
    set_at, reset_at = data.rfind(on), data.rfind(off)
    return before if set_at == reset_at else set_at > reset_at
