"""Framing of the Kubernetes exec API: binary messages led by a channel (upstream/pods: Channels).

Pure functions of bytes, and the `Framing` of one connection made of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from enum import Enum, IntEnum

from services.errors import ShellError
from services.files.bounded import UnfitError, parse_json
from services.lazy_dataclass import dataclass
from services.models import Retry, ShellState
from services.terminal.transport.base import CloseReason, exited
from services.terminal.transport.framing import (
    MAX_MALFORMED_FRAMES,
    NOT_A_TERMINAL,
    Finished,
    FrameEvent,
    Malformed,
    Output,
)
from services.text.sanitize import sanitize

V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
SUBPROTOCOLS = (V5, V4)
"""What is offered, preferred first (upstream/pods: Subprotocols)."""
PIECE_BYTES = 16 * 1024
"""Most input in one message; a server drops the connection above 32 MiB.

See upstream/pods: Framing.
"""
_LARGEST_SIZE = 65535
_MOST_RAW_CHARS = 200
_CODE = re.compile(r"\d{1,9}", re.ASCII)
_NO_SUCH_FILE = ("executable file not found", "no such file or directory")
_NO_PERMISSION = ("permission denied", "exec format error")
_NO_CONTAINER = ("container not found", "is not running", "not running state")
_CONTAINER_TRIES = 3


class Channel(IntEnum):
    """The first byte of a message."""

    STDIN = 0
    STDOUT = 1
    STDERR = 2
    STATUS = 3
    RESIZE = 4
    CLOSE = 255


class ExecStatusKind(Enum):
    """What a status, or its absence, proves."""

    EXITED = "exited"
    NO_PROGRAM = "no program"
    """The program is not there or cannot be run: another one may be."""
    NO_CONTAINER = "no container"
    NOT_STARTED = "not started"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ExecStatus:
    """What the status on channel 3 says."""

    kind: ExecStatusKind
    code: int | None = None
    """The exit code; only for `EXITED`."""
    server_message: str = ""
    """The server's own words, harmless."""

    @property
    def ending(self) -> CloseReason:
        """The same as the end of a session."""
        if self.kind is ExecStatusKind.EXITED and self.code is not None:
            return exited(self.code)
        if self.kind is ExecStatusKind.UNKNOWN:
            return CloseReason(
                ShellState.ENDED, f"the shell ended; exit code unknown: {self.server_message}"
            )
        if self.kind is ExecStatusKind.NO_CONTAINER:
            return CloseReason(
                ShellState.FAILED,
                f"the container is not running: {self.server_message}",
                retry=Retry.AUTO,
                tries=_CONTAINER_TRIES,
            )
        return CloseReason(ShellState.FAILED, f"it was not started: {self.server_message}")


def encode_resize(columns: int, lines: int) -> bytes:
    """The message that tells the size, 2×1 at least: a bad one wedges the session.

    See upstream/pods: Resize.
    """
    width = min(max(columns, 2), _LARGEST_SIZE)
    height = min(max(lines, 1), _LARGEST_SIZE)
    size = json.dumps({"Width": width, "Height": height}, separators=(",", ":"))
    return bytes((Channel.RESIZE,)) + size.encode("ascii")


def encode_stdin(data: bytes) -> tuple[bytes, ...]:
    """The messages that carry input."""
    lead = bytes((Channel.STDIN,))
    return tuple(lead + data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES))


def encode_half_close(channel: Channel) -> bytes:
    """The v5 message that ends one direction; exactly two bytes (upstream/pods: Half-close)."""
    return bytes((Channel.CLOSE, channel))


