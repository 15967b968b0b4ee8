"""Marked records of a table, by key."""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Marks(Generic[K]):
    """A set of keys with the one a range starts from. Each change says whether it was one."""

    def __init__(self) -> None:
        self._keys: set[K] = set()
        self._anchor: K | None = None

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: K) -> bool:
        return key in self._keys

    def toggle(self, key: K) -> None:
        """Mark or unmark one; a range starts here."""
        self._keys ^= {key}
        self._anchor = key

    def __iter__(self) -> Iterator[K]:
        return iter(self._keys)

    def extend(self, visible: Sequence[K], key: K, gone: Container[K] = ()) -> bool:
        """Mark everything shown between the last toggled record and `key`, both included.

        What is `gone` is left out.
        """
        end = visible.index(key)
        start = visible.index(self._anchor) if self._anchor in visible else end
        between = visible[min(start, end) : max(start, end) + 1]
        before = len(self._keys)
        self._keys.update(one for one in between if one not in gone)
        self._anchor = key
        return len(self._keys) != before

    def discard(self, gone: Iterable[K]) -> bool:
        """Forget records that are no more."""
        before = len(self._keys)
        self._keys.difference_update(gone)
        return len(self._keys) != before

    def clear(self) -> bool:
        """Unmark everything."""
        had = bool(self._keys)
        self._keys.clear()
        self._anchor = None
        return had

    def among(self, visible: Sequence[K]) -> tuple[K, ...]:
        """The marked ones that are shown, in their order."""
        return tuple(key for key in visible if key in self._keys) if self._keys else ()
