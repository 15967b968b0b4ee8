"""Recording of a shell's output and sizes: a file of timed frames, bounded, mode 0600.

The file is `MAGIC`, then frames: seconds since the start as a big-endian double, one byte of kind,
the payload's length as four bytes, the payload. Output is kept as received, before any skipping.
"""

from __future__ import annotations

import logging
import os
import re
import struct
from collections.abc import Iterator
from enum import IntEnum
from io import BufferedReader, BufferedWriter
from pathlib import Path
from typing import Final

from services.clock import Clock
from services.config.paths import private_dir
from services.errors import RefusedError
from services.files.private import open_private
from services.lazy_dataclass import dataclass
from services.text.sanitize import sanitize

MAGIC: Final = b"wakedeck transcript 1\n"
LIMIT_BYTES: Final = 16 << 20
"""What one file may hold; recording stops there."""
FOLDER_BYTES: Final = 512 << 20
"""What all of them may hold together; nothing is deleted, recording is not begun."""
SUFFIX: Final = ".transcript"
_HEADER: Final = struct.Struct(">dBI")
_SIZE: Final = struct.Struct(">HH")
_LARGEST_FRAME: Final = 16 << 20
_LARGEST_SIDE: Final = 1000

log = logging.getLogger("wakedeck.terminal")


class FrameKind(IntEnum):
    """What a frame holds."""

    OUTPUT = 1
    SIZE = 2
    FULL = 3


@dataclass(frozen=True, slots=True)
class RecordedOutput:
    """Bytes as received."""

    at: float
    data: bytes


@dataclass(frozen=True, slots=True)
class RecordedSize:
    """The terminal's size from here on, in cells."""

    at: float
    columns: int
    lines: int


@dataclass(frozen=True, slots=True)
class RecordingFull:
    """The bound was reached: what followed was not kept."""

    at: float


RecordedFrame = RecordedOutput | RecordedSize | RecordingFull


class SessionRecorder:
    """Records one shell; an I/O error ends the recording and not the shell."""

    def __init__(self, folder: Path, name: str, clock: Clock, limit: int = LIMIT_BYTES) -> None:
        """Begin a new file in `folder`; `name` may be any text."""
        self.path = folder / (re.sub(r"[^A-Za-z0-9._-]", "_", name)[:80] + SUFFIX)
        self._clock = clock
        self._started_at = clock.monotonic()
        self._bytes_left = limit
        self._file: BufferedWriter | None = None
        self.notice = f"recorded in {sanitize(str(self.path), 200)}"
        """One line for the operator: where it goes, or why it does not."""
        try:
            private_dir(folder)
            kept = sum(one.stat().st_size for one in folder.glob(f"*{SUFFIX}"))
            if kept + limit > FOLDER_BYTES:
                self._stop(f"not recorded: {sanitize(str(folder), 200)} is full; delete old ones")
                return
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            self._file = os.fdopen(open_private(self.path, flags), "wb")
            self._file.write(MAGIC)
        except OSError as error:
            self._failed(error)

    def output(self, data: bytes) -> None:
        """Keep what came."""
        self._frame(FrameKind.OUTPUT, data)

    def resized(self, columns: int, lines: int) -> None:
        """Keep the size."""
        self._frame(FrameKind.SIZE, _SIZE.pack(min(columns, 0xFFFF), min(lines, 0xFFFF)))

    def close(self) -> None:
        """Write what is buffered; idempotent."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as error:
                self._failed(error)

    def _frame(self, kind: FrameKind, payload: bytes) -> None:
        if self._file is None:
            return
        at = self._clock.monotonic() - self._started_at
        self._bytes_left -= _HEADER.size + len(payload)
        try:
            if self._bytes_left < 0:
                self._file.write(_HEADER.pack(at, FrameKind.FULL, 0))
                self._stop("no longer recorded: the transcript is full")
            else:
                self._file.write(_HEADER.pack(at, kind, len(payload)))
                self._file.write(payload)
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> None:
        log.warning("a transcript ended: %s", error)
        self._stop(f"not recorded: {sanitize(error.strerror or 'it cannot be written', 200)}")

    def _stop(self, notice: str) -> None:
        self.notice = notice
        self.close()


def read_recording(path: Path) -> Iterator[RecordedFrame]:
    """The frames of a file; one that was cut off ends early.

    Raises:
        RefusedError: it cannot be read, or is no transcript of ours; said before the first frame.
    """
    shown = sanitize(str(path), 200)
    try:
        stream = path.open("rb")
    except OSError as error:
        raise RefusedError(f"{shown} cannot be read: {sanitize(error.strerror or '')}.") from error
    try:
        known = stream.read(len(MAGIC)) == MAGIC
    except OSError as error:
        stream.close()
        raise RefusedError(f"{shown} cannot be read: {sanitize(error.strerror or '')}.") from error
    if not known:
        stream.close()
        raise RefusedError(
            f"{shown} is not a transcript.", advice="They are made where `transcripts = true`."
        )
    return _frames(stream)


def _frames(stream: BufferedReader) -> Iterator[RecordedFrame]:
    with stream:
        before = 0.0
        while len(head := stream.read(_HEADER.size)) == _HEADER.size:
            at, kind, length = _HEADER.unpack(head)
            if not before <= at < 1e9 or length > _LARGEST_FRAME:
                return
            before = at
            payload = stream.read(length)
            if len(payload) < length:
                return
            if kind == FrameKind.OUTPUT:
                yield RecordedOutput(at, payload)
            elif kind == FrameKind.SIZE and length == _SIZE.size:
                columns, lines = _SIZE.unpack(payload)
                yield RecordedSize(at, min(columns, _LARGEST_SIDE), min(lines, _LARGEST_SIDE))
            elif kind == FrameKind.FULL:
                yield RecordingFull(at)
