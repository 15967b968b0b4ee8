"""Frames of the source protocol: four bytes of length, big-endian, then one msgpack map."""

from __future__ import annotations

from collections.abc import Iterator

LARGEST_FRAME = 1 << 20
"""Bytes of one frame without its length."""
LONGEST_NOISE = 64 << 10
"""Bytes that may stand before the first frame, such as the greeting of a login shell."""
_LENGTH = 4


class WireError(Exception):
    """Bytes that are not of this protocol; the text says what was wrong, for the operator."""


def frame(payload: bytes) -> bytes:
    """A payload with its length.

    Raises:
        WireError: it is larger than a frame may be.
    """
    if len(payload) > LARGEST_FRAME:
        raise WireError(f"a message of {len(payload)} bytes is larger than a frame may be")
    return len(payload).to_bytes(_LENGTH, "big") + payload


class FrameReader:
    """Cuts a byte stream into payloads; what stands before the first one is kept as noise."""

    def __init__(self) -> None:
        self.noise = bytearray()
        """What came before the first frame, at most `LONGEST_NOISE` bytes."""
        self.started = False
        self._rest = bytearray()

    @property
    def unfinished(self) -> bool:
        """Whether a frame has begun and not ended."""
        return self.started and bool(self._rest)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The payloads that are whole now.

        Raises:
            WireError: a length beyond the limit, or too much before the first frame.
        """
        self._rest += data
        if not self.started and not self._skip_noise():
            return
        place = 0
        try:
            while len(self._rest) - place >= _LENGTH:
                size = int.from_bytes(self._rest[place : place + _LENGTH], "big")
                if not 0 < size <= LARGEST_FRAME:
                    raise WireError(f"a frame of {size} bytes was announced")
                end = place + _LENGTH + size
                if len(self._rest) < end:
                    break
                payload = bytes(self._rest[place + _LENGTH : end])
                place = end
                yield payload
        finally:
            del self._rest[:place]

    def _skip_noise(self) -> bool:
        """Drop what is before the first frame; whether that frame is whole."""
        place = self._rest.find(b"\0")
        while place >= 0:
            size = int.from_bytes(self._rest[place : place + _LENGTH], "big")
            end = place + _LENGTH + size
            if len(self._rest) < place + _LENGTH + 1:
                break
            if 0 < size <= LARGEST_FRAME and _begins_map(self._rest[place + _LENGTH]):
                if len(self._rest) >= end:
                    self._keep_noise(place)
                    self.started = True
                    return True
                break
            place = self._rest.find(b"\0", place + 1)
        self._keep_noise(len(self._rest) if place < 0 else place)
        return False

    def _keep_noise(self, size: int) -> None:
        if len(self.noise) + size > LONGEST_NOISE:
            self.noise += self._rest[: LONGEST_NOISE - len(self.noise)]
            raise WireError("it says a lot and no hello")
        self.noise += self._rest[:size]
        del self._rest[:size]


def _begins_map(byte: int) -> bool:
    """Whether a msgpack map can begin with this byte."""
    return 0x80 <= byte <= 0x8F or byte in (0xDE, 0xDF)
