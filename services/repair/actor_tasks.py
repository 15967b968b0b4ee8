"""Runs the steps an actor yields in one task; every failure is a value."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from services.errors import WakedeckError
from services.models import Step, StepState
from services.sources.protocol.verdict import Verdict

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TaskResult:
    """How the steps ended; `reason` is empty where all went well."""

    reason: str = ""
    transient: bool = False
    """The failure may pass by itself."""
    stopped: bool = False
    """We ended it."""
    verdict: Verdict | None = None
    """What the failure means, where the step said so."""
    advice: str = ""
    done_text: str = ""
    """The detail of the last step that ended well, or had nothing to do."""


class ActorTask:
    """Runs a wake or the connect steps; starts at once.

    Closing the actor's iterator ends its children, which is how `stop` stops.
    """

    def __init__(
        self,
        steps: Callable[[], AsyncIterator[Step | Verdict]],
        on_step: Callable[[Step], None],
    ) -> None:
        self._steps = steps
        self._on_step = on_step
        self._critical: set[str] = set()
        self._stopping = False
        self._done_text = ""
        self.task = asyncio.create_task(self._run())

    @property
    def done(self) -> bool:
        """Whether it has ended and let go of everything."""
        return self.task.done()

    @property
    def critical(self) -> bool:
        """Whether a step that must not be interrupted runs now."""
        return bool(self._critical)

    @property
    def outcome(self) -> TaskResult:
        """How it ended; only once `done`."""
        return self._stopped if self.task.cancelled() else self.task.result()

    def stop(self) -> None:
        """Close the iterator now."""
        self._stopping = True
        self.task.cancel()

    def stop_after_critical(self) -> None:
        """Close the iterator as soon as no critical step runs."""
        self._stopping = True

    async def _run(self) -> TaskResult:
        iterator: AsyncIterator[Step | Verdict] | None = None
        verdict: Verdict | None = None
        try:
            iterator = self._steps()
            async for step in iterator:
                if isinstance(step, Verdict):
                    verdict = step
                    continue
                self._note(step)
                if step.state is StepState.FAILED:
                    reason = step.detail or f"{step.name} failed"
                    return TaskResult(reason, step.transient, verdict=verdict)
                if step.state in (StepState.OK, StepState.SKIPPED):
                    self._done_text = step.detail
                if self._stopping and not self._critical:
                    return self._stopped
        except WakedeckError as error:
            _LOG.info("a step failed: %s", error, exc_info=error)
            return TaskResult(error.sentence, advice=error.advice)
        except Exception as error:
            _LOG.error("a step failed unexpectedly", exc_info=error)
            return TaskResult(f"internal error: {type(error).__name__}")
        finally:
            await _close(iterator)
        return TaskResult(done_text=self._done_text)

    @property
    def _stopped(self) -> TaskResult:
        return TaskResult("It was stopped.", stopped=True, done_text=self._done_text)

    def _note(self, step: Step) -> None:
        if step.critical and step.state is StepState.RUNNING:
            self._critical.add(step.name)
        else:
            self._critical.discard(step.name)
        self._on_step(step)


async def _close(iterator: AsyncIterator[Step | Verdict] | None) -> None:
    close = getattr(iterator, "aclose", None)
    if close is None:
        return
    try:
        await close()
    except Exception:
        _LOG.exception("steps could not be closed")
