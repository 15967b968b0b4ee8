"""What a panel process and its server say to each other: a line, then packets with their length."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from services.errors import ProcessError

PRELUDE = b"__GANGLION__\n"
LARGEST = 8 << 20
"""Bytes of one packet; a whole screen is a hundredth of it."""
_MOST_BEFORE = 4096
"""Bytes that may stand before the prelude."""
DATA, META = b"D", b"M"


def packet(kind: bytes, payload: bytes) -> bytes:
    """One packet as it travels."""
    return b"%s%s%s" % (kind, len(payload).to_bytes(4, "big"), payload)


def meta(kind: str, **more: int) -> bytes:
    """A packet that is not input, such as another size."""
    return packet(META, msgspec.json.encode({"type": kind, **more}))


class Unpacker:
    """Takes bytes as they come and gives whole packets."""

    def __init__(self) -> None:
        self._held = bytearray()
        self.begun = False
        """Whether what speaks is a panel: its first line said so."""

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """(kind, payload) of each packet that is whole now.

        Raises:
            ProcessError: this is no panel.
        """
        held = self._held
        held += data
        if not self.begun:
            at = held.find(PRELUDE)
            if at < 0:
                if len(held) > _MOST_BEFORE:
                    raise ProcessError("What was started does not speak as a panel does.")
                return
            del held[: at + len(PRELUDE)]
            self.begun = True
        while len(held) >= 5:
            size = int.from_bytes(held[1:5], "big")
            if size > LARGEST:
                raise ProcessError("The panel sent more at once than is taken.")
            if len(held) < 5 + size:
                return
            found = bytes(held[:1]), bytes(held[5 : 5 + size])
            del held[: 5 + size]
            yield found
