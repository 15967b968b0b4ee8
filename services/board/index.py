"""Rows by id and by source, with counts kept up to date as they change."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Generic, TypeVar

from services.board.deltas import (
    RowId,
    added_event,
    changed_event,
    is_working,
    needs_attention,
    removed_event,
)
from services.models import Event, Gateway, GatewayState, Sandbox, SandboxState

R = TypeVar("R", Gateway, Sandbox)

NEVER = float("inf")
_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class RowChanges(Generic[R]):
    """What one observation changed among the rows of its source."""

    upserted: dict[RowId, R] = field(default_factory=dict)
    removed: list[RowId] = field(default_factory=list)
    touched: list[RowId] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


class RowIndex(Generic[R]):
    """All gateways or all sandboxes; `facts` names the fields compared for changes."""

    def __init__(self, *facts: str) -> None:
        self.all: dict[RowId, R] = {}
        self.states: Counter[GatewayState | SandboxState] = Counter()
        self.stale = 0
        self.attention = 0
        self.working = 0
        self._facts = attrgetter(*facts)
        self._by_source: dict[str, dict[RowId, None]] = {}
        self._oldest: dict[str, float] = {}

    def replace_rows(
        self, source: str, rows: Iterable[R], *, at: float, limit: float, quiet: bool
    ) -> RowChanges[R]:
        """Replace the rows of a source with what one poll found.

        What was confirmed before `limit` (epoch) is stale from the start; `quiet` leaves out the
        events of rows that come and go.
        """
        change: RowChanges[R] = RowChanges()
        missing = dict.fromkeys(self._by_source.get(source, ()))
        oldest = NEVER
        for found in rows:
            key = found.id
            if key.source != source:
                _LOG.error("%s showed a row of %s", source, key.source)
                continue
            row = found
            if row.observed_at < limit and not row.stale:
                row = replace(row, stale=True)
            missing.pop(key, None)
            if not row.stale and row.observed_at < oldest:
                oldest = row.observed_at
            old = self.all.get(key)
            if old is row:
                continue
            if old is None:
                if not quiet:
                    change.events.append(added_event(row, at))
            elif self._facts(old) == self._facts(row):
                if old.observed_at != row.observed_at:
                    self.all[key] = row
                    change.touched.append(key)
                continue
            elif old.state is not row.state:
                change.events.append(changed_event(old, row, at))
            self._put(key, row)
            change.upserted[key] = row
        self._oldest[source] = oldest
        for left in missing:
            removed = self._drop(left)
            change.removed.append(left)
            if not quiet:
                change.events.append(removed_event(removed, at))
        return change

    def mark_stale(self, source: str, limit: float) -> tuple[R, ...]:
        """Mark the rows of a source confirmed before `limit` (epoch) stale; what that changed."""
        if self._oldest.get(source, NEVER) >= limit:
            return ()
        marked: list[R] = []
        oldest = NEVER
        for key in self._by_source.get(source, ()):
            row = self.all[key]
            if row.stale:
                continue
            if row.observed_at < limit:
                row = replace(row, stale=True)
                self._put(key, row)
                marked.append(row)
            else:
                oldest = min(oldest, row.observed_at)
        self._oldest[source] = oldest
        return tuple(marked)

    def _count(self, row: R, by: int) -> None:
        self.states[row.state] += by
        self.stale += by * row.stale
        self.attention += by * needs_attention(row)
        self.working += by * is_working(row)

    def _put(self, key: RowId, row: R) -> None:
        old = self.all.get(key)
        if old is None:
            self._by_source.setdefault(key.source, {})[key] = None
        else:
            self._count(old, -1)
        self._count(row, 1)
        self.all[key] = row

    def _drop(self, key: RowId) -> R:
        del self._by_source[key.source][key]
        row = self.all.pop(key)
        self._count(row, -1)
        return row
