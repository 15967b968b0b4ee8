"""A look held against the rows that are shown, before any of it is taken in."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Generic, TypeVar

from services.board.deltas import RowId
from services.board.shown import OwnRows, shown, told_of_way
from services.models import (
    Event,
    Gateway,
    GatewayId,
    GatewayState,
    Observation,
    Sandbox,
    SandboxId,
    Severity,
    UnknownWord,
    as_stale,
    in_state_since,
)

R = TypeVar("R", Gateway, Sandbox)

NEVER = float("inf")
_LOG = logging.getLogger(__name__)
ROWS_AT_ONCE = 250
"""Rows compared before keys and paints have their turn."""


class Comparison(Generic[R]):
    """What one look says of the rows of its source: which differ, which are only older."""

    def __init__(
        self,
        held: Mapping[RowId, R],
        facts: Callable[[R], object],
        source: str,
        limit: float,
        missing: dict[RowId, None],
        revision: int,
    ) -> None:
        self._held: Mapping[RowId, R] = held
        self._facts: Callable[[R], object] = facts
        self.source, self.limit, self.revision = source, limit, revision
        self.missing = missing
        """Rows not found so far."""
        self.touched: dict[RowId, R] = {}
        """Rows of which only the age moved."""
        self.changed: list[R] = []
        """All others that are not what they were, in the order of the look."""
        self.oldest, self.newest = NEVER, -NEVER
        """Of the rows that are current."""

    def add(self, rows: Iterable[R]) -> None:
        """Compare some more."""
        for found in rows:
            key, row, at = found.id, found, found.observed_at
            if key.source != self.source:
                _LOG.error("%s showed a row of %s", self.source, key.source)
                continue
            if not row.stale:
                if at < self.limit:
                    row = stale_row(row)
                else:
                    self.oldest, self.newest = min(self.oldest, at), max(self.newest, at)
            old = self._held.get(key)
            if old is not None and key not in self.missing:
                # Told twice: each is taken in after the one before it.
                self.changed += [one for one in (self.touched.pop(key, None),) if one is not None]
                self.changed.append(row)
                continue
            self.missing.pop(key, None)
            if old is row:
                continue
            if old is not None and old.state is row.state:
                row = since_as_known(old, row, at)
                if self._facts(old) == self._facts(row):
                    if old.observed_at != row.observed_at:
                        self.touched[key] = row
                    continue
            self.changed.append(row)


class SandboxComparison:
    """The sandboxes of one look, as shown and as their source says."""

    def __init__(
        self, shown_rows: Comparison[Sandbox], own: OwnRows, ways: Mapping[GatewayId, Gateway]
    ) -> None:
        self.rows = shown_rows
        self._own, self._ways = own, ways
        self._needed: dict[GatewayId, object] = {}
        self.own_renewed: dict[SandboxId, Sandbox] = {}
        """Rows that need a way in, the one they are known to need."""
        self.own_others: list[Sandbox] = []

    def add(self, found: Iterable[Sandbox]) -> None:
        """Compare some more."""
        self.rows.add([self._shown(one) for one in found if one.id.source == self.rows.source])

    def in_parts(self, found: tuple[Sandbox, ...]) -> Iterator[int]:
        """Compare all, some hundred at a time; how many each time."""
        for start in range(0, len(found), ROWS_AT_ONCE):
            part = found[start : start + ROWS_AT_ONCE]
            self.add(part)
            yield len(part)

    def is_current(self) -> bool:
        """Whether the ways in are still what they were."""
        return all(told_of_way(self._ways.get(key)) == was for key, was in self._needed.items())

    def _shown(self, one: Sandbox) -> Sandbox:
        if not one.needs:
            if self._own.get(one.id) is not None:
                self.own_others.append(one)
            return one
        for key in one.needs:
            if key not in self._needed:
                self._needed[key] = told_of_way(self._ways.get(key))
        if self._own.needs_as_known(one):
            old = one.observed_at < self.rows.limit and not one.stale
            self.own_renewed[one.id] = as_stale(one) if old else one
        else:
            self.own_others.append(one)
        return shown(one, self._ways)


def made_by_its_way(row: Gateway | Sandbox) -> bool:
    """Whether its way in makes the state: that is the gateway's event, told once."""
    return isinstance(row, Sandbox) and row.own_state is not None


def since_as_known(old: R, row: R, at: float) -> R:
    """A row with the instant at which it entered its state; `at` where that is a new one.

    Another fault of the same way is the same cut.
    """
    since: float | None
    if old.state is not row.state:
        since = at if row.since is None else row.since
    elif row.since is None or (made_by_its_way(row) and old.since is not None):
        since = old.since
    else:
        since = row.since
    if since == row.since:
        return row
    if isinstance(row, Gateway):
        return replace(row, since=since)
    return in_state_since(row, since)


def stale_row(row: R) -> R:
    """The same, as no longer current."""
    if isinstance(row, Gateway):
        return replace(row, stale=True)
    return as_stale(row)


_DOUBTFUL_STATES = frozenset((GatewayState.HUNG, GatewayState.UNKNOWN))
"""What one bad poll can wrongly report; a refused connection is definite."""


class GatewayDoubts:
    """How many polls in a row found a gateway hung or unknown that had been ready."""

    def __init__(self, thresholds: Mapping[str, int]) -> None:
        """`thresholds`: by source, how many of them are believed; one where it is not named."""
        self._thresholds = thresholds
        self._counts: Counter[GatewayId] = Counter()

    def accepted(self, seen: Gateway, previous: Gateway | None, background: bool) -> Gateway:
        """The gateway row the board accepts after one more poll."""
        if (
            not background
            or previous is None
            or previous.state is not GatewayState.READY
            or seen.state not in _DOUBTFUL_STATES
        ):
            self._counts.pop(seen.id, None)
            return seen
        self._counts[seen.id] += 1
        enough = self._thresholds.get(seen.id.source, 1)
        return previous if self._counts[seen.id] < enough else seen

    def forget(self, gone: Iterable[GatewayId]) -> None:
        """These are gone."""
        for key in gone:
            self._counts.pop(key, None)


class UnknownWords:
    """Words of other systems without a meaning here, and in how many looks they stood."""

    def __init__(self) -> None:
        self._words: dict[UnknownWord, int] = {}

    @property
    def seen(self) -> Mapping[UnknownWord, int]:
        """Each with the number of looks."""
        return MappingProxyType(self._words)

    def new(self, seen: Observation, label: str) -> list[Event]:
        """Count those of a look; an event for each that is new."""
        new = [one for one in seen.unknown_words if one not in self._words]
        for one in seen.unknown_words:
            self._words[one] = self._words.get(one, 0) + 1
        return [
            Event(
                seen.observed_at,
                Severity.INFO,
                seen.source,
                "",
                "word",
                f"{label} says {one.word!r} as {one.place}: this panel does not know it",
                one.place,
                one.word,
            )
            for one in dict.fromkeys(new)
        ]
