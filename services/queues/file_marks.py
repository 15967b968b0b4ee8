"""How a file looks from outside, as one number: very many are kept, several for each session."""

from __future__ import annotations

import os

_BITS = 64
_MASK = (1 << _BITS) - 1
SETTLED_S = 0.05
"""A file that changed longer ago shows a later change in its modification time."""


def file_mark(path: str) -> int:
    """Modification time, size and inode.

    Raises:
        OSError: it cannot be looked at.
    """
    seen = os.stat(path)  # noqa: PTH116  ten thousand of them a round
    return (seen.st_mtime_ns << _BITS | seen.st_size) << _BITS | seen.st_ino


def changed_at(mark: int) -> float:
    """When it last changed, seconds since the epoch."""
    return (mark >> 2 * _BITS) / 1e9


def size_of(mark: int) -> int:
    """How many bytes it has."""
    return mark >> _BITS & _MASK


def inode_of(mark: int) -> int:
    """Which file it is."""
    return mark & _MASK
