"""Probes of one sandbox, one at a time, each in a task; a failure becomes a verdict."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from services.board.lag import VOID_SHARE
from services.clock import Clock
from services.errors import WakedeckError
from services.models import SandboxId
from services.sources.protocol.verdict import Verdict, VerdictKind
from services.text.redact import redact_line

FIRST_POLL_S = 0.5
LONGEST_POLL_S = 2.0
_POLL_GROWTH = 1.5
_LOG = logging.getLogger(__name__)


class Probes:
    """The probes of one attempt; instants are those of the clock's `monotonic`."""

    def __init__(
        self,
        probe: Callable[[SandboxId], Awaitable[Verdict]],
        sandbox: SandboxId,
        clock: Clock,
        limit_s: float,
    ) -> None:
        self._probe = probe
        self._sandbox = sandbox
        self._clock = clock
        self._limit_s = limit_s
        self._task: asyncio.Task[Verdict] | None = None
        self._stray: asyncio.Task[Verdict] | None = None
        self._held_up_s = 0.0
        self._poll_s = FIRST_POLL_S
        self.until = 0.0
        """When the probe that runs is no longer waited for."""
        self.poll_at = 0.0
        """When the next one is due while it is waited for something to serve."""

    @property
    def task(self) -> asyncio.Task[Verdict] | None:
        """The probe that runs or whose verdict has not been taken."""
        return self._task

    @property
    def stray(self) -> asyncio.Task[Verdict] | None:
        """One that was dropped and has not come back; no other begins before it has."""
        return None if self._stray is None or self._stray.done() else self._stray

    def begin(self) -> None:
        """Probe afresh; not while one that was dropped has not come back."""
        self.drop()
        if self.stray is None:
            self._held_up_s = 0.0
            self.until = self._clock.monotonic() + self._limit_s
            self._task = asyncio.create_task(_run_probe(self._probe, self._sandbox))

    def pace(self, first_s: float) -> None:
        """Poll from now on, the first time after so many seconds, then less and less often."""
        self._poll_s = FIRST_POLL_S
        self.poll_at = self._clock.monotonic() + first_s

    def take_turn(self) -> bool:
        """Whether a poll is due and none is under way; the next one is due later."""
        now = self._clock.monotonic()
        if self._task is not None or now < self.poll_at:
            return False
        self.poll_at = now + self._poll_s
        self._poll_s = min(self._poll_s * _POLL_GROWTH, LONGEST_POLL_S)
        return True

    def drop(self) -> None:
        """Cancel the running probe and ignore its verdict."""
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            self._stray = task

    def extend(self, seconds: float) -> None:
        """This process itself was held up for so long while the probe ran."""
        self._held_up_s += seconds
        self.until += seconds

    def take(self) -> Verdict | None:
        """The verdict, once; None while there is none. A probe over its limit is unknown.

        One that this process itself delayed proves nothing: it is repeated.
        """
        task = self._task
        if task is None:
            return None
        if task.done() and self._held_up_s > VOID_SHARE * self._limit_s:
            self.begin()
            return None
        if not task.done():
            if self._clock.monotonic() < self.until:
                return None
            self.drop()
            limit = f"{self._limit_s:g} s"
            return Verdict(VerdictKind.UNKNOWN, f"It did not answer a probe within {limit}.")
        self._task = None
        if task.cancelled():
            return Verdict(VerdictKind.UNKNOWN, "The probe was cut off.")
        return task.result()


async def _run_probe(
    probe: Callable[[SandboxId], Awaitable[Verdict]], sandbox: SandboxId
) -> Verdict:
    try:
        verdict = await probe(sandbox)
    except WakedeckError as error:
        _LOG.info("a probe of %s failed: %s", sandbox, error, exc_info=error)
        return Verdict(VerdictKind.UNKNOWN, redact_line(error.sentence), advice=error.advice)
    except Exception as error:
        _LOG.error("a probe of %s failed unexpectedly", sandbox, exc_info=error)
        return Verdict(VerdictKind.UNKNOWN, f"internal error: {type(error).__name__}")
    return redact_verdict(verdict)


def redact_verdict(verdict: Verdict) -> Verdict:
    """The verdict with all its texts sanitized and redacted."""
    return replace(
        verdict,
        reason=redact_line(verdict.reason),
        advice=redact_line(verdict.advice),
        confirmable=redact_line(verdict.confirmable),
    )
