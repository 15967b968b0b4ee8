"""The facts of an inbound row as one number, so that SQLite can count rows by them."""

from __future__ import annotations

from services.queues.labels import UNKNOWN_STATUS, DueState, InboundFacts
from services.queues.schema import FileSchema

_STATUSES = ("", "failed", "paused", "completed", "cancelled", UNKNOWN_STATUS)
_OPEN, _SYSTEM, _ON_WAKE, _WAKES, _RETRIED = 64, 1, 2, 4, 8
_DUE_SHIFT = 4


def code_sql(shape: FileSchema) -> str:
    """SQL for one whole number: every fact of a row but its acknowledgement; binds `:now`."""
    trigger = shape.column("messages_in", "trigger", "1")
    on_wake = shape.column("messages_in", "on_wake", "0")
    return f"""(CASE status WHEN 'failed' THEN 1 WHEN 'paused' THEN 2 WHEN 'completed' THEN 3
      WHEN 'cancelled' THEN 4
      ELSE CASE WHEN coalesce(status, 'pending') NOT IN ('pending', 'processing', '') THEN 5
      ELSE {_OPEN} + (kind = 'system') * {_SYSTEM} + ({on_wake} = 1) * {_ON_WAKE}
        + ({trigger} <> 0) * {_WAKES} + (coalesce(tries, 0) > 0) * {_RETRIED}
        + (CASE WHEN process_after IS NULL THEN 0
                WHEN datetime(process_after) IS NULL THEN 1
                WHEN lower(process_after) = 'now' THEN 0
                WHEN datetime(process_after) > :now THEN 2 ELSE 0 END << {_DUE_SHIFT})
      END END)"""


def facts_of(code: int) -> InboundFacts:
    """The facts behind a number of `code_sql`."""
    if code < _OPEN:
        return InboundFacts(status=_STATUSES[code])
    bits = code - _OPEN
    return InboundFacts(
        due_state=DueState(bits >> _DUE_SHIFT),
        retried=bool(bits & _RETRIED),
        system=bool(bits & _SYSTEM),
        on_wake=bool(bits & _ON_WAKE),
        wakes=bool(bits & _WAKES),
    )
