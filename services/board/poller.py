"""Runs a probe periodically, with a deadline, jitter and backoff on failure."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable
from typing import Any, Generic, NamedTuple, TypeVar

from services.board.beat import Beat
from services.board.lag import LagMeter, VoidLook
from services.clock import Clock
from services.errors import WakedeckError
from services.text.redact import redact

T = TypeVar("T")

JITTER = 0.1
"""Each pause is longer or shorter by up to this share, so that panels do not march in step."""
SHORTEST_S = 0.001
"""Less than this is not worth a sleep."""
SOON_S = 0.05
"""Probes that are due together begin within this, the loop's own lateness included."""
CANCEL_GRACE_S = 0.5
"""How long a probe that is asked to stop is waited for when the poller ends, in real seconds."""
_LOG = logging.getLogger(__name__)


class ProbeFailure(NamedTuple):
    """A probe of a source that learned nothing: why, and when it is tried again."""

    source: str
    failed_at: float
    reason: str
    failures: int = 1
    """How many in a row."""
    retry_at: float | None = None


class Poller(Generic[T]):
    """Polls one probe and delivers each result, or a `ProbeFailure`, or a `VoidLook`.

    Times are seconds. A probe still running `deadline_s` after it began is asked to stop and counts
    as failed; while it does not stop, no other is begun. A probe that this process itself held up
    (`meter`, for more than a share of `limit_s`) is void, whatever it came to, and is made again at
    once; after a second one the usual pause follows. `deliver` is called on the loop and must not
    block; what takes long is done by `prepare`, which gives way and is no part of the probe. With a
    `beat`, what succeeded is asked again on it and not at random.
    """

    def __init__(
        self,
        name: str,
        probe: Callable[[], Awaitable[T]],
        deliver: Callable[[T | ProbeFailure | VoidLook], None],
        *,
        clock: Clock,
        interval_s: float,
        deadline_s: float,
        longest_s: float = 30.0,
        jitter: random.Random,
        source: str,
        meter: LagMeter | None = None,
        limit_s: float | None = None,
        beat: Beat | None = None,
        prepare: Callable[[T], Awaitable[None]] | None = None,
    ) -> None:
        self.name = name
        self._probe = probe
        self._deliver = deliver
        self._prepare = prepare
        self._clock = clock
        self._interval_s = interval_s
        self._deadline_s = deadline_s
        self._longest_s = max(longest_s, interval_s)
        self._jitter = jitter
        self._source = source
        self._meter = meter or LagMeter()
        self._limit_s = deadline_s if limit_s is None else limit_s
        self._beat = beat
        self._began, self._due = -math.inf, math.inf
        self._void = 0
        self._failures = 0
        self._paused = False
        self._requested = False
        self._wakeup: asyncio.Future[None] | None = None
        self._probe_task: asyncio.Task[T] | None = None

    @property
    def paused(self) -> bool:
        """Whether it polls only when asked to."""
        return self._paused

    def is_about_to_answer(self, within_s: float) -> bool:
        """Whether a probe began at most so long ago, or is about to begin."""
        now = self._clock.monotonic()
        if self._probe_task is not None and not self._probe_task.done():
            return now - self._began <= within_s
        return not self._paused and abs(self._due - now) <= SOON_S

    def pause(self) -> None:
        """Stop polling; a probe already running is still delivered."""
        self._paused = True
        self._wake()

    def resume(self) -> None:
        """Resume polling, with a probe at once."""
        if self._paused:
            self._paused = False
            self.refresh()

    def refresh(self) -> None:
        """Probe now, also while paused; during a probe, once more right after it."""
        self._requested = True
        self._wake()

    def _wake(self) -> None:
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)

    async def run(self) -> None:
        """Poll and deliver until cancelled."""
        self._requested = self._requested or not self._paused
        try:
            while True:
                self._due = self._clock.monotonic()
                if self._requested or not self._paused:
                    self._requested = False
                    with self._meter.start() as lateness:
                        learned, problem = await self._probe_once()
                        held_up_s = lateness.held_up_s
                        void = lateness.is_void(self._limit_s)
                    if void:
                        self._deliver_void(held_up_s)
                    else:
                        await self._prepared(learned, problem)
                        self._deliver_result(learned, problem)
                await self._wait_until(self._due)
        finally:
            await self._cancel_probe()

    async def _probe_once(self) -> tuple[T | None, str]:
        """One probe: what it learned, or nothing and why."""
        if self._probe_task is not None and not self._probe_task.done():
            return None, "The last poll has not finished yet."
        self._began = self._clock.monotonic()
        self._probe_task = asyncio.ensure_future(_awaited(self._probe))
        self._probe_task.add_done_callback(_consume_exception)
        if not await self._wait_for(self._probe_task, self._deadline_s):
            self._probe_task.cancel()
            return None, f"No answer within {self._deadline_s:g} s."
        try:
            return self._probe_task.result(), ""
        except asyncio.CancelledError:
            return None, "The poll was cancelled."
        except WakedeckError as error:
            _LOG.debug("%s: %s", self.name, error, exc_info=error)
            return None, error.sentence
        except Exception as error:
            _LOG.error("%s failed unexpectedly", self.name, exc_info=error)
            return None, f"internal error: {type(error).__name__}"

    async def _prepared(self, learned: T | None, problem: str) -> None:
        if problem or self._prepare is None:
            return
        try:
            await self._prepare(learned)  # type: ignore[arg-type]
        except Exception:
            _LOG.exception("%s: what was learned could not be prepared", self.name)

    def _deliver_result(self, learned: T | None, problem: str) -> None:
        """Deliver, and say when the next probe is due."""
        self._void = 0
        spread = 1 + self._jitter.uniform(-JITTER, JITTER)
        result: T | ProbeFailure
        if not problem:
            self._failures = 0
            pause = self._pause(spread)
            result = learned  # type: ignore[assignment]
        else:
            self._failures += 1
            longer = self._interval_s * 2 ** min(self._failures, 16)
            pause = min(longer * spread, self._longest_s)
            now = self._clock.now()
            result = ProbeFailure(
                source=self._source,
                failed_at=now,
                reason=redact(problem),
                failures=self._failures,
                retry_at=None if self._paused else now + pause,
            )
        self._hand_over(result, pause)

    def _pause(self, spread: float) -> float:
        """Seconds until a source that answers is asked again."""
        if self._beat is None:
            return self._interval_s * spread
        now = self._clock.monotonic()
        return self._beat.due(now, self._interval_s, now - self._began) - now

    def _deliver_void(self, held_up_s: float) -> None:
        """Deliver that the look proves nothing; the first one is made again at once."""
        self._void += 1
        pause = 0.0 if self._void == 1 else self._interval_s
        self._hand_over(VoidLook(self._source, self._clock.now(), held_up_s), pause)

    def _hand_over(self, result: T | ProbeFailure | VoidLook, pause: float) -> None:
        # Before the result is taken in: that takes time, of which the pause is not made longer.
        self._due = self._clock.monotonic() + pause
        try:
            self._deliver(result)
        except Exception:
            _LOG.exception("%s: what was learned could not be taken in", self.name)

    async def _wait_until(self, due: float) -> None:
        """Wait until `due` (monotonic), or until a probe is requested."""
        while not self._requested:
            left = due - self._clock.monotonic()
            if not self._paused and left < SHORTEST_S:
                return
            self._wakeup = asyncio.get_running_loop().create_future()
            if self._paused:
                await self._wakeup
            else:
                await self._wait_for(self._wakeup, left)

    async def _wait_for(self, task: asyncio.Future[Any], seconds: float) -> bool:
        """Wait for `task`, at most `seconds` of the clock; whether it is done."""
        timer = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait((task, timer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
        return task.done()

    async def _cancel_probe(self) -> None:
        if self._probe_task is not None and not self._probe_task.done():
            self._probe_task.cancel()
            await asyncio.wait((self._probe_task,), timeout=CANCEL_GRACE_S)


async def _awaited(probe: Callable[[], Awaitable[T]]) -> T:
    return await probe()


def _consume_exception(task: asyncio.Task[T]) -> None:
    if not task.cancelled():
        task.exception()
