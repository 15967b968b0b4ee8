"""How late this process itself is: what a deadline that ran meanwhile is worth."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

TICK_S = 0.1
"""How often the loop is asked to come back."""
USUAL_S = 0.05
"""So late the loop may be at every tick of a busy machine."""
VOID_SHARE = 0.25
"""A look that was held up for more than this share of its limit proves nothing."""


class VoidLook(NamedTuple):
    """A look that this process itself held up: nothing may be concluded from it."""

    source: str
    at: float
    held_up_s: float


def suspended_s() -> float:
    """Seconds the machine has slept since it was started."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    if boottime is None:
        return 0.0
    return time.clock_gettime(boottime) - time.clock_gettime(time.CLOCK_MONOTONIC)


class LagMeter:
    """Adds up how late the running loop came back, and how long the machine slept.

    It runs while at least one `Lateness` is open.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        suspended: Callable[[], float] = suspended_s,
    ) -> None:
        self._monotonic = monotonic
        self._suspended = suspended
        self._open = 0
        self._total = 0.0
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> Lateness:
        """Measure from now on."""
        if self._open == 0:
            self._schedule()
        self._open += 1
        return Lateness(self, self._late_s(), self._suspended())

    def held_up_s(self, since: Lateness) -> float:
        """Seconds since then in which this process could not look."""
        return max(self._late_s() - since.late_s, self._suspended() - since.suspended_s, 0.0)

    def stop(self) -> None:
        """One of those who measure is done."""
        self._open -= 1
        if self._open == 0 and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late_s(self) -> float:
        return self._total + (0.0 if self._timer is None else self._overdue_s())

    def _overdue_s(self) -> float:
        late = self._monotonic() - self._due
        return late if late > USUAL_S else 0.0

    def _schedule(self) -> None:
        self._due = self._monotonic() + TICK_S
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        self._total += self._overdue_s()
        self._schedule()


@dataclass(frozen=True, slots=True)
class Lateness:
    """A measurement that began at an instant; closed by leaving it."""

    meter: LagMeter
    late_s: float
    suspended_s: float

    def __enter__(self) -> Lateness:
        return self

    def __exit__(self, *_: object) -> None:
        self.meter.stop()

    @property
    def held_up_s(self) -> float:
        """Seconds of it in which this process could not look."""
        return self.meter.held_up_s(self)

    def is_void(self, limit_s: float) -> bool:
        """Whether a look with this limit proves nothing."""
        return self.held_up_s > VOID_SHARE * limit_s
