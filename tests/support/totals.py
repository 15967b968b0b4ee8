"""The totals of the header, counted anew from the rows themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from services.models import Sandbox, SandboxState
from services.text.signs import WORKING, sandbox_sign
from widgets.panes.header import Totals, totals_from


def totals_of(sandboxes: Iterable[Sandbox]) -> Totals:
    """Counts by state, a working sandbox apart from a ready one; states nobody is in are left out.

    A ready sandbox that is idle counts as ready, a stale one as stale alone.
    """
    states: Counter[SandboxState] = Counter()
    working = stale = 0
    for sandbox in sandboxes:
        if sandbox.stale:
            stale += 1
            continue
        states[sandbox.state] += 1
        working += sandbox_sign(sandbox) == WORKING
    return totals_from(states.items(), working, stale)
