"""Keeps looking: one feed for each source and one for the queue on screen; never acts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence

from services.board.board import Board
from services.board.deltas import BoardDelta
from services.board.poller import Feed, ProbeFailure
from services.clock import Clock
from services.models import Observation, QueueSnapshot, SandboxId
from services.sources import Observer

DEADLINE_S = 6.0
QUEUE_S = 1.0
QUEUE_WINDOW = 500
EXPIRE_S = 1.0
RETRY_S = 5.0
"""A local look is cheap: even after many failures it is tried this often."""


class Feeds:
    """What ticks in the background. Results go to two callables, on the event loop."""

    def __init__(
        self,
        observers: Sequence[Observer],
        intervals: Mapping[str, float],
        board: Board,
        clock: Clock,
        *,
        jitter: random.Random,
        on_delta: Callable[[BoardDelta], None],
        on_queue: Callable[[QueueSnapshot], None],
    ) -> None:
        self._observers = {one.info.key: one for one in observers}
        self._board = board
        self._clock = clock
        self._on_delta = on_delta
        self._on_queue = on_queue
        self._shown: SandboxId | None = None
        self._seen: SandboxId | None = None
        self._queue_problem = ""
        self._sources: list[Feed[Observation]] = [
            Feed(
                f"observe {key}",
                observer.observe,
                self._merge,
                source=key,
                clock=clock,
                interval_s=intervals.get(key, 1.0),
                deadline_s=DEADLINE_S,
                longest_s=RETRY_S,
                jitter=jitter,
            )
            for key, observer in self._observers.items()
        ]
        self._queue: Feed[QueueSnapshot | None] = Feed(
            "queue on screen",
            self._look,
            self._show,
            source="queue",
            clock=clock,
            interval_s=QUEUE_S,
            deadline_s=DEADLINE_S,
            longest_s=RETRY_S,
            jitter=jitter,
        )

    @property
    def paused(self) -> bool:
        """Whether the operator stopped the looking."""
        return self._queue.paused

    async def run(self) -> None:
        """Look for ever; cancel to end."""
        async with asyncio.TaskGroup() as tasks:
            for feed in self._every():
                tasks.create_task(feed.run())
            tasks.create_task(self._expire())

    @property
    def queue_problem(self) -> str:
        """Why the queue that is asked for cannot be shown; empty where it can."""
        return self._queue_problem

    @property
    def queue_seen(self) -> SandboxId | None:
        """Whose queue was read last."""
        return self._seen

    def look_at(self, sandbox: SandboxId | None) -> None:
        """Show this sandbox's queue from now on."""
        if sandbox != self._shown:
            self._shown = sandbox
            self._queue_problem = ""
            self._queue.refresh()

    def refresh(self) -> None:
        """Look everywhere now."""
        for feed in self._every():
            feed.refresh()

    def pause(self, paused: bool) -> None:
        """Stop or go on looking."""
        for feed in self._every():
            if paused:
                feed.pause()
            else:
                feed.resume()

    def _every(self) -> tuple[Feed[Observation] | Feed[QueueSnapshot | None], ...]:
        return (*self._sources, self._queue)

    def _merge(self, result: Observation | ProbeFailure) -> None:
        self._on_delta(self._board.merge(result))

    async def _look(self) -> QueueSnapshot | None:
        shown = self._shown
        if shown is None or shown.source not in self._observers:
            return None
        return await self._observers[shown.source].queue(shown, QUEUE_WINDOW)

    def _show(self, result: QueueSnapshot | ProbeFailure | None) -> None:
        # A source that is gone shows on the board; its last queue stays as it was.
        if isinstance(result, QueueSnapshot) and result.sandbox == self._shown:
            self._seen, self._queue_problem = result.sandbox, ""
            self._on_queue(result)
        elif isinstance(result, ProbeFailure):
            self._queue_problem = result.reason

    async def _expire(self) -> None:
        while True:
            await self._clock.sleep(EXPIRE_S)
            delta = self._board.expire(self._clock.now())
            if delta.gateways or delta.sandboxes:
                self._on_delta(delta)
