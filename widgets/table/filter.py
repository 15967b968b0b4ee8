"""The filter grammar: words that must all be there, `!word` for one that must not, `|` for or."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import groupby

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


def matcher(text: str) -> Callable[[str], bool] | None:
    """Judge of a case-folded text; None where the filter lets everything through."""
    parts = alternatives(text)
    if not parts:
        return None
    if len(parts) == 1 and len(parts[0]) == 1 and parts[0][0][1]:
        only = parts[0][0][0]
        return lambda hay: only in hay
    return lambda hay: any(
        all((needle in hay) is wanted for needle, wanted in part) for part in parts
    )
