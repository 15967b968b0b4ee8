"""Output that was read and not yet parsed: bounded, so that reading never waits for parsing."""

from __future__ import annotations

from services.terminal.sequences import kept_from, net_effect, unfinished

LIMIT_BYTES = 1 << 20
"""More than this and the middle is skipped (pod-terminal contract §5.4 rule 3)."""
KEPT_BYTES = 64 * 1024
_AGAIN_BYTES = 4 * KEPT_BYTES
"""While skipping, the next skip comes sooner: short scans keep the loop quick."""


class Backlog:
    """A queue of bytes that drops its oldest when it grows too long."""

    def __init__(self) -> None:
        self.skipping = False
        """From the first skip until less than `KEPT_BYTES` are left."""
        self.skipped = 0
        """Bytes dropped since the start."""
        self._waiting = bytearray()
        self._fed_tail = b""
        self._prologue = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def append(self, data: bytes) -> None:
        """Add output; skips if there is too much."""
        self._waiting += data
        if len(self._waiting) > (_AGAIN_BYTES if self.skipping else LIMIT_BYTES):
            self.skip()

    def take(self, limit: int) -> bytes:
        """The oldest `limit` bytes at most; empty if there are none."""
        data = bytes(self._waiting[:limit])
        del self._waiting[:limit]
        self._prologue = max(self._prologue - len(data), 0)
        self._fed_tail = unfinished(self._fed_tail + data)
        if len(self._waiting) < KEPT_BYTES:
            self.skipping = False
        return data

    def skip(self) -> None:
        """Drop all but the last `KEPT_BYTES` or so; nothing if there are not more.

        What comes next starts on a line of its own, in the modes the dropped part set, and never
        inside a sequence or a character.
        """
        if len(self._waiting) <= KEPT_BYTES:
            return
        data = self._fed_tail + bytes(self._waiting)
        start, introducer = kept_from(data, len(data) - KEPT_BYTES)
        self.skipped += start - len(self._fed_tail) - self._prologue
        prologue = net_effect(data[:start]) + introducer
        self._prologue = len(prologue)
        self._waiting = bytearray(prologue + data[start:])
        self._fed_tail = b""
        self.skipping = True
