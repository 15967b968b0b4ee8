"""The services of one panel: board, journal, attempts and pollers, with one lifetime."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from services.board.board import Board
from services.board.deltas import BoardDelta
from services.board.lag import LagMeter
from services.board.pollers import FAILURE_THRESHOLDS, Pollers
from services.clock import Clock
from services.errors import WakedeckError, unforeseen
from services.models import Attempt, Event, QueueSnapshot, Sandbox, SandboxId, Severity
from services.sources.protocol.source import OpenSource

if TYPE_CHECKING:
    from services.journal.store import Journal
    from services.journal.transitions import ShownHistory
    from services.repair.attempts import Attempts

HISTORY = 500
_LOG = logging.getLogger(__name__)


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
            clock,
            [one.info for one in sources],
            intervals=intervals,
            failure_thresholds=FAILURE_THRESHOLDS,
        )
        self._journal_file, self._locks = journal, locks
        self._on_delta = on_delta
        self._on_attempt = on_attempt
        self._on_events = on_events
        self._begun: set[str] = set()
        self._ended: set[str] = set()
        self._running: dict[str, Attempt] = {}
        self._run: asyncio.Task[None] | None = None
        self.not_started: dict[str, str] = {}
        """By source, why its own processes could not be started; until it shows a sandbox."""
        self.journal_loaded = False
        self._early: list[Event] = []
        """Events of before the journal was loaded."""
        self.pollers = Pollers(
            [one.observer for one in sources],
            intervals,
            self.board,
            clock,
            jitter=jitter,
            on_delta=self._delta,
            on_queue=on_queue,
        )

    @cached_property
    def journal(self) -> Journal:
        """What happened, kept; loaded when it is first asked for, after the first frame."""
        from services.journal.store import Journal

        return Journal(self._journal_file, self.clock, on_notice=self._tell)

    @cached_property
    def _shown(self) -> ShownHistory:
        from services.journal.transitions import ShownHistory

        return ShownHistory()

    @cached_property
    def attempts(self) -> Attempts:
        """The repairs of all sandboxes; loaded as the journal is."""
        from services.repair.attempts import Attempts

        return Attempts(
            self.sources,
            self.clock,
            self._locks,
            self._attempt_changed,
            read_only=self.read_only,
            lag=LagMeter(),
            name_of=self.name_of,
        )

    async def run(self) -> None:
        """Poll until cancelled or closed, each source once its own processes are entered."""
        self._run = asyncio.current_task()
        opened = asyncio.create_task(self._open_journal())
        try:
            await self.pollers.run(
                {
                    key: partial(self._enter, source)
                    for key, source in self.sources.items()
                    if source.lifecycle is not None
                }
            )
        finally:
            opened.cancel()

    def record_events(self, *events: Event) -> None:
        """Write events to the journal, and show them once the journal is loaded."""
        self.journal.record(*events)
        if not self.journal_loaded:
            self._early += events
            return
        self._tell(*self._shown.fresh(events))

    def latest_attempt(self, sandbox: SandboxId | None) -> Attempt | None:
        """The latest attempt on a sandbox."""
        return None if sandbox is None else self.attempts.current(sandbox)

    @property
    def running_attempts(self) -> tuple[Attempt, ...]:
        """Attempts that have not ended."""
        return tuple(self._running.values())

    def name_of(self, sandbox: SandboxId) -> str:
        """What a sandbox is called wherever it is named; its id where it is not on the board.

        The ids of a far side begin with the name of its source there, which many hosts share.
        """
        known = self.board.sandboxes.get(sandbox)
        if known is not None:
            return self.board.told_apart(known)
        source = self.sources.get(sandbox.source)
        is_far = source is not None and source.info.kind in ("remote", "external")
        return str(sandbox) if is_far else sandbox.native_id

    def told_apart(self, sandbox: Sandbox) -> Sandbox:
        """A sandbox as it is named on the screen: with its source where another has such a name."""
        name = self.board.told_apart(sandbox)
        return sandbox if name == sandbox.name else replace(sandbox, name=name)

    async def close(self) -> None:
        """Cancel attempts, stop polling, close sources, flush the journal."""
        await self.attempts.close()
        if self._run is not None:
            # A look that still goes on would open again what is closed under it.
            self._run.cancel()
            await asyncio.wait((self._run,))
        await asyncio.gather(*map(_close, self.sources.values()))
        await self.journal.close()

    async def _open_journal(self) -> None:
        from services.journal.rows import EventQuery

        past: Sequence[Event] = ()
        problem = ""
        try:
            await self.journal.open()
            history = await self.journal.search(EventQuery(HISTORY))
            past, problem = history.events, history.problem
            self._shown.begin(past)
        finally:
            self.journal_loaded = True
        self._tell(*reversed(past))
        early, self._early = self._early, []
        self._tell(*self._shown.fresh([one for one in early if one not in past]))
        if problem:
            self._tell(Event(self.clock.now(), Severity.WORSE, "", "", "panel", problem))

    def _tell(self, *events: Event) -> None:
        """Show events, once the past they follow is there."""
        if not self.journal_loaded:
            return
        try:
            self._on_events(events)
        except Exception:
            _LOG.exception("events could not be shown")

    async def _enter(self, source: OpenSource) -> None:
        assert source.lifecycle is not None
        try:
            await source.lifecycle.enter()
        except Exception as error:
            told = error if isinstance(error, WakedeckError) else unforeseen("its start", error)
            said = f"{told.sentence} {told.advice}".strip()
            self.not_started[source.info.key] = said
            now = self.clock.now()
            self.record_events(Event(now, Severity.WORSE, source.info.key, "", "source", said))

    def _delta(self, delta: BoardDelta) -> None:
        if self.not_started:
            for row in delta.sandboxes:
                self.not_started.pop(row.id.source, None)
        if delta.events:
            self.record_events(*delta.events)
        self._on_delta(delta)

    def _attempt_changed(self, attempt: Attempt) -> None:
        self._running[attempt.id] = attempt
        if attempt.state.ended:
            del self._running[attempt.id]
        if not attempt.state.ended and attempt.id not in self._begun:
            self._begun.add(attempt.id)
            self.journal.begin_attempt(attempt)
        if attempt.state.ended and attempt.id not in self._ended:
            self._ended.add(attempt.id)
            self._tell(self.journal.end_attempt(attempt, self.clock.now()))
            self.pollers.refresh()
        self._on_attempt(attempt)


async def _close(source: OpenSource) -> None:
    await source.actor.close()
    await source.observer.close()
    if source.lifecycle is not None:
        await source.lifecycle.leave()
