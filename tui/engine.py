"""Everything behind the screen, opened, started and ended together."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from services.board.board import Board
from services.board.deltas import BoardDelta
from services.clock import Clock
from services.errors import WakedeckError
from services.journal.events import attempt_event
from services.journal.store import Journal
from services.models import Attempt, Event, QueueSnapshot, SandboxId, Severity
from services.repair.attempts import Attempts
from services.sources import OpenSource
from tui.pollers import Feeds

HISTORY = 500
STRIKES = {"vellum": 2}
"""Looks in a row that must find a ready gateway gone, by kind of source."""


class Engine:
    """The services of one panel. Callables are heard on the event loop."""

    def __init__(
        self,
        sources: Sequence[OpenSource],
        clock: Clock,
        *,
        intervals: Mapping[str, float],
        journal: Path,
        locks: Path,
        read_only: bool,
        jitter: random.Random,
        on_delta: Callable[[BoardDelta], None],
        on_queue: Callable[[QueueSnapshot], None],
        on_attempt: Callable[[Attempt], None],
        on_events: Callable[[Sequence[Event]], None],
    ) -> None:
        self.clock = clock
        self.read_only = read_only
        self.sources = {one.info.key: one for one in sources}
        self.board = Board(
            clock, [one.info for one in sources], intervals=intervals, strikes=STRIKES
        )
        self.journal = Journal(journal, clock)
        self._on_delta = on_delta
        self._on_attempt = on_attempt
        self._on_events = on_events
        self._ended: set[str] = set()
        self.journal_read = False
        self.attempts = Attempts(
            self.sources, clock, locks, self._attempt_changed, read_only=read_only
        )
        self.feeds = Feeds(
            [one.observer for one in sources],
            intervals,
            self.board,
            clock,
            jitter=jitter,
            on_delta=self._delta,
            on_queue=on_queue,
        )

    async def run(self) -> None:
        """Enter the worlds we keep up, then look for ever; cancel to end."""
        opened = asyncio.create_task(self._open_journal())
        try:
            for source in self.sources.values():
                if source.presence is not None:
                    await self._enter(source)
            await self.feeds.run()
        finally:
            opened.cancel()

    def tell(self, *events: Event) -> None:
        """Put into the journal and on the timeline; until the past is there, together with it."""
        self.journal.record(*events)
        if self.journal_read:
            self._on_events(events)

    def attempt_on(self, sandbox: SandboxId | None) -> Attempt | None:
        """The latest attempt on a sandbox."""
        return None if sandbox is None else self.attempts.current(sandbox)

    async def close(self) -> None:
        """End attempts, let go of worlds, write what is left."""
        await self.attempts.close()
        for source in self.sources.values():
            await source.actor.close()
            await source.observer.close()
            if source.presence is not None:
                await source.presence.leave()
        await self.journal.close()

    async def _open_journal(self) -> None:
        past: Sequence[Event] = ()
        try:
            await self.journal.open()
            past = await self.journal.recent(HISTORY)
        finally:
            self.journal_read = True
        self._on_events(tuple(reversed(past)))

    async def _enter(self, source: OpenSource) -> None:
        assert source.presence is not None
        try:
            await source.presence.enter()
        except WakedeckError as error:
            said = f"{error.sentence} {error.advice}".strip()
            now = self.clock.now()
            self.tell(Event(now, Severity.WORSE, source.info.key, "", "source", said))

    def _delta(self, delta: BoardDelta) -> None:
        if delta.events:
            self.tell(*delta.events)
        self._on_delta(delta)

    def _attempt_changed(self, attempt: Attempt) -> None:
        if attempt.state.ended and attempt.id not in self._ended:
            self._ended.add(attempt.id)
            self.tell(attempt_event(attempt, self.clock.now()))
            self.feeds.refresh()
        self._on_attempt(attempt)
