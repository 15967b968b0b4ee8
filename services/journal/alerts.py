"""Collects worsening events into alerts, at most one in `every_s` seconds."""

from __future__ import annotations

from collections.abc import Iterable

from services.models import Event, GatewayState, Severity
from services.text.sanitize import sanitize

MAX_NAMED = 3
"""How many of what turned worse are named."""
_UNREQUESTED_KINDS = ("sandbox", "gateway", "source")
"""Kinds of event nobody asked for; the end of an operator's own action is told in the panel."""


class Alerts:
    """Alerts not yet given. Instants are seconds on any clock that only goes on."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._alerted_at: float | None = None
        self._waiting: dict[tuple[str, str], str] = {}
        self._unseen: set[tuple[str, str]] = set()

    @property
    def unseen(self) -> int:
        """How many things turned worse since the operator was last seen at the keys."""
        return len(self._unseen)

    def on_events(self, events: Iterable[Event]) -> None:
        """Add events, oldest first; a recovery removes the pending alert of its subject.

        That a trouble is not known any more is no recovery.
        """
        for event in events:
            if event.kind not in _UNREQUESTED_KINDS:
                continue
            about = (event.source, event.subject)
            if event.severity is Severity.WORSE:
                self._waiting[about] = sanitize(event.text, 120)
                self._unseen.add(about)
            elif event.severity is Severity.BETTER and event.after != GatewayState.UNKNOWN.value:
                self._waiting.pop(about, None)
                self._unseen.discard(about)

    def next_alert(self, now: float) -> str:
        """The next alert in one line; empty while none is pending or it is too soon."""
        if not self._waiting:
            return ""
        if self._alerted_at is not None and now - self._alerted_at < self._every_s:
            return ""
        texts = list(self._waiting.values())
        self._waiting.clear()
        self._alerted_at = now
        more = f"; {len(texts) - MAX_NAMED} more" if len(texts) > MAX_NAMED else ""
        return sanitize("; ".join(texts[:MAX_NAMED]) + more, 400)

    def acknowledge(self) -> None:
        """Clear all alerts: the operator has used the panel."""
        self._waiting.clear()
        self._unseen.clear()
