"""Rows by id and by source, with counts kept up to date as they change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Generic, TypeVar

from services.board.comparison import (
    NEVER,
    Comparison,
    made_by_its_way,
    since_as_known,
    stale_row,
)
from services.board.deltas import RowId, added_event, changed_event, removed_event
from services.board.row_counts import RowCounts
from services.board.shown import KEEP_THEIR_WORD
from services.models import Event, Gateway, Sandbox

R = TypeVar("R", Gateway, Sandbox)


@dataclass(slots=True)
class RowChanges(Generic[R]):
    """What one observation changed among the rows of its source."""

    upserted: dict[RowId, R] = field(default_factory=dict)
    removed: list[RowId] = field(default_factory=list)
    touched: dict[RowId, R] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)


class RowIndex(Generic[R]):
    """All gateways or all sandboxes; `facts` names the fields compared for changes."""

    def __init__(self, *facts: str, as_shown: Callable[[R], R] = lambda row: row) -> None:
        """`as_shown` adds to a row what is shown of it beside its own facts."""
        self._as_shown: Callable[[R], R] = as_shown
        self.all: dict[RowId, R] = {}
        self.counts = RowCounts()
        self._facts = attrgetter(*facts)
        self._by_source: dict[str, dict[RowId, None]] = {}
        self._oldest: dict[str, float] = {}
        self._newest: dict[str, float] = {}
        self._revisions: Counter[str] = Counter()
        """How often a row of each source was put, renewed or dropped."""
        self._told: dict[RowId, R] = {}
        """Each row as the last event about itself, not about its way in, left it."""
        self._until: dict[RowId, float] = {}
        self._named: Counter[str] = Counter()
        self._named_in: Counter[tuple[str, str]] = Counter()

    def compare(self, source: str, limit: float) -> Comparison[R]:
        """Begin to compare what one poll found with the rows of its source.

        What was confirmed before `limit` (epoch) is stale from the start.
        """
        missing = dict.fromkeys(self._by_source.get(source, ()))
        revision = self._revisions[source]
        return Comparison(self.all, self._facts, source, limit, missing, revision)

    def is_current(self, found: Comparison[R]) -> bool:
        """Whether the rows it was compared with are still the ones there are."""
        return found.revision == self._revisions[found.source]

    def replace_rows(
        self,
        found: Comparison[R],
        *,
        at: float,
        quiet: bool,
        deleted: Collection[RowId] = (),
        unknown: Callable[[R], bool] = lambda _: False,
        awaited: Callable[[R], bool] = lambda _: False,
    ) -> RowChanges[R]:
        """Replace the rows of a source with what one poll found.

        `quiet` leaves out the
        events of rows that come and go, `awaited` those of a row that comes with the rest of its
        list. A row that is not found is kept, stale: as missing where
        that is the first time, for ever where its list is `unknown`. What is missing for the
        second time, or `deleted`, leaves.
        """
        source = found.source
        change: RowChanges[R] = RowChanges(touched=found.touched)
        self.all.update(found.touched)
        self._revisions[source] += 1
        self._oldest[source], self._newest[source] = found.oldest, found.newest
        for row in found.changed:
            new = not quiet and row.id not in self.all
            self._take(row, at, change, quiet=not new or awaited(row))
        for left in found.missing:
            old = self.all[left]
            if left not in deleted and unknown(old):
                if not old.stale:
                    self._take(stale_row(old), at, change)
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
                source, seen = row.id.source, row.observed_at
                self._oldest[source] = min(self._oldest.get(source, NEVER), seen)
                self._newest[source] = max(self._newest.get(source, -NEVER), seen)
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
                change.events.append(added_event(self._as_shown(row), at))
            self._told[key] = _own(row)
        else:
            if old.state is not row.state or old.since != row.since:
                row = since_as_known(old, row, at)
            if self._facts(old) == self._facts(row):
                if old.observed_at != row.observed_at:
                    self.all[key] = row
                    self._revisions[key.source] += 1
                    change.touched[key] = row
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

    def is_all_before(self, source: str, limit: float) -> bool:
        """Whether a source has current rows, all of them confirmed before `limit` (epoch)."""
        return -NEVER < self._newest.get(source, -NEVER) < limit

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
                row = stale_row(row)
                self._put(key, row)
                marked.append(row)
            else:
                oldest = min(oldest, row.observed_at)
        self._oldest[source] = oldest
        if oldest == NEVER:
            self._newest[source] = -NEVER
        return tuple(marked)

    def _put(self, key: RowId, row: R) -> None:
        old = self.all.get(key)
        if old is None:
            self._by_source.setdefault(key.source, {})[key] = None
            self._name(row, 1)
        else:
            self.counts.add(old, -1)
            if old.name != row.name:
                self._name(old, -1)
                self._name(row, 1)
        self.counts.add(row, 1)
        self.all[key] = row
        self._revisions[key.source] += 1
        if row.until is not None:
            self._until[key] = row.until
        else:
            self._until.pop(key, None)

    def _drop(self, key: RowId) -> None:
        del self._by_source[key.source][key]
        row = self.all.pop(key)
        self._revisions[key.source] += 1
        self._told.pop(key, None)
        self._until.pop(key, None)
        self.counts.add(row, -1)
        self._name(row, -1)


def _is_told_by_its_way(old: Gateway | Sandbox, row: Gateway | Sandbox) -> bool:
    """Whether the change of a row is in the record of its way in, and not one of its own."""
    return made_by_its_way(row) and old.state not in KEEP_THEIR_WORD


def _own(row: R) -> R:
    if isinstance(row, Gateway):
        return row
    if row.own_state is None:
        return row
    return replace(row, state=row.own_state)
