"""The way out of a shell that this side takes: `~.` after Enter, as in other remote shells."""

from __future__ import annotations

from enum import Enum

HELP = b"~.  leave the shell\r\n~~  send one ~\r\n~?  this list\r\n(each after Enter)\r\n"
_TILDE = 0x7E
_LINE_ENDS = b"\r\n"


class Escape(Enum):
    """What is asked of this side."""

    LEAVE = "."
    HELP = "?"


class EscapeKeys:
    """Tells what is typed for the shell from what is typed for us."""

    def __init__(self) -> None:
        self._at_line_start = True
        self._held = False

    def feed(self, data: bytes) -> tuple[bytes, Escape | None]:
        """What goes to the shell, and what is asked of us; nothing is taken in after a leaving."""
        output = bytearray()
        asked: Escape | None = None
        for byte in data:
            if self._held:
                self._held = False
                if byte == ord("."):
                    return bytes(output), Escape.LEAVE
                if byte == ord("?"):
                    asked = Escape.HELP
                    self._at_line_start = True
                    continue
                output.append(_TILDE)
                self._at_line_start = False
                if byte == _TILDE:
                    continue
            elif byte == _TILDE and self._at_line_start:
                self._held = True
                continue
            output.append(byte)
            self._at_line_start = byte in _LINE_ENDS
        return bytes(output), asked
