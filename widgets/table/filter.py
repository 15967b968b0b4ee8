"""The filter grammar: words that must all be there, `!word` for one that must not, `|` for or."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import compress, groupby, repeat
from operator import contains, not_
from typing import TypeVar

K = TypeVar("K", bound=Hashable)

_TERM = re.compile(r'(!?)(?:"([^"]*)"?|(\S+))')
_OR = "|"


def alternatives(text: str) -> tuple[tuple[tuple[str, bool], ...], ...]:
    """(lower-case needle, wanted) pairs for each part between `|`; a lone `!` says nothing.

    `"two words"` in quotes is one needle.
    """
    found: list[tuple[str, bool] | None] = []
    for match in _TERM.finditer(text.casefold()):
        sign, quoted, word = match.groups()
        if quoted is None and not sign and word == _OR:
            found.append(None)
            continue
        needle = word if quoted is None else quoted
        if needle and needle != "!":
            found.append((needle, not sign))
    parts = groupby(found, key=lambda one: one is None)
    return tuple(
        tuple(one for one in part if one is not None) for is_or, part in parts if not is_or
    )


def terms(text: str) -> tuple[tuple[str, bool], ...]:
    """The terms that hold whatever alternative is taken: all of a filter without a `|`."""
    parts = alternatives(text)
    return parts[0] if len(parts) == 1 else ()


def narrows(before: str, now: str) -> bool:
    """Whether `now`, typed on from `before`, surely lets nothing through that `before` held up."""
    return now.startswith(before) and not set('!"|') & set(now)


class Matcher:
    """Judges case-folded texts by a filter that says something."""

    def __init__(self, parts: tuple[tuple[tuple[str, bool], ...], ...]) -> None:
        self._parts = parts

    def __call__(self, hay: str) -> bool:
        return any(
            all((needle in hay) is wanted for needle, wanted in part) for part in self._parts
        )

    def among(self, keys: Sequence[K], text_of: Callable[[K], str]) -> list[K]:
        """The keys whose text matches, in their order; without a call in Python for each."""
        found: list[list[K]] = []
        for part in self._parts:
            left = list(keys)
            for needle, wanted in part:
                hits: Iterable[bool] = map(contains, map(text_of, left), repeat(needle))
                left = list(compress(left, hits if wanted else map(not_, hits)))
            found.append(left)
        if len(found) == 1:
            return found[0]
        every = set().union(*found)
        return [key for key in keys if key in every]


def matcher(text: str) -> Matcher | None:
    """Judge of a case-folded text; None where the filter lets everything through."""
    parts = alternatives(text)
    return Matcher(parts) if parts else None
