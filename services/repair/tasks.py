"""The tasks of one attempt: wake or confirmed action, then connect; every failure is a value."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

from services.errors import WakedeckError
from services.lazy_dataclass import dataclass
from services.models import SandboxId, Step, StepState
from services.repair.locks import LockRequest, RepairLocks
from services.repair.machine import LockBusy, RepairEvent, WakeFailed
from services.sources.protocol.proposer import Proposal
from services.sources.protocol.source import OpenSource
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
                if step.state is StepState.FAILED and not step.best_effort:
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


class RepairTasks:
    """Starts and stops the tasks of one attempt under the lock of its gateway."""

    def __init__(
        self,
        source: OpenSource,
        sandbox: SandboxId,
        locks: RepairLocks,
        on_step: Callable[[Step, bool], None],
        proposal: Proposal | None = None,
    ) -> None:
        """`on_step` is given every step, and whether it is one of the link."""
        self.unawaited: list[ActorTask] = []
        """What was started and is no longer waited for."""
        self.lock = LockRequest(locks, sandbox.source, lambda: source.actor.wake_key(sandbox))
        self._source = source
        self._sandbox = sandbox
        self._proposal = proposal
        self._on_step = on_step
        self._work: ActorTask | None = None

    @property
    def task(self) -> asyncio.Task[TaskResult] | None:
        """What runs or has ended, until it is forgotten."""
        return None if self._work is None else self._work.task

    @property
    def running(self) -> bool:
        """Whether something has not ended yet."""
        return self._work is not None and not self._work.done

    @property
    def critical(self) -> bool:
        """Whether a step that must not be interrupted runs now."""
        return self._work is not None and self.running and self._work.critical

    @property
    def outcome(self) -> TaskResult | None:
        """How it ended; None while nothing has."""
        return None if self._work is None or self.running else self._work.outcome

    def begin_wake(self) -> RepairEvent | None:
        """Acquire the lock and start; an event where nothing could be started."""
        try:
            acquired = self.lock.acquire()
        except Exception as error:
            _LOG.exception("the gateway of %s cannot be named", self._sandbox)
            return WakeFailed(f"internal error: {type(error).__name__}")
        if not acquired:
            return LockBusy()
        self._work = ActorTask(self._wake_steps, lambda step: self._on_step(step, False))
        return None

    def begin_connect(self) -> None:
        """Start the connect steps."""
        actor, sandbox = self._source.actor, self._sandbox
        self._work = ActorTask(
            lambda: actor.connect(sandbox), lambda step: self._on_step(step, True)
        )

    def stop(self) -> None:
        """End what runs now."""
        if self._work is not None:
            self._work.stop()

    def stop_after_critical(self) -> None:
        """End what runs as soon as no critical step does."""
        if self._work is not None:
            self._work.stop_after_critical()

    def abandon(self) -> None:
        """Wait no longer: a critical step is left alone, anything else is asked once more."""
        if self._work is not None:
            if not self._work.critical:
                self._work.stop()
            self._forget(self._work)

    def stop_now(self) -> None:
        """Stop what runs, critical or not, without waiting: the panel itself is ended."""
        if self._work is not None:
            self._work.stop()
            self._forget(self._work)

    def _forget(self, work: ActorTask) -> None:
        self.unawaited.append(work)
        self._work = None

    def _wake_steps(self) -> AsyncIterator[Step]:
        proposal, proposer = self._proposal, self._source.proposer
        if proposal is None or proposer is None:
            return self._source.actor.wake(self._sandbox)
        return proposer.carry_out(proposal)
