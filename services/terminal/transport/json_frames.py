"""Framing of the CentML proxy and Argo CD: a JSON object a frame (upstream/pods: JSON frames)."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Sequence
from enum import Enum

from services.files.bounded import UnfitError, parse_json
from services.models import Retry, ShellState
from services.terminal.transport.base import CloseReason
from services.terminal.transport.framing import (
    MAX_MALFORMED_FRAMES,
    NOT_A_TERMINAL,
    Finished,
    FrameEvent,
    Malformed,
    Output,
    RemoteError,
)
from services.text.sanitize import sanitize

PIECE_BYTES = 8 * 1024
"""Most UTF-8 bytes of input in one frame; servers cut above 32 KiB in silence.

See upstream/pods: JSON input limit.
"""
_SIZES = range(1, 65536)
TOKEN_RENEWED = CloseReason(
    ShellState.LOST,
    "the session token was renewed: a new shell is needed, the state of this one is gone",
    retry=Retry.AUTO,
    tries=1,
)
"""What Argo CD's `Code` 1 means: repeated for as long as we listen, so the first one ends it."""


class Dialect(Enum):
    """Who speaks it."""

    CENTML = "centml"
    ARGO = "argo"


def clamp_size(size: int) -> int:
    """A size every server takes: 1-65535 (upstream/pods: Resize)."""
    return min(max(size, _SIZES.start), _SIZES.stop - 1)


def encode_resize(columns: int, lines: int) -> str:
    """The frame that tells the size."""
    return _to_json({"operation": "resize", "rows": clamp_size(lines), "cols": clamp_size(columns)})


def split_utf8(text: str, limit: int = PIECE_BYTES) -> Iterator[str]:
    """Cut text into parts of at most `limit` UTF-8 bytes (at least 4), between code points."""
    data = text.encode("utf-8", "replace")
    start = 0
    while start < len(data):
        end = min(start + limit, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        yield data[start:end].decode("utf-8")
        start = end


def encode_stdin(text: str, columns: int, lines: int) -> tuple[str, ...]:
    """The frames that carry typed or pasted text."""
    size = {"rows": clamp_size(lines), "cols": clamp_size(columns)}
    return tuple(
        _to_json({"operation": "stdin", "data": piece, **size}) for piece in split_utf8(text)
    )


def decode(frame: str | bytes) -> tuple[FrameEvent | int, ...]:
    """What one frame says, an Argo `Code` as a bare number; unknown keys say nothing."""
    try:
        message = parse_json(frame)
    except UnfitError:
        return (Malformed("not JSON"),)
    if not isinstance(message, dict):
        return (Malformed("not a JSON object"),)
    events: list[FrameEvent | int] = []
    data = message.get("data")
    if isinstance(data, str):
        if data:
            events.append(Output(data.encode("utf-8", "replace")))
    elif data is not None:
        events.append(Malformed("data is not text"))
    error = message.get("error")
    if isinstance(error, str) and error:
        events.append(RemoteError(sanitize(error)))
    code = message.get("Code")
    if isinstance(code, int) and not isinstance(code, bool):
        events.append(code)
    return tuple(events)


class JsonFraming:
    """One connection's side of the family."""

    subprotocols: Sequence[str] = ()
    repeats_size = True

    def __init__(self, dialect: Dialect = Dialect.CENTML) -> None:
        self.silent_end = dialect is Dialect.ARGO
        self._codes_end = dialect is Dialect.ARGO
        self._size = (80, 24)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._malformed = 0

    def on_subprotocol(self, subprotocol: str | None) -> None:
        """The family knows no subprotocols."""

    def encode_resize(self, columns: int, lines: int) -> str:
        """One frame; input frames carry the same size from now on."""
        self._size = (columns, lines)
        return encode_resize(columns, lines)

    def encode_input(self, data: bytes) -> tuple[str, ...]:
        """Frames of at most `PIECE_BYTES`; bytes that are no UTF-8 become U+FFFD."""
        return encode_stdin(self._decoder.decode(data), *self._size)

    def decode(self, frame: str | bytes) -> tuple[FrameEvent, ...]:
        """Events in order; the third malformed frame in a row finishes the session."""
        events: list[FrameEvent] = []
        malformed = False
        for event in decode(frame):
            if isinstance(event, int):
                if self._codes_end and event == 1:
                    events.append(Finished(TOKEN_RENEWED))
                continue
            malformed |= isinstance(event, Malformed)
            events.append(event)
        self._malformed = self._malformed + 1 if malformed else 0
        if self._malformed >= MAX_MALFORMED_FRAMES:
            events.append(Finished(NOT_A_TERMINAL))
        return tuple(events)


def _to_json(message: dict[str, object]) -> str:
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False)
