"""How many of what, kept as things change: asking costs the same however many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
F = TypeVar("F", bound=Hashable)


class Census(Generic[K, F]):
    """The face of everybody by key; nobody wears two."""

    def __init__(self) -> None:
        self._face: dict[K, F] = {}
        self.counts: Counter[F] = Counter()
        """Only faces that somebody wears."""

    def put(self, key: K, face: F) -> None:
        """Somebody is new or looks different now."""
        self.drop(key)
        self._face[key] = face
        self.counts[face] += 1

    def drop(self, key: K) -> None:
        """Somebody is gone; unknown ones are none."""
        face = self._face.pop(key, None)
        if face is not None:
            self.counts[face] -= 1
            if not self.counts[face]:
                del self.counts[face]
