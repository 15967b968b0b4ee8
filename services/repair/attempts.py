"""The operator's wakes and reconnects: one attempt at a time for each sandbox."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from services.board.lag import LagMeter
from services.clock import Clock
from services.errors import NotFoundError, ReadOnlyError, RefusedError
from services.models import Attempt, AttemptState, Confirmed, SandboxId, Verb
from services.repair.limits import Limits
from services.repair.locks import RepairLocks
from services.sources.protocol.proposer import Proposal
from services.sources.protocol.source import OpenSource
from services.text.redact import redact_line
from services.text.sanitize import sanitize

if TYPE_CHECKING:
    from services.repair.runner import AttemptRun
    from services.repair.tasks import TaskResult

CLOSE_GRACE_S = 1.0
"""How long what was left running is waited for when the panel closes, in real seconds."""
_LOG = logging.getLogger(__name__)


class AttemptHandle:
    """Handle of one request: the attempt it started or joined."""

    def __init__(self, run: AttemptRun) -> None:
        self._run = run

    @property
    def attempt(self) -> Attempt:
        """As it stands now."""
        return self._run.attempt

    def cancel(self) -> None:
        """Stop the attempt, for everyone who joined it; honoured as soon as that is safe."""
        self._run.request_cancel()

    async def wait(self) -> Attempt:
        """The attempt once it is over; cancelling the waiting does not cancel the attempt."""
        await self._run.over.wait()
        return self._run.attempt


class Attempts:
    """Begins, joins and ends attempts; `on_change` is called on the loop at every change.

    `locks` is a folder for the lock files among panels. Only the newest attempt on a sandbox is
    told of.
    """

    def __init__(
        self,
        sources: Mapping[str, OpenSource],
        clock: Clock,
        locks: Path,
        on_change: Callable[[Attempt], None],
        limits: Limits | None = None,
        read_only: bool = False,
        lag: LagMeter | None = None,
        name_of: Callable[[SandboxId], str] = lambda one: one.native_id,
    ) -> None:
        """`lag` measures how late this process itself is; without it nothing is measured.

        `name_of` tells what the operator calls a sandbox.
        """
        self._sources = sources
        self._clock = clock
        self._locks = RepairLocks(locks)
        self._on_change = on_change
        self._limits = Limits() if limits is None else limits
        self._limits.check()
        self._read_only = read_only
        self._lag = lag
        self._name_of = name_of
        self._numbers = itertools.count(1)
        self._runs: dict[SandboxId, AttemptRun] = {}
        self._tasks: dict[asyncio.Task[None], AttemptRun] = {}
        self._unawaited: set[asyncio.Task[TaskResult]] = set()
        self._closed = False

    def request(self, verb: Verb, sandbox: SandboxId) -> AttemptHandle:
        """Start an attempt, or join the running one; never waits.

        Raises:
            ReadOnlyError: the panel only looks.
            RefusedError: the name cannot be one, or the panel is closing.
            NotFoundError: no such source.
        """
        source = self._actionable_source(sandbox)
        run = self._runs.get(sandbox)
        if run is None or not run.joinable:
            return AttemptHandle(self._begin(verb, sandbox, source))
        if run.skips_verify:
            raise RefusedError(f"{_busy_sentence(run)} Wait until it has ended.")
        run.request(verb)
        return AttemptHandle(run)

    def carry_out(self, proposal: Proposal) -> AttemptHandle:
        """Begin what the operator confirmed, under its gateway's lock; never joins or waits.

        Raises:
            ReadOnlyError: the panel only looks.
            RefusedError: an attempt is under way, it cannot be done, or the panel is closing.
            NotFoundError: no such source, or it has nothing of the kind.
        """
        sandbox = proposal.sandbox
        source = self._actionable_source(sandbox)
        if source.proposer is None or proposal.verb not in dict(source.proposer.verbs):
            raise NotFoundError(f"There is nothing of the kind for {sanitize(str(sandbox), 80)}.")
        if proposal.refusal:
            raise RefusedError(f"It cannot be done: {proposal.refusal}.")
        run = self._runs.get(sandbox)
        if run is not None and run.joinable:
            raise RefusedError(f"{_busy_sentence(run)} Cancel it, or wait until it has ended.")
        return AttemptHandle(self._begin(proposal.goal or Verb.WAKE, sandbox, source, proposal))

    def current(self, sandbox: SandboxId) -> Attempt | None:
        """The newest attempt on a sandbox, running or over."""
        run = self._runs.get(sandbox)
        return None if run is None else run.attempt

    async def close(self) -> None:
        """Cancel what runs and wait for it, within the limits of a drain or of a critical step."""
        self._closed = True
        for run in self._tasks.values():
            run.request_cancel(closing=True)
        patience = self._limits.drain_s + 1
        if any(run.work.critical for run in self._tasks.values()):
            patience = max(patience, self._limits.critical_s + 1)
        timer = asyncio.ensure_future(self._clock.sleep(patience))
        try:
            while self._tasks and not timer.done():
                await asyncio.wait((timer, *self._tasks), return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            for task in self._tasks:
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if left := {task for task in self._unawaited if not task.done()}:
            for stray in left:
                stray.cancel()
            await asyncio.wait(left, timeout=CLOSE_GRACE_S)

    def _actionable_source(self, sandbox: SandboxId) -> OpenSource:
        """The source of a sandbox, if anything may be begun on it."""
        name = sanitize(str(sandbox), 80)
        if self._read_only:
            raise ReadOnlyError(f"This panel was started read-only: {name} is left as it is.")
        if self._closed:
            raise RefusedError("The panel is closing.")
        source = self._sources.get(sandbox.source)
        if source is None:
            raise NotFoundError(f"There is no source called {sanitize(sandbox.source, 60)}.")
        if not sandbox.native_id.isprintable() or sandbox.native_id[:1] in ("", "-", " "):
            raise RefusedError(f"{name} is not a name that can be passed on safely.")
        return source

    def _begin(
        self,
        verb: Verb,
        sandbox: SandboxId,
        source: OpenSource,
        proposal: Proposal | None = None,
    ) -> AttemptRun:
        now = self._clock.now()
        attempt = Attempt(
            id=f"{int(now * 1000):x}-{next(self._numbers)}",
            sandbox=sandbox,
            verb=verb,
            state=AttemptState.IDLE,
            started_at=now,
            confirmed=_confirmed(proposal),
            name=self._name_of(sandbox),
        )
        from services.repair.runner import AttemptRun

        run = AttemptRun(
            attempt,
            source,
            clock=self._clock,
            locks=self._locks,
            limits=self._limits,
            publish=lambda changed: self._publish(run, changed),
            proposal=proposal,
            lag=self._lag,
        )
        self._runs[sandbox] = run
        run.begin()
        task = asyncio.create_task(run.drive(), name=f"attempt {attempt.id}")
        self._tasks[task] = run
        task.add_done_callback(self._ended)
        return run

    def _ended(self, task: asyncio.Task[None]) -> None:
        run = self._tasks.pop(task)
        for work in run.work.unawaited:
            self._unawaited.add(work.task)
            work.task.add_done_callback(self._unawaited.discard)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("an attempt ended badly", exc_info=error)

    def _publish(self, run: AttemptRun, attempt: Attempt) -> None:
        if self._runs.get(attempt.sandbox) is not run:
            return
        try:
            self._on_change(attempt)
        except Exception:
            _LOG.exception("a change of %s could not be taken in", attempt.sandbox)


def _confirmed(proposal: Proposal | None) -> Confirmed | None:
    if proposal is None:
        return None
    return Confirmed(redact_line(proposal.act), skips_verify=proposal.goal is None)


def _busy_sentence(run: AttemptRun) -> str:
    attempt = run.attempt
    doing = f"“{attempt.act}”" if attempt.act else f"a {attempt.verb.value}"
    name = sanitize(attempt.name or attempt.sandbox.native_id, 60)
    return f"There is {doing} under way on {name}."
