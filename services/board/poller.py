"""A probe run for ever: a deadline, jitter, backoff on failure, never two looks at once."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from services.clock import Clock
from services.errors import WakedeckError
from services.text.redact import redact

T = TypeVar("T")

SPREAD = 0.1
"""Each pause is longer or shorter by up to this share, so that panels do not march in step."""
SHORTEST_S = 0.001
"""Less than this is not worth a sleep."""
LAST_WORDS_S = 0.5
"""How long a look that is asked to stop is waited for when the feed ends, in real seconds."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProbeFailure:
    """A probe of a source that learned nothing: why, and when it is tried again."""

    source: str
    failed_at: float
    reason: str
    failures: int = 1
    """How many in a row."""
    retry_at: float | None = None


class Feed(Generic[T]):
    """Hands over what a probe learns, or why it learned nothing, again and again.

    Times are seconds. A look still running `deadline_s` after it began is asked to stop and counts
    as failed; while it does not stop, no other is begun. `deliver` is called on the loop and must
    not block.
    """

    def __init__(
        self,
        name: str,
        probe: Callable[[], Awaitable[T]],
        deliver: Callable[[T | ProbeFailure], None],
        *,
        clock: Clock,
        interval_s: float,
        deadline_s: float,
        longest_s: float = 30.0,
        jitter: random.Random,
        source: str,
    ) -> None:
        self.name = name
        self._probe = probe
        self._deliver = deliver
        self._clock = clock
        self._interval_s = interval_s
        self._deadline_s = deadline_s
        self._longest_s = max(longest_s, interval_s)
        self._jitter = jitter
        self._source = source
        self._failures = 0
        self._paused = False
        self._asked = False
        self._nudge = asyncio.Event()
        self._look: asyncio.Task[T] | None = None

    @property
    def paused(self) -> bool:
        """Whether it only looks when asked to."""
        return self._paused

    def pause(self) -> None:
        """Stop looking; a look that has begun is delivered."""
        self._paused = True
        self._nudge.set()

    def resume(self) -> None:
        """Go on, with a look at once."""
        if self._paused:
            self._paused = False
            self.refresh()

    def refresh(self) -> None:
        """Look now, also while paused; asked for during a look, once more right after it."""
        self._asked = True
        self._nudge.set()

    async def run(self) -> None:
        """Look and deliver until cancelled."""
        self._asked = self._asked or not self._paused
        try:
            while True:
                pause = 0.0
                if self._asked or not self._paused:
                    self._asked = False
                    pause = self._hand_over(*await self._once())
                await self._rest(self._clock.monotonic() + pause)
        finally:
            await self._let_go()

    async def _once(self) -> tuple[T | None, str]:
        """One look: what it learned, or nothing and why."""
        if self._look is not None and not self._look.done():
            return None, "The last look has not come back yet."
        self._look = asyncio.ensure_future(_awaited(self._probe))
        self._look.add_done_callback(_retrieve)
        if not await self._either(self._look, self._deadline_s):
            self._look.cancel()
            return None, f"No answer within {self._deadline_s:g} s."
        try:
            return self._look.result(), ""
        except asyncio.CancelledError:
            return None, "The look was cut off."
        except WakedeckError as error:
            _LOG.debug("%s: %s", self.name, error, exc_info=error)
            return None, error.sentence
        except Exception as error:
            _LOG.error("%s failed unexpectedly", self.name, exc_info=error)
            return None, f"internal error: {type(error).__name__}"

    def _hand_over(self, learned: T | None, problem: str) -> float:
        """Deliver; the seconds until the next look."""
        spread = 1 + self._jitter.uniform(-SPREAD, SPREAD)
        result: T | ProbeFailure
        if not problem:
            self._failures = 0
            pause = self._interval_s * spread
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
        try:
            self._deliver(result)
        except Exception:
            _LOG.exception("%s: what was learned could not be taken in", self.name)
        return pause

    async def _rest(self, due: float) -> None:
        """Wait until `due` (monotonic), or until asked for a look."""
        while not self._asked:
            left = due - self._clock.monotonic()
            if not self._paused and left < SHORTEST_S:
                return
            self._nudge.clear()
            waiting = asyncio.ensure_future(self._nudge.wait())
            try:
                if self._paused:
                    await waiting
                else:
                    await self._either(waiting, left)
            finally:
                waiting.cancel()

    async def _either(self, task: asyncio.Future[Any], seconds: float) -> bool:
        """Wait for `task`, at most `seconds` of the clock; whether it is done."""
        timer = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait((task, timer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
        return task.done()

    async def _let_go(self) -> None:
        if self._look is not None and not self._look.done():
            self._look.cancel()
            await asyncio.wait((self._look,), timeout=LAST_WORDS_S)


async def _awaited(probe: Callable[[], Awaitable[T]]) -> T:
    return await probe()


def _retrieve(task: asyncio.Task[T]) -> None:
    if not task.cancelled():
        task.exception()
