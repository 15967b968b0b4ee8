"""Buffer between reading a shell's output and parsing it; bounded, skips the middle of a flood."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic

from services.terminal.session.cut_points import (
    complete_length,
    find_cut_point,
    mode_changes,
    net_effect,
    unfinished_sequence,
)

LIMIT_BYTES = 1 << 20
"""More than this and the middle is skipped (upstream/terminal: Backlog and skipping)."""
KEPT_BYTES = 64 * 1024
_SKIP_AGAIN_BYTES = 4 * KEPT_BYTES
"""While skipping, the next skip comes sooner: short scans keep the loop quick."""
_AFTERMATH_S = 1.0
"""As soon again for so long after it: a flood that only faltered keeps no key waiting for a MiB."""
_STOP_SKIPPING_BYTES = KEPT_BYTES // 2
"""With less than this waiting once a frame is drawn, the flood is one that can be kept up with."""
_SCAN_AHEAD_BYTES = 2 * KEPT_BYTES
"""With more than this waiting, a skip is near enough to scan for it little by little."""
_SCAN_BYTES = 32 * 1024


class OutputBuffer:
    """Bytes read and not yet parsed; drops the oldest above `LIMIT_BYTES`."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._skipped_at = -_AFTERMATH_S
        self.skipping = False
        """From the first skip until little is left once a frame is drawn, or nothing at all."""
        self.skipped = 0
        """Bytes dropped since the start."""
        self._waiting = bytearray()
        self._fed_tail = b""
        self._prologue = 0
        self._scanned: deque[tuple[int, bytes]] = deque()
        """Stretches of what waits, from `_scanned_from` on: their lengths and what they change."""
        self._scanned_from = 0
        self._scanned_bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def append(self, data: bytes) -> None:
        """Add output; skips if there is too much."""
        self._waiting += data
        if len(self._waiting) > _SKIP_AGAIN_BYTES and (
            self.skipping
            or len(self._waiting) > LIMIT_BYTES
            or self._now() - self._skipped_at < _AFTERMATH_S
        ):
            self.skip()
        elif len(self._waiting) > _SCAN_AHEAD_BYTES:
            self._scan_ahead(max(2 * len(data), _SCAN_BYTES))

    def _scan_ahead(self, size: int) -> None:
        """Look through a stretch that a skip would drop, so that the skip itself is quick."""
        begin = self._scanned_from + self._scanned_bytes
        end = min(begin + size, len(self._waiting) - KEPT_BYTES)
        if end - begin < _SCAN_BYTES // 4:
            return
        fed = self._fed_tail if begin == 0 else b""
        stretch = fed + bytes(self._waiting[begin:end])
        stretch = stretch[: complete_length(stretch)]
        length = len(stretch) - len(fed)
        if length > 0:
            self._scanned.append((length, mode_changes(stretch)))
            self._scanned_bytes += length

    def take(self, limit: int) -> bytes:
        """The oldest `limit` bytes at most; empty if there are none."""
        data = bytes(self._waiting[:limit])
        del self._waiting[:limit]
        self._prologue = max(self._prologue - len(data), 0)
        self._fed_tail = unfinished_sequence(self._fed_tail + data)
        self._scanned_from -= len(data)
        while self._scanned and self._scanned_from < 0:
            length, _ = self._scanned.popleft()
            self._scanned_from += length
            self._scanned_bytes -= length
        self._scanned_from = max(self._scanned_from, 0)
        if not self._waiting:
            self.skipping = False
        return data

    def catch_up(self) -> None:
        """While skipping, before a frame: only the newest output is worth drawing."""
        if self.skipping:
            self.skip()

    def after_frame(self) -> None:
        """End skipping after a frame was drawn if little output waits."""
        if len(self._waiting) < _STOP_SKIPPING_BYTES:
            self.skipping = False

    def skip(self) -> None:
        """Drop all but the last `KEPT_BYTES` or so; nothing if there are not more.

        What comes next starts on a line of its own, in the modes the dropped part set, and never
        inside a sequence or a character.
        """
        if len(self._waiting) <= KEPT_BYTES:
            return
        data = self._fed_tail + bytes(self._waiting)
        start, introducer = find_cut_point(data, len(data) - KEPT_BYTES)
        self.skipped += start - len(self._fed_tail) - self._prologue
        prologue = net_effect(self._changes(data, start)) + introducer
        self._prologue = len(prologue)
        self._waiting = bytearray(prologue + data[start:])
        self._fed_tail = b""
        self._scanned.clear()
        self._scanned_from = self._scanned_bytes = 0
        self.skipping = True
        self._skipped_at = self._now()

    def _changes(self, data: bytes, end: int) -> bytes:
        """What of `data` before `end` counts: as scanned before, and the rest of it."""
        if not self._scanned:
            return mode_changes(data[:end])
        begin = len(self._fed_tail) + self._scanned_from
        found = b"".join(changes for _, changes in self._scanned)
        rest = data[begin + self._scanned_bytes : end]
        return mode_changes(data[:begin]) + found + mode_changes(rest)
