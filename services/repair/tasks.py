"""The tasks of one attempt: wake or confirmed action, then connect, one at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

from services.models import SandboxId, Step
from services.repair.actor_tasks import ActorTask, TaskResult
from services.repair.events import LockBusy, RepairEvent, WakeFailed
from services.repair.locks import LockRequest, RepairLocks
from services.sources.protocol.proposer import Proposal
from services.sources.protocol.source import OpenSource

_LOG = logging.getLogger(__name__)


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
