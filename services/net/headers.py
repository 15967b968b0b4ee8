"""Headers of a request, as pairs: a name may stand there more than once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Pairs = tuple[tuple[str, str], ...]


def pairs(headers: Mapping[str, str] | Sequence[tuple[str, str]]) -> Pairs:
    """The same, whatever they were given as."""
    return tuple(headers.items() if isinstance(headers, Mapping) else headers)
