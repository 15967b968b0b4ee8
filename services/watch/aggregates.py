"""Counts for metrics, kept up with what changes: asking costs the same however many rows there are.

Keys are plain texts, so that another thread can copy these tables at any moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from services.board.deltas import BoardDelta
from services.clock import Clock
from services.models import Event, Gateway, Sandbox

FALSE_START_S = 60.0
"""What was ready for less than this had a false start."""
MOST_LABELS = 64
"""Queue labels told apart of one source and direction; further ones count as `other`."""
_Row = Gateway | Sandbox


class Aggregates:
    """Of all rows of a board by source and state, and of what the history recorded."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rows: dict[object, _Row] = {}
        self._ready_at: dict[tuple[str, str], float] = {}
        self._since = clock.monotonic()
        self.sandboxes: Counter[tuple[str, str]] = Counter()
        """(source, state) of fresh rows."""
        self.gateways: Counter[tuple[str, str]] = Counter()
        self.stale: Counter[tuple[str]] = Counter()
        self.needs_me: Counter[tuple[str]] = Counter()
        self.queued: Counter[tuple[str, str, str]] = Counter()
        """(source, direction, label) of messages."""
        self.reporting_costs: Counter[tuple[str]] = Counter()
        """Sandboxes by source whose cost is reported."""
        self._microdollars: Counter[tuple[str]] = Counter()
        self.state_seconds: dict[tuple[str, str], float] = {}
        """(source, state): seconds that sandboxes spent in it, all together, while this looked."""
        self.transitions: Counter[tuple[str, str, str]] = Counter()
        """(source, kind, severity)."""
        self.attempts: Counter[tuple[str, str]] = Counter()
        """(source, end)."""
        self.false_starts: Counter[tuple[str]] = Counter()

    def on_delta(self, delta: BoardDelta) -> None:
        """Take in what changed on the board."""
        self.pass_time()
        rows: tuple[_Row, ...] = (*delta.gateways, *delta.sandboxes)
        for row in rows:
            old = self._rows.get(row.id)
            if old is not None:
                self._count(old, -1)
            self._rows[row.id] = row
            self._count(row, 1)
        removed: tuple[object, ...] = (*delta.gateways_removed, *delta.sandboxes_removed)
        for key in removed:
            gone = self._rows.pop(key, None)
            if gone is not None:
                self._count(gone, -1)

    def on_events(self, events: Iterable[Event]) -> None:
        """Take in what the history recorded, each once, oldest first."""
        for one in events:
            if one.kind in ("sandbox", "gateway", "source", "needs"):
                self.transitions[(one.source, one.kind, one.severity.value)] += 1
            elif one.kind == "attempt":
                self.attempts[(one.source, one.after)] += 1
            if one.kind == "sandbox":
                self._start(one)

    def costs_usd(self) -> dict[tuple[str], float]:
        """By source, what the sandboxes whose cost is reported have cost so far."""
        spent = self._microdollars.copy()
        return {key: spent[key] / 1e6 for key, n in self.reporting_costs.copy().items() if n}

    def pass_time(self) -> None:
        """Count the time since the last call for the states as they were."""
        now = self._clock.monotonic()
        passed, self._since = now - self._since, now
        for key, number in self.sandboxes.items():
            if number:
                self.state_seconds[key] = self.state_seconds.get(key, 0.0) + passed * number

    def _start(self, event: Event) -> None:
        about = (event.source, event.subject)
        if event.after == "ready":
            self._ready_at[about] = event.at
            # Insertion is in the order of time: what is too old to matter stands first.
            while self._ready_at:
                first = next(iter(self._ready_at))
                if event.at - self._ready_at[first] <= FALSE_START_S:
                    break
                del self._ready_at[first]
            return
        began = self._ready_at.pop(about, None)
        if began is not None and event.at - began < FALSE_START_S and event.after != "asleep":
            self.false_starts[(event.source,)] += 1

    def _count(self, row: _Row, by: int) -> None:
        source = row.id.source
        if row.stale:
            self.stale[(source,)] += by
        else:
            table = self.gateways if isinstance(row, Gateway) else self.sandboxes
            table[(source, row.state.value)] += by
        if isinstance(row, Sandbox):
            if row.needs_me:
                self.needs_me[(source,)] += by
            if row.cost_usd is not None:
                self.reporting_costs[(source,)] += by
                self._microdollars[(source,)] += by * round(row.cost_usd * 1e6)
            for direction, counts in (("in", row.inbound), ("out", row.outbound)):
                for label, number in counts:
                    self.queued[(source, direction, label)] += number * by


def bounded(queued: Counter[tuple[str, str, str]]) -> Counter[tuple[str, str, str]]:
    """The queue counts with at most `MOST_LABELS` labels of a source and direction."""
    seen: dict[tuple[str, str], int] = {}
    found: Counter[tuple[str, str, str]] = Counter()
    for (source, direction, label), number in sorted(queued.items(), key=lambda one: -one[1]):
        place = seen.setdefault((source, direction), 0)
        seen[(source, direction)] += 1
        found[(source, direction, label if place < MOST_LABELS else "other")] += number
    return found
