"""How long this process itself was held up during an attempt: that is nobody's delay."""

from __future__ import annotations

from services.board.lag import LagMeter, Lateness
from services.text.format import span

NOTED_S = 0.25
HELD_UP_S = 2.0
"""From here on it is told, and may be why a step failed."""


class OwnLateness:
    """The lateness of one attempt, in portions; without a meter there is none."""

    def __init__(self, meter: LagMeter | None) -> None:
        self._meter = meter
        self._lateness: Lateness | None = None
        self.total_s = 0.0
        """Of the whole attempt."""
        self.task_s = 0.0
        """Since the present task began."""

    def start(self) -> None:
        """Measure from now on."""
        if self._meter is not None:
            self._lateness = self._meter.start()

    def stop(self) -> None:
        """Measure no more."""
        if self._meter is not None and self._lateness is not None:
            self._meter.stop()
            self._lateness = None

    def take(self) -> float:
        """Seconds that have come since this was last asked; small ones wait for more."""
        if self._lateness is None:
            return 0.0
        late = self._lateness.held_up_s - self.total_s
        if late < NOTED_S:
            return 0.0
        self.total_s += late
        self.task_s += late
        return late

    def explain(self, reason: str) -> str:
        """The reason of a failure with our part in it; empty stays empty."""
        held_up = f"this panel itself was held up for {span(self.task_s)} meanwhile"
        return f"{reason.rstrip('.')}; {held_up}." if reason else ""
