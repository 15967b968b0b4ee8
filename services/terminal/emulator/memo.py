"""What was seen before, so that it need not be parsed again; every table is bounded."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

_PIECES_KEPT: Final = 4096
_PIECES_PASSED: Final = 65_536
_SEQUENCES_KEPT: Final = 8192
_TEXTS_KEPT: Final = 4096

Beginning: TypeAlias = tuple[int, Any, Any]
"""What a sequence is: its kind, and two values its kind needs."""
Meaning: TypeAlias = "tuple[int, Any, Any, str | tuple[str, ...], int]"
"""The same with the text after it, in pieces where common controls are in it, and its width; -1
where it takes a closer look."""


class Memo:
    """Sequences and texts seen before."""

    __slots__ = ("_passed", "beginnings", "meanings", "positions", "texts")

    def __init__(self) -> None:
        self.meanings: dict[str, Meaning] = {}
        """Short pieces, by what stands between two escapes; valid for this size, these handlers
        and without origin mode, as are the next two."""
        self.beginnings: dict[str, Beginning] = {}
        """Sequences without their escape."""
        self.positions: dict[str, tuple[int, int]] = {}
        """CUP without its escape and final, as (y, x)."""
        self.texts: dict[str, str] = {}
        """Short texts, normalised."""
        self._passed = 0

    def clear(self) -> None:
        """Forget what depends on the size or on origin mode."""
        self.meanings.clear()
        self.beginnings.clear()
        self.positions.clear()

    def learns(self, count: int) -> bool:
        """Whether to keep the meaning of pieces, of which so many came.

        Where nothing comes twice that would cost most of the time: once there is no room, some
        pass before it begins anew.
        """
        if len(self.meanings) < _PIECES_KEPT:
            return True
        self._passed += count
        if self._passed < _PIECES_PASSED:
            return False
        self._passed = 0
        self.meanings.clear()
        return True

    def learn(self, piece: str, meaning: Meaning) -> bool:
        """Keep the meaning of a piece; whether there is room for more."""
        self.meanings[piece] = meaning
        return len(self.meanings) < _PIECES_KEPT

    def keep_sequence(self, sequence: str, beginning: Beginning) -> None:
        """Keep what a sequence is."""
        if len(self.beginnings) >= _SEQUENCES_KEPT:
            self.beginnings.clear()
        self.beginnings[sequence] = beginning

    def keep_position(self, body: str, place: tuple[int, int]) -> None:
        """Keep where a CUP leads."""
        if len(self.positions) >= _SEQUENCES_KEPT:
            self.clear()
        self.positions[body] = place

    def keep_text(self, text: str, normalised: str) -> None:
        """Keep a text."""
        if len(self.texts) >= _TEXTS_KEPT:
            self.texts.clear()
        self.texts[text] = normalised
