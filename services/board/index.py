"""Rows by id and by source, with counts kept up to date as they change."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import field, replace
from operator import attrgetter
from typing import Generic, TypeVar

from services.board.deltas import (
    RowId,
    added_event,
    changed_event,
    is_working,
    needs_attention,
    removed_event,
    waits_for_person,
)
from services.board.shown import KEEP_THEIR_WORD
from services.lazy_dataclass import dataclass
from services.models import (
    Event,
    Gateway,
    GatewayState,
    Sandbox,
    SandboxState,
    as_stale,
    in_state_since,
)

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
        self.needs_me = 0
        self._facts = attrgetter(*facts)
        self._by_source: dict[str, dict[RowId, None]] = {}
        self._oldest: dict[str, float] = {}
        self._told: dict[RowId, R] = {}
        """Each row as the last event about itself, not about its way in, left it."""
        self._until: dict[RowId, float] = {}
        self._named: Counter[str] = Counter()
        self._named_in: Counter[tuple[str, str]] = Counter()

    def replace_rows(
        self,
        source: str,
        rows: Iterable[R],
        *,
        at: float,
        limit: float,
        quiet: bool,
        deleted: Collection[RowId] = (),
        unknown: Callable[[R], bool] = lambda _: False,
        awaited: Callable[[R], bool] = lambda _: False,
    ) -> RowChanges[R]:
        """Replace the rows of a source with what one poll found.

        What was confirmed before `limit` (epoch) is stale from the start; `quiet` leaves out the
        events of rows that come and go, `awaited` those of a row that comes with the rest of its
        list. A row that is not found is kept, stale: as missing where
        that is the first time, for ever where its list is `unknown`. What is missing for the
        second time, or `deleted`, leaves.
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
            if not row.stale:
                if row.observed_at < limit:
                    row = _stale(row)
                elif row.observed_at < oldest:
                    oldest = row.observed_at
            missing.pop(key, None)
            new = not quiet and key not in self.all
            self._take(row, at, change, quiet=not new or awaited(row))
        self._oldest[source] = oldest
        for left in missing:
            old = self.all[left]
            if left not in deleted and unknown(old):
                if not old.stale:
                    self._take(_stale(old), at, change)
            elif left not in deleted and old.missing_since is None:
                self._take(replace(old, stale=True, missing_since=at), at, change)
            else:
                self._drop(left)
                change.removed.append(left)
                if not quiet:
                    change.events.append(removed_event(old, at))
        return change

    def update(self, rows: Iterable[R], at: float) -> RowChanges[R]:
        """Take in rows that are known already and are shown otherwise now."""
        change: RowChanges[R] = RowChanges()
        for row in rows:
            self._take(row, at, change)
            if not row.stale:
                oldest = self._oldest.get(row.id.source, NEVER)
                self._oldest[row.id.source] = min(oldest, row.observed_at)
        return change

    def told_apart(self, row: R) -> str:
        """Its name; with its source where another has it, and as its id where its own has."""
        if self._named_in[row.id.source, row.name] > 1:
            return str(row.id)
        shared = self._named[row.name] > self._named_in[row.id.source, row.name]
        return f"{row.id.source}/{row.name}" if shared else row.name

    def _name(self, row: R, by: int) -> None:
        within = (row.id.source, row.name)
        self._named[row.name] += by
        self._named_in[within] += by
        if not self._named_in[within]:
            del self._named_in[within]
            if not self._named[row.name]:
                del self._named[row.name]

    def lapsed(self, now: float) -> set[str]:
        """Sources with a row whose judgement lapsed by `now` (epoch); each is told once."""
        over = [key for key, until in self._until.items() if until <= now]
        for key in over:
            del self._until[key]
        return {key.source for key in over}

    def _take(self, row: R, at: float, change: RowChanges[R], *, quiet: bool = True) -> None:
        key = row.id
        old = self.all.get(key)
        if old is row:
            return
        if old is None:
            if not quiet:
                change.events.append(added_event(row, at))
            self._told[key] = _own(row)
        else:
            if old.state is not row.state or old.since != row.since:
                since = _since(old, row, at)
                if since != row.since:
                    if isinstance(row, Sandbox):
                        row = in_state_since(row, since)
                    else:
                        row = replace(row, since=since)
            if self._facts(old) == self._facts(row):
                if old.observed_at != row.observed_at:
                    self.all[key] = row
                    change.touched.append(key)
                return
            if old.state is not row.state and not _is_told_by_its_way(old, row):
                told = self._told[key]
                if told.state is not row.state:
                    change.events.append(changed_event(told, row, at))
                self._told[key] = row
        self._put(key, row)
        change.upserted[key] = row

    def of(self, source: str) -> Iterator[R]:
        """The rows of a source."""
        return (self.all[key] for key in self._by_source.get(source, ()))

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
                row = _stale(row)
                self._put(key, row)
                marked.append(row)
            else:
                oldest = min(oldest, row.observed_at)
        self._oldest[source] = oldest
        return tuple(marked)

    def _count(self, row: R, by: int) -> None:
        if _is_stock(row):
            return
        self.states[row.state] += by * (not row.stale)
        self.stale += by * row.stale
        self.attention += by * needs_attention(row)
        self.working += by * is_working(row)
        self.needs_me += by * waits_for_person(row)

    def _put(self, key: RowId, row: R) -> None:
        old = self.all.get(key)
        if old is None:
            self._by_source.setdefault(key.source, {})[key] = None
            self._name(row, 1)
        else:
            self._count(old, -1)
            if old.name != row.name:
                self._name(old, -1)
                self._name(row, 1)
        self._count(row, 1)
        self.all[key] = row
        if row.until is not None:
            self._until[key] = row.until
        else:
            self._until.pop(key, None)

    def _drop(self, key: RowId) -> None:
        del self._by_source[key.source][key]
        row = self.all.pop(key)
        self._told.pop(key, None)
        self._until.pop(key, None)
        self._count(row, -1)
        self._name(row, -1)


def _is_told_by_its_way(old: Gateway | Sandbox, row: Gateway | Sandbox) -> bool:
    """Whether the change of a row is in the record of its way in, and not one of its own."""
    return _by_its_way(row) and old.state not in KEEP_THEIR_WORD


def _is_stock(row: Gateway | Sandbox) -> bool:
    """Whether it is nobody's yet: that is counted on the line of its pool."""
    return isinstance(row, Sandbox) and row.stock


def _by_its_way(row: Gateway | Sandbox) -> bool:
    """Whether its way in makes the state: that is the gateway's event, told once."""
    if isinstance(row, Gateway):
        return False
    return row.own_state is not None


def _since(old: R, row: R, at: float) -> float | None:
    """When a row entered its state; another fault of the same way is the same cut."""
    if old.state is not row.state:
        return at if row.since is None else row.since
    if row.since is None or (_by_its_way(row) and old.since is not None):
        return old.since
    return row.since


def _stale(row: R) -> R:
    if isinstance(row, Gateway):
        return replace(row, stale=True)
    return as_stale(row)


def _own(row: R) -> R:
    if isinstance(row, Gateway):
        return row
    if row.own_state is None:
        return row
    return replace(row, state=row.own_state)
