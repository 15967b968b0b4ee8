"""What the conditions of sandboxes tell of the time before the first look.

See upstream/agent-sandbox: Rows.
"""

from __future__ import annotations

from collections.abc import Iterable

from services.models import Event, Sandbox, SandboxState, Severity

_TOLD_S = 86_400.0
_MOST = 50
_SEVERITY = {
    SandboxState.READY: Severity.BETTER,
    SandboxState.ASLEEP: Severity.INFO,
    SandboxState.DOWN: Severity.WORSE,
    SandboxState.STUCK: Severity.WORSE,
    SandboxState.BROKEN: Severity.WORSE,
}
"""States that are told; what is on its way is not worth a line of history."""


def past_events(rows: Iterable[Sandbox], now: float) -> tuple[Event, ...]:
    """The last change of each, at the cluster's own time; the newest of a day, oldest first.

    The journal leaves out what it has already.
    """
    told = [
        (row.told_at, row)
        for row in rows
        if row.told_at is not None
        and now - _TOLD_S < row.told_at <= now
        and row.state in _SEVERITY
        and not row.stock
    ]
    told.sort(key=lambda one: (one[0], one[1].id.native_id))
    return tuple(
        Event(
            at,
            _SEVERITY[row.state],
            row.id.source,
            row.id.native_id,
            "sandbox",
            f"{row.name} is {row.state.value}{f': {row.reason}' if row.reason else ''}",
            after=row.state.value,
            told_at=at,
        )
        for at, row in told[-_MOST:]
    )
