"""Framings of terminal servers: ttyd, and terminado, which Jupyter has too."""

from __future__ import annotations

import codecs
import json
from collections.abc import Sequence

from services.files.bounded import UnfitError, parse_json
from services.models import ShellState
from services.terminal.transport.base import CloseReason
from services.terminal.transport.framing import (
    MAX_MALFORMED_FRAMES,
    NOT_A_TERMINAL,
    Finished,
    FrameEvent,
    Malformed,
    Output,
)
from services.terminal.transport.json_frames import clamp_size, split_utf8

PIECE_BYTES = 8 * 1024
"""Most bytes of input in one frame."""
_INPUT, _RESIZE = b"0", b"1"
_OUTPUT = ord("0")
_SAYS_NOTHING = frozenset(b"12")
"""Title and preferences; the title arrives in the output as well."""
SHELL_ENDED = CloseReason(ShellState.ENDED, "the shell ended; exit code unknown")
"""What `disconnect` means; the number beside it is always 1 and no exit code."""


class TtydFraming:
    """A letter and bytes a frame (upstream/terminal: Frames of ttyd).

    The first size starts the program there.
    """

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


class TerminadoFraming:
    """A JSON array a frame (upstream/terminal: Terminado frames)."""

    subprotocols: Sequence[str] = ()
    repeats_size = False
    silent_end = False

    def __init__(self) -> None:
        self._typed = codecs.getincrementaldecoder("utf-8")("replace")
        self._malformed = 0

    def on_subprotocol(self, subprotocol: str | None) -> None:
        """It knows no subprotocols."""

    def encode_resize(self, columns: int, lines: int) -> str:
        """One frame."""
        return json.dumps(["set_size", clamp_size(lines), clamp_size(columns)])

    def encode_input(self, data: bytes) -> tuple[str, ...]:
        """Frames cut between characters; bytes that are no UTF-8 become U+FFFD."""
        pieces = split_utf8(self._typed.decode(data))
        return tuple(json.dumps(["stdin", piece], ensure_ascii=False) for piece in pieces)

    def decode(self, frame: str | bytes) -> tuple[FrameEvent, ...]:
        """What one frame says; the third malformed one in a row finishes the session."""
        event = _decode(frame)
        self._malformed = self._malformed + 1 if isinstance(event, Malformed) else 0
        if self._malformed >= MAX_MALFORMED_FRAMES:
            return (Finished(NOT_A_TERMINAL),)
        return () if event is None else (event,)


def _decode(frame: str | bytes) -> FrameEvent | None:
    """The event of one frame; None where it says nothing to us, as `setup` does."""
    try:
        message = parse_json(frame)
    except UnfitError:
        return Malformed("not JSON")
    if not isinstance(message, list) or not message or not isinstance(message[0], str):
        return Malformed("not an array that begins with a word")
    if message[0] == "disconnect":
        return Finished(SHELL_ENDED)
    if message[0] != "stdout":
        return None
    if len(message) < 2 or not isinstance(message[1], str):
        return Malformed("stdout without text")
    return Output(message[1].encode("utf-8", "replace")) if message[1] else None
