"""How many rows there are of each kind; asking costs the same however many there are."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TypeAlias

from services.board.deltas import Totals, is_working, needs_attention, waits_for_person
from services.models import (
    Gateway,
    GatewayId,
    GatewayState,
    Sandbox,
    SandboxState,
    Staleness,
)

_Group: TypeAlias = tuple[str, tuple[GatewayId, ...]]
"""The source of rows and what they need: they are current, or stale, together."""


@dataclass(slots=True)
class Tally:
    """Counts of some rows; what is in nobody's use yet is not among them."""

    states: Counter[GatewayState | SandboxState] = field(default_factory=Counter)
    """Of rows that are not stale."""
    rows: int = 0
    stale: int = 0
    attention: int = 0
    working: int = 0
    """Of the ready ones."""
    needs_me: int = 0

    def add(self, row: Gateway | Sandbox, by: int) -> None:
        """One more (1) or one less (-1)."""
        self.rows += by
        self.states[row.state] += by * (not row.stale)
        self.stale += by * row.stale
        self.attention += by * needs_attention(row)
        self.working += by * is_working(row)
        self.needs_me += by * waits_for_person(row)

    def make_stale(self, other: Tally) -> None:
        """Count the rows of another tally, which are among these, as stale."""
        self.states = self.states - other.states
        self.stale += other.rows - other.stale
        self.attention += other.rows - other.attention
        self.working -= other.working


class RowCounts:
    """The counts of all rows, by what makes them stale together."""

    def __init__(self) -> None:
        self._all = Tally()
        self._groups: dict[_Group, Tally] = {}

    def add(self, row: Gateway | Sandbox, by: int) -> None:
        """One more (1) or one less (-1)."""
        if isinstance(row, Gateway):
            self._all.add(row, by)
            return
        if row.stock:  # That is counted on the line of its pool.
            return
        self._all.add(row, by)
        group = (row.id.source, row.needs)
        tally = self._groups.get(group)
        if tally is None:
            tally = self._groups[group] = Tally()
        tally.add(row, by)
        if not tally.rows:
            del self._groups[group]

    def tally(self, staleness: Staleness) -> Tally:
        """The counts of what is shown; not to be changed."""
        if not staleness:
            return self._all
        one = self._all
        shown = Tally(one.states, one.rows, one.stale, one.attention, one.working, one.needs_me)
        for group, tally in self._groups.items():
            if staleness.holds(*group):
                shown.make_stale(tally)
        return shown


def totals(gateways: Tally, sandboxes: Tally, *, lost: int, unknown_lists: int) -> Totals:
    """The counts of now; `lost` sources, and lists that sources which answer do not know."""
    return Totals(
        gateways=tuple((s, n) for s in GatewayState if (n := gateways.states[s])),
        sandboxes=tuple((s, n) for s in SandboxState if (n := sandboxes.states[s])),
        stale=gateways.stale + sandboxes.stale,
        attention=gateways.attention + sandboxes.attention,
        lost=lost,
        working=sandboxes.working,
        stale_gateways=gateways.stale,
        unknown_lists=unknown_lists,
        needs_me=sandboxes.needs_me,
    )
