"""The steps of a verb, each from its beginning to its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

from services.clock import Clock
from services.errors import DeadlineError, ShellError, WakedeckError
from services.lazy_dataclass import dataclass
from services.models import Retry, Step, StepState


class StepBuilder:
    """Makes the steps of one name; times are those of the clock."""

    def __init__(
        self, name: str, clock: Clock, limit_s: float | None = None, *, critical: bool = False
    ) -> None:
        self._clock = clock
        self.begun = Step(name, StepState.RUNNING, clock.now(), limit_s=limit_s, critical=critical)
        """The running step, as it was last described."""

    def running(self, detail: str, *, limit_s: float | None = None, critical: bool = False) -> Step:
        """Still running, with something to say; what it says of limits holds to the end."""
        self.begun = replace(
            self.begun,
            detail=detail,
            limit_s=self.begun.limit_s if limit_s is None else limit_s,
            critical=critical or self.begun.critical,
        )
        return self.begun

    def ok(self, detail: str = "", *, outcome: str = "") -> Step:
        """Ended well; `outcome` is what was done, as a clause of the conclusion."""
        return replace(self._finish(StepState.OK, detail), outcome=outcome)

    def skipped(self, detail: str) -> Step:
        """Not needed, or not possible and not worth failing for."""
        return self._finish(StepState.SKIPPED, detail)

    def failed(self, detail: str, *, transient: bool = False) -> Step:
        """Ended badly; `transient` where trying again may help."""
        return self._finish(StepState.FAILED, detail, transient)

    def not_done(self, detail: str, outcome: str) -> Step:
        """Ended badly, which fails nothing; `outcome` is said in the conclusion."""
        return replace(self._finish(StepState.FAILED, detail), best_effort=True, outcome=outcome)

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


@dataclass(frozen=True, slots=True)
class LinkStep:
    """One step: what it does gives the words for its success."""

    name: str
    limit_s: float
    do: Callable[[], Awaitable[str]]
    critical: bool = False


async def run_steps(steps: tuple[LinkStep, ...], clock: Clock) -> AsyncIterator[Step]:
    """Do them in order; a failed one ends it."""
    for one in steps:
        step = StepBuilder(one.name, clock, one.limit_s, critical=one.critical)
        yield step.begun
        try:
            async with asyncio.timeout(one.limit_s):
                said = await one.do()
        except TimeoutError:
            yield step.failed(f"It took longer than {one.limit_s:g} s.", transient=True)
            return
        except WakedeckError as error:
            words = f"{error.sentence} {error.advice}".strip()
            yield step.failed(words, transient=_is_transient(error))
            return
        yield step.ok(said)


def _is_transient(error: WakedeckError) -> bool:
    """Whether it may pass by itself."""
    if isinstance(error, ShellError):
        return error.retry is Retry.AUTO
    return isinstance(error, DeadlineError)
