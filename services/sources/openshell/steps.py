"""One visible step from its beginning to its end."""

from __future__ import annotations

from dataclasses import replace

from services.clock import Clock
from services.models import Step, StepState


class Stage:
    """Makes the steps of one name; times are those of the clock."""

    def __init__(self, name: str, limit_s: float, clock: Clock, detail: str = "") -> None:
        self._clock = clock
        self.begun = Step(name, StepState.RUNNING, clock.now(), limit_s=limit_s, detail=detail)

    def running(self, detail: str) -> Step:
        """Still running, with something to say."""
        return replace(self.begun, detail=detail)

    def ok(self, detail: str = "") -> Step:
        """Ended well."""
        return self._finish(StepState.OK, detail)

    def skipped(self, detail: str) -> Step:
        """Not needed, or not possible and not worth failing for."""
        return self._finish(StepState.SKIPPED, detail)

    def failed(self, detail: str, *, transient: bool = False) -> Step:
        """Ended badly; `transient` where trying again may help."""
        return self._finish(StepState.FAILED, detail, transient)

    def _finish(self, state: StepState, detail: str, transient: bool = False) -> Step:
        return replace(
            self.begun,
            state=state,
            ended_at=self._clock.now(),
            detail=detail,
            transient=transient,
        )


def skipped_step(name: str, detail: str, clock: Clock) -> Step:
    """A step that was not needed: begun and over at once, so that it keeps its place."""
    now = clock.now()
    return Step(name, StepState.SKIPPED, now, now, detail=detail)
