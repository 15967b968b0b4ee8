"""Counts of values by key, kept up to date as they change; reading a count is O(1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
F = TypeVar("F", bound=Hashable)


class KeyedCounter(Generic[K, F]):
    """A counter of values in which each key holds at most one value."""

    def __init__(self) -> None:
        self._values: dict[K, F] = {}
        self._same: dict[F, F] = {}
        """Each value that is counted, once: many keys hold the same."""
        self.counts: Counter[F] = Counter()
        """Only values that some key holds."""

    def put(self, key: K, value: F) -> None:
        """Set the value of a key and update both counts."""
        self.drop(key)
        self._values[key] = value = self._same.setdefault(value, value)
        self.counts[value] += 1

    def drop(self, key: K) -> None:
        """Remove a key; an unknown key changes nothing."""
        value = self._values.pop(key, None)
        if value is not None:
            self.counts[value] -= 1
            if not self.counts[value]:
                del self.counts[value], self._same[value]
