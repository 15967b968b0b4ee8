"""What an operator types to mean a sandbox: its name, or `source/name` where two share it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from services.errors import AmbiguousError, NotFoundError
from services.models import Sandbox


def find(sandboxes: Iterable[Sandbox], typed: str) -> Sandbox:
    """The one sandbox meant.

    Raises:
        NotFoundError: none; names the nearest.
        AmbiguousError: several; lists them.
    """
    every = list(sandboxes)
    exact = [one for one in every if typed in (str(one.id), f"{one.id.source}/{one.name}")]
    found = exact or [one for one in every if typed in (one.name, one.id.native_id)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(sorted(str(one.id) for one in found))
        raise AmbiguousError(f"{typed!r} names several sandboxes: {names}.")
    known = sorted({one.name for one in every})
    near = difflib.get_close_matches(typed, known, n=1)
    if near:
        raise NotFoundError(f"No sandbox {typed!r}; did you mean {near[0]!r}?")
    raise NotFoundError(f"No sandbox {typed!r}. There are: {', '.join(known[:20]) or 'none'}.")
