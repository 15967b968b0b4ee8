"""Wakes and confirmed actions of the far side: under the locks of this machine, steps first.

The lock is that of every panel on this machine. While another repair holds it, this one waits; what
that one has mended is left alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

from services.clock import Clock
from services.models import SandboxId, Step, StepState
from services.repair.locks import LockRequest, RepairLocks
from services.sources.protocol.proposer import Proposal, Proposer
from services.sources.protocol.source import OpenSource
from services.sources.protocol.steps import StepBuilder
from services.sources.protocol.verdict import Verdict, VerdictKind

LOCK_S = 300.0
"""How long another repair of the same gateway is waited for."""
_ASK_S = 0.5


class Verbs:
    """The verbs of the sources here; one lock at a time for each gateway."""

    def __init__(self, locks: RepairLocks, clock: Clock) -> None:
        self._locks = locks
        self._clock = clock

    def wake(self, source: OpenSource, sandbox: SandboxId) -> AsyncIterator[Step | Verdict]:
        """The steps of a wake, after the lock."""
        return self._locked(source, sandbox, lambda: source.actor.wake(sandbox), True)

    def carry_out(
        self, source: OpenSource, proposer: Proposer, proposal: Proposal
    ) -> AsyncIterator[Step | Verdict]:
        """The steps of what was confirmed, after the lock."""
        return self._locked(source, proposal.sandbox, lambda: proposer.carry_out(proposal), False)

    async def _locked(
        self,
        source: OpenSource,
        sandbox: SandboxId,
        steps: Callable[[], AsyncIterator[Step]],
        may_be_needless: bool,
    ) -> AsyncGenerator[Step | Verdict]:
        lock = LockRequest(self._locks, sandbox.source, lambda: source.actor.wake_key(sandbox))
        try:
            if not lock.acquire():
                waiting = StepBuilder("lock", self._clock, LOCK_S)
                yield waiting.running(f"waiting for {lock.owner}")
                until = self._clock.monotonic() + LOCK_S
                while not lock.acquire():
                    if self._clock.monotonic() > until:
                        yield waiting.failed(f"{lock.owner} did not end within {LOCK_S:g} s")
                        return
                    await self._clock.sleep(_ASK_S)
                yield waiting.ok("the other repair has ended")
                verdict = await source.observer.probe(sandbox) if may_be_needless else None
                if verdict is not None and not _wakes(verdict):
                    return
            items = steps()
            async with aclosing(items):  # type: ignore[type-var]
                async for step in items:
                    yield step
        finally:
            lock.release()


def _wakes(verdict: Verdict) -> bool:
    return verdict.kind is VerdictKind.REPAIRABLE and verdict.wakeable


class Uninterrupted:
    """Passes steps on; what ends it early waits for a step that must not be interrupted."""

    def __init__(self, steps: AsyncIterator[Step | Verdict]) -> None:
        self._steps = steps
        self._critical: set[str] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._leaving = False

    async def leave(self, limit_s: float) -> None:
        """Begin no other step, and wait until none runs that must not be interrupted."""
        self._leaving = True
        try:
            async with asyncio.timeout(limit_s):
                await self._idle.wait()
        except TimeoutError:
            pass

    async def items(self) -> AsyncGenerator[Step | Verdict]:
        """The steps, as long as it is not left."""
        async with aclosing(self._steps):  # type: ignore[type-var]
            async for step in self._steps:
                if isinstance(step, Step):
                    self._note(step)
                yield step
                if self._leaving and not self._critical:
                    return

    def _note(self, step: Step) -> None:
        if step.critical and step.state is StepState.RUNNING:
            self._critical.add(step.name)
        else:
            self._critical.discard(step.name)
        if self._critical:
            self._idle.clear()
        else:
            self._idle.set()
