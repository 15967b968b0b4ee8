"""A line editor as agents' command lines have one: it asks for the Kitty keyboard protocol.

Shift+Enter begins another line, Enter alone sends the lot, Escape clears it and `ctrl+d` leaves.
Run on a terminal: `python -m tests.support.kitty_editor`.
"""

from __future__ import annotations

import os
import re
import sys
import termios
import tty

KEY = re.compile(rb"\x1b\[(\d*)(?:;(\d+))?u|\x1b\[[0-9;?]*[ -/]*[@-~]|[^\x1b]")
ENTER, ESCAPE, SHIFTED, CTRL = 13, 27, 2, 5


def say(text: str) -> None:
    os.write(1, text.encode() + b"\r\n")


def supported() -> bool:
    """Whether the terminal answers the protocol's question before it answers DA1."""
    os.write(1, b"\x1b[?u\x1b[c")
    said = b""
    while not re.search(rb"\x1b\[\?[0-9;]*c", said):
        said += os.read(0, 256)
    return re.search(rb"\x1b\[\?\d+u", said) is not None


def edit() -> None:
    lines = [""]
    said = b""
    while True:
        said += os.read(0, 256)
        while match := KEY.match(said):
            said = said[match.end() :]
            code = int(match[1] or 1) if match[1] is not None else 0
            held = int(match[2] or 1) if match[1] is not None else 1
            if code == ENTER and held == SHIFTED:
                lines.append("")
            elif code == ESCAPE:
                lines = [""]
                say("cleared")
            elif (code == ord("d") and held == CTRL) or match[0] == b"\x04":
                return
            elif match[0] in (b"\r", b"\n"):
                say(f"sent {len(lines)} lines: {'|'.join(lines)}")
                lines = [""]
            elif match[0] >= b" " and match[0][:1] != b"\x1b":
                lines[-1] += match[0].decode("utf-8", "replace")


def main() -> int:
    before = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        there = supported()
        os.write(1, b"\x1b[>1u" if there else b"")
        say("ready" if there else "no protocol")
        edit()
        os.write(1, b"\x1b[<u" if there else b"")
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
    sys.stdout.write("left\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
