"""The background pollers: one for each source, one for the queue on screen; none acts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from services.board.beat import HOLD_S, Beat, Together
from services.board.board import Board
from services.board.comparison import ROWS_AT_ONCE
from services.board.deltas import BoardDelta
from services.board.lag import LagMeter, VoidLook
from services.board.poller import JITTER, Poller, ProbeFailure
from services.clock import Clock
from services.errors import WakedeckError, unforeseen
from services.models import Observation, QueueSnapshot, SandboxId
from services.sources.protocol.observer import Listens, Observer

DEADLINE_S = 6.0
QUEUE_S = 1.0
QUEUE_WINDOW = 500
EXPIRE_S = 1.0
HELD_UP_S = 3.0
"""Said in the header where this process could not look for longer than this."""
PROBE_LIMIT_S = 2.0
"""What the shortest wait within a look is given: a look held up for a share of it is void."""
NEWS_S = 1.0
"""Between what an observer hears and the poll that it asks for."""
RETRY_S = 5.0
"""The longest back-off: a local probe is cheap."""
FAILURE_THRESHOLDS = {"vellum": 2}
"""Failed polls in a row after which a ready gateway counts as down, by kind of source."""


class Pollers:
    """Runs the pollers; results go to two callables on the event loop."""

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
        meter: LagMeter | None = None,
    ) -> None:
        self._observers = {one.info.key: one for one in observers}
        self._board = board
        self._clock = clock
        self._on_delta = on_delta
        self._on_queue = on_queue
        self._watched: SandboxId | None = None
        self._asked: SandboxId | None = None
        """Whose queue the last poll was to read."""
        self._loaded: SandboxId | None = None
        self._queue_problem = ""
        self._meter = meter = meter or LagMeter()
        self._together = Together(self._is_awaited)
        self._jitter, self._beat = jitter, Beat()
        self._sources: dict[str, Poller[Observation]] = {
            key: Poller(
                f"observe {key}",
                partial(_observe, observer),
                self._merge_together,
                source=key,
                clock=clock,
                interval_s=intervals.get(key, 1.0),
                deadline_s=DEADLINE_S,
                longest_s=RETRY_S,
                jitter=jitter,
                meter=meter,
                limit_s=PROBE_LIMIT_S,
                beat=self._beat,
                prepare=self._prepare,
            )
            for key, observer in self._observers.items()
        }
        self._queue: Poller[QueueSnapshot | None] = Poller(
            "queue on screen",
            self._poll_queue,
            lambda result: self._together.hand_over(partial(self._queue_polled, result)),
            source="queue",
            clock=clock,
            interval_s=QUEUE_S,
            deadline_s=DEADLINE_S,
            longest_s=RETRY_S,
            jitter=jitter,
            meter=meter,
            beat=self._beat,
        )

    @property
    def paused(self) -> bool:
        """Whether polling is paused."""
        return self._queue.paused

    async def run(
        self, first: Mapping[str, Callable[[], Awaitable[None]]] = MappingProxyType({})
    ) -> None:
        """Poll until cancelled; a source with something in `first` once that is done."""
        # The first pause alone is at random: panels begun at once do not march in step.
        self._beat.begin(self._clock.monotonic() - self._jitter.uniform(0, JITTER))
        try:
            async with asyncio.TaskGroup() as tasks:
                for key, source in self._sources.items():
                    tasks.create_task(_run_after(first.get(key), source))
                tasks.create_task(self._queue.run())
                tasks.create_task(self._expire())
                for feed, observer in zip(
                    self._sources.values(), self._observers.values(), strict=True
                ):
                    if isinstance(observer, Listens):
                        tasks.create_task(self._listen(feed, observer))
        finally:
            self._together.drop_timer()

    @property
    def queue_problem(self) -> str:
        """Why the queue that is asked for cannot be shown; empty where it can."""
        return self._queue_problem

    @property
    def queue_loaded(self) -> SandboxId | None:
        """Whose queue was read last."""
        return self._loaded

    def watch_queue(self, sandbox: SandboxId | None) -> None:
        """Poll the queue of this sandbox from now on."""
        if sandbox != self._watched:
            self._watched = sandbox
            self._queue_problem = ""
            self._queue.refresh()

    def refresh(self) -> None:
        """Poll everything now."""
        for feed in self._all_pollers():
            feed.refresh()

    def pause(self, paused: bool) -> None:
        """Pause or resume polling."""
        for feed in self._all_pollers():
            if paused:
                feed.pause()
            else:
                feed.resume()

    def _all_pollers(self) -> tuple[Poller[Observation] | Poller[QueueSnapshot | None], ...]:
        return (*self._sources.values(), self._queue)

    def _is_awaited(self) -> bool:
        return any(feed.is_about_to_answer(HOLD_S) for feed in self._all_pollers())

    def _merge_together(self, result: Observation | ProbeFailure | VoidLook) -> None:
        self._together.hand_over(partial(self._merge, result))

    async def _prepare(self, seen: Observation) -> None:
        """Compare a look with the board, giving way to keys and paints."""
        for rows in self._board.prepare(seen):
            if rows == ROWS_AT_ONCE:
                await asyncio.sleep(0)

    def _merge(self, result: Observation | ProbeFailure | VoidLook) -> None:
        try:
            delta = self._board.merge(result)
        except Exception as error:
            said = unforeseen(result.source, error).sentence
            delta = self._board.merge(ProbeFailure(result.source, self._clock.now(), said))
        self._on_delta(delta)

    async def _listen(self, feed: Poller[Observation], observer: Listens) -> None:
        """Poll a little after every news, so that what ended has been cleared away."""
        while True:
            try:
                await observer.news()
            except WakedeckError:
                await self._clock.sleep(RETRY_S)
                continue
            await self._clock.sleep(NEWS_S)
            if not feed.paused:
                feed.refresh()

    async def _poll_queue(self) -> QueueSnapshot | None:
        watched = self._asked = self._watched
        if watched is None or watched.source not in self._observers:
            return None
        return await self._observers[watched.source].queue(watched, QUEUE_WINDOW)

    def _queue_polled(self, result: QueueSnapshot | ProbeFailure | VoidLook | None) -> None:
        # A source that is gone shows on the board; its last queue stays as it was.
        if isinstance(result, QueueSnapshot) and result.sandbox == self._watched:
            self._loaded, self._queue_problem = result.sandbox, ""
            self._on_queue(result)
        elif isinstance(result, ProbeFailure) and self._asked == self._watched:
            self._queue_problem = result.reason

    async def _expire(self) -> None:
        while True:
            with self._meter.start() as lateness:
                await self._clock.sleep(EXPIRE_S)
                held_up_s = lateness.held_up_s
            now = self._clock.now()
            if held_up_s > HELD_UP_S:
                self._board.note_held_up(VoidLook("", now, held_up_s))
            for source in self._board.lapsed(now) & self._sources.keys():
                self._sources[source].refresh()
            delta = self._board.expire(now)
            if delta:
                self._on_delta(delta)


async def _run_after(
    first: Callable[[], Awaitable[None]] | None, feed: Poller[Observation]
) -> None:
    if first is not None:
        await first()
    await feed.run()


async def _observe(observer: Observer) -> Observation:
    """Looked up at each look: a source may not be opened before its first one."""
    return await observer.observe()