def parse_status(payload: bytes) -> ExecStatus:
    """What the JSON `Status` of channel 3 proves; what cannot be read proves nothing.

    See upstream/pods: Exit status.
    """
    text = payload.decode("utf-8", "replace")
    try:
        status = parse_json(text)
    except UnfitError:
        return ExecStatus(ExecStatusKind.UNKNOWN, server_message=sanitize(text, _MOST_RAW_CHARS))
    if not isinstance(status, dict):
        return ExecStatus(ExecStatusKind.UNKNOWN, server_message=sanitize(text, _MOST_RAW_CHARS))
    if status.get("status") == "Success":
        return ExecStatus(ExecStatusKind.EXITED, 0)
    reason = status.get("reason")
    if status.get("status") != "Failure":
        return ExecStatus(ExecStatusKind.UNKNOWN, server_message=sanitize(text, _MOST_RAW_CHARS))
    if reason == "NonZeroExitCode":
        code = _exit_code(status)
        if code is None:
            return ExecStatus(
                ExecStatusKind.UNKNOWN, server_message=sanitize(text, _MOST_RAW_CHARS)
            )
        return ExecStatus(ExecStatusKind.EXITED, code)
    words = " ".join((_text(status.get("message")), *_messages(status)))
    server_message = sanitize(
        _text(status.get("message")) or words or _text(reason) or text, _MOST_RAW_CHARS
    )
    return ExecStatus(_not_started(words.lower()), server_message=server_message)


def _not_started(words: str) -> ExecStatusKind:
    if any(mark in words for mark in _NO_CONTAINER):
        return ExecStatusKind.NO_CONTAINER
    if any(mark in words for mark in (*_NO_SUCH_FILE, *_NO_PERMISSION)):
        return ExecStatusKind.NO_PROGRAM
    return ExecStatusKind.NOT_STARTED


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _causes(status: dict[str, object]) -> list[dict[str, object]]:
    details = status.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    return [one for one in causes if isinstance(one, dict)] if isinstance(causes, list) else []


def _messages(status: dict[str, object]) -> list[str]:
    return [_text(cause.get("message")) for cause in _causes(status)]


def _exit_code(status: dict[str, object]) -> int | None:
    """The code of the cause that is one, wherever it stands; a failure with 0 proves nothing."""
    for cause in _causes(status):
        message = _text(cause.get("message"))
        if cause.get("reason") == "ExitCode" and _CODE.fullmatch(message):
            return int(message) or None
    return None


class ChannelFraming:
    """One connection's side."""

    subprotocols: Sequence[str] = SUBPROTOCOLS
    repeats_size = True
    """A size told before the process has its terminal may be lost."""
    silent_end = False

    def __init__(self, *, terminal: bool = True) -> None:
        """Without a `terminal`, no size is told and the two outputs come apart."""
        self.outcome: ExecStatus | None = None
        """What the status proved, once it came."""
        self._terminal = terminal
        self._subprotocol: str | None = None
        self._malformed = 0

    def on_subprotocol(self, subprotocol: str | None) -> None:
        """Remember it: only v5 can end the input."""
        self._subprotocol = subprotocol

    def encode_resize(self, columns: int, lines: int) -> bytes:
        """One message, clamped; empty without a terminal, where nobody would read it."""
        return encode_resize(columns, lines) if self._terminal else b""

    def encode_input(self, data: bytes) -> tuple[bytes, ...]:
        """Messages of at most `PIECE_BYTES` of input."""
        return encode_stdin(data)

    def encode_end_of_input(self) -> bytes:
        """The message that says there is no more input.

        Raises:
            ShellError: the server speaks v4, which has no such message.
        """
        if self._terminal:
            return bytes((Channel.STDIN,)) + b"\x04"
        if self._subprotocol != V5:
            raise ShellError(
                "this server is too old to be told where input ends (it speaks v4)", retry=Retry.NO
            )
        return encode_half_close(Channel.STDIN)

    def decode(self, frame: str | bytes) -> tuple[FrameEvent, ...]:
        """Events in order; the third malformed message in a row finishes the session."""
        if isinstance(frame, str) or not frame:
            self._malformed += 1
            wrong = Malformed("not binary" if isinstance(frame, str) else "no channel")
            over = self._malformed >= MAX_MALFORMED_FRAMES
            return (wrong, Finished(NOT_A_TERMINAL)) if over else (wrong,)
        self._malformed = 0
        payload = frame[1:]
        if frame[0] == Channel.STATUS and self.outcome is None:
            self.outcome = parse_status(payload)
            return (Finished(self.outcome.ending),)
        if frame[0] in (Channel.STDOUT, Channel.STDERR) and payload:
            apart = not self._terminal and frame[0] == Channel.STDERR
            return (Output(payload, stderr=apart),)
        return ()
