"""The board, its pollers and the journal without a panel: it looks and records, and never acts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from services.board.board import Board
from services.board.deltas import BoardDelta
from services.board.lag import LagMeter
from services.board.pollers import FAILURE_THRESHOLDS, Pollers
from services.clock import Clock
from services.journal.rows import redacted
from services.journal.store import Journal
from services.models import Event, Sandbox, SandboxId, Severity
from services.sources.protocol.observer import Observer

UNKEPT = 2_048
"""Transitions remembered until they are in the journal: as many as the journal itself does."""
WRITTEN_S = 5.0
"""A journal that can be written has taken a transition by then, or knew it from another panel."""


class Watcher:
    """Polls every source and records what changes, beside panels that do the same.

    `on_delta` hears what changed on the board, on the event loop.
    """

    def __init__(
        self,
        observers: Sequence[Observer],
        clock: Clock,
        *,
        intervals: Mapping[str, float],
        journal: Path,
        jitter: random.Random,
        on_delta: Callable[[BoardDelta], None] = lambda _: None,
    ) -> None:
        self.clock = clock
        self.board = Board(
            clock,
            [one.info for one in observers],
            intervals=intervals,
            failure_thresholds=FAILURE_THRESHOLDS,
        )
        self.journal = Journal(journal, clock)
        self.sources = {one.info.key: one.info for one in observers}
        self._on_delta = on_delta
        self._unkept: dict[Event, float] = {}
        self.looked = asyncio.Event()
        """Set once every source has answered or failed to: changes are told from then on."""
        self._needs: dict[SandboxId, str] = {}
        self.pollers = Pollers(
            observers,
            intervals,
            self.board,
            clock,
            jitter=jitter,
            on_delta=self._delta,
            on_queue=lambda _: None,
            meter=LagMeter(),
        )

    async def run(self) -> None:
        """Poll until cancelled."""
        await self.pollers.run()

    async def close(self) -> None:
        """Write what waits and let go of the journal."""
        await self.journal.close()

    def kept(self, event: Event) -> None:
        """A transition was found in the journal."""
        self._unkept.pop(event, None)

    def take_unkept(self) -> list[Event]:
        """Transitions seen since the last call that the journal cannot write just now."""
        if self.journal.problem:
            taken = list(self._unkept)
            self._unkept.clear()
            return taken
        before = self.clock.monotonic() - WRITTEN_S
        for event, at in list(self._unkept.items()):
            if at < before:
                del self._unkept[event]
        return []

    def _delta(self, delta: BoardDelta) -> None:
        delta = self.board.every_row(delta)
        events = [redacted(one) for one in (*delta.events, *self._new_needs(delta))]
        if events:
            self.journal.record(*events)
            self._unkept |= dict.fromkeys(events, self.clock.monotonic())
            while len(self._unkept) > UNKEPT:
                del self._unkept[next(iter(self._unkept))]
        if not self.looked.is_set():
            links = self.board.links.values()
            if all(link.connected or link.failures for link in links):
                self.looked.set()
        self._on_delta(delta)

    def _new_needs(self, delta: BoardDelta) -> list[Event]:
        """An event for each sandbox in which something begins or ceases to wait for a person."""
        for gone in delta.sandboxes_removed:
            self._needs.pop(gone, None)
        found = []
        for row in delta.sandboxes:
            before = self._needs.get(row.id, "")
            if row.stale or row.needs_me == before:
                continue
            if row.needs_me:
                self._needs[row.id] = row.needs_me
            else:
                del self._needs[row.id]
            found.append(_needs_event(row, before))
        return found


def _needs_event(row: Sandbox, before: str) -> Event:
    said = f"{row.name} needs you: {row.needs_me}" if row.needs_me else f"{row.name} needs nobody"
    return Event(
        row.observed_at,
        Severity.WORSE if row.needs_me else Severity.BETTER,
        row.id.source,
        row.id.native_id,
        "needs",
        said,
        before=before,
        after=row.needs_me or "nothing",
    )
