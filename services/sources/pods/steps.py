"""The link steps of a pod source, each yielded as it begins and as it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

from services.clock import Clock
from services.errors import DeadlineError, ShellError, WakedeckError
from services.models import Retry, Step, StepState


@dataclass(frozen=True, slots=True)
class LinkStep:
    """One step: what it does gives the words for its success."""

    name: str
    limit_s: float
    do: Callable[[], Awaitable[str]]
    critical: bool = False


async def run(steps: tuple[LinkStep, ...], clock: Clock) -> AsyncIterator[Step]:
    """Do them in order; a failed one ends it."""
    for one in steps:
        step = Step(
            one.name,
            StepState.RUNNING,
            clock.now(),
            limit_s=one.limit_s,
            critical=one.critical,
        )
        yield step
        try:
            async with asyncio.timeout(one.limit_s):
                said = await one.do()
        except TimeoutError:
            late = f"It took longer than {one.limit_s:g} s."
            yield _finish(step, StepState.FAILED, late, clock, transient=True)
            return
        except WakedeckError as error:
            words = f"{error.sentence} {error.advice}".strip()
            yield _finish(step, StepState.FAILED, words, clock, transient=_is_transient(error))
            return
        yield _finish(step, StepState.OK, said, clock)


def _is_transient(error: WakedeckError) -> bool:
    """Whether it may pass by itself."""
    if isinstance(error, ShellError):
        return error.retry is Retry.AUTO
    return isinstance(error, DeadlineError)


def _finish(
    step: Step, state: StepState, detail: str, clock: Clock, *, transient: bool = False
) -> Step:
    return replace(step, state=state, detail=detail, ended_at=clock.now(), transient=transient)
