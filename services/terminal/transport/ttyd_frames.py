"""Framing of ttyd: a letter and bytes a frame (upstream/terminal: Frames of ttyd)."""

from __future__ import annotations

import json
from collections.abc import Sequence

from services.terminal.transport.framing import (
    MAX_MALFORMED_FRAMES,
    NOT_A_TERMINAL,
    Finished,
    FrameEvent,
    Malformed,
    Output,
)
from services.terminal.transport.json_frames import clamp_size

PIECE_BYTES = 8 * 1024
"""Most bytes of input in one frame."""
_INPUT, _RESIZE = b"0", b"1"
_OUTPUT = ord("0")
_SAYS_NOTHING = frozenset(b"12")
"""Title and preferences; the title arrives in the output as well."""


class TtydFraming:
    """One connection's side of it; the first size starts the program there."""

    subprotocols: Sequence[str] = ("tty",)
    repeats_size = False
    silent_end = False

    def __init__(self, token: str = "") -> None:
        """`token` is what the server's `/token` told; empty where it asks for none."""
        self._token = token
        self._greeted = False
        self._malformed = 0

    def on_subprotocol(self, subprotocol: str | None) -> None:
        """There is only one."""

    def encode_resize(self, columns: int, lines: int) -> bytes:
        """One frame: the greeting at first, a change of size from then on."""
        size = {"columns": clamp_size(columns), "rows": clamp_size(lines)}
        if self._greeted:
            return _RESIZE + json.dumps(size).encode("ascii")
        self._greeted = True
        return json.dumps({"AuthToken": self._token, **size}).encode("utf-8")

    def encode_input(self, data: bytes) -> tuple[bytes, ...]:
        """Frames of at most `PIECE_BYTES`, byte for byte."""
        starts = range(0, len(data), PIECE_BYTES)
        return tuple(_INPUT + data[at : at + PIECE_BYTES] for at in starts)

    def decode(self, frame: str | bytes) -> tuple[FrameEvent, ...]:
        """What one frame says; the third malformed one in a row finishes the session."""
        data = frame.encode("utf-8", "replace") if isinstance(frame, str) else bytes(frame)
        if data and data[0] == _OUTPUT:
            self._malformed = 0
            return (Output(data[1:]),) if len(data) > 1 else ()
        if data and data[0] in _SAYS_NOTHING:
            self._malformed = 0
            return ()
        self._malformed += 1
        if self._malformed >= MAX_MALFORMED_FRAMES:
            return (Finished(NOT_A_TERMINAL),)
        return (Malformed("a frame of no kind ttyd has"),)
