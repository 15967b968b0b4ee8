"""The filter grammar: words that must all be there, `!word` for one that must not."""

from __future__ import annotations

import re
from collections.abc import Callable

_TERM = re.compile(r'(!?)(?:"([^"]*)"?|(\S+))')


def terms(text: str) -> tuple[tuple[str, bool], ...]:
    """(lower-case needle, wanted) pairs of a filter; a lone `!` still being typed says nothing.

    `"two words"` in quotes is one needle.
    """
    found: list[tuple[str, bool]] = []
    for match in _TERM.finditer(text.casefold()):
        sign, quoted, word = match.groups()
        needle = word if quoted is None else quoted
        if needle and needle != "!":
            found.append((needle, not sign))
    return tuple(found)


def narrows(before: str, now: str) -> bool:
    """Whether `now`, typed on from `before`, surely lets nothing through that `before` held up."""
    return now.startswith(before) and not set('!"') & set(now)


def matcher(text: str) -> Callable[[str], bool] | None:
    """Judge of a case-folded text; None where the filter lets everything through."""
    wanted = tuple(needle for needle, keep in terms(text) if keep)
    unwanted = tuple(needle for needle, keep in terms(text) if not keep)
    if not wanted and not unwanted:
        return None
    if len(wanted) == 1 and not unwanted:
        only = wanted[0]
        return lambda hay: only in hay

    def judge(hay: str) -> bool:
        return all(needle in hay for needle in wanted) and not any(
            needle in hay for needle in unwanted
        )

    return judge
