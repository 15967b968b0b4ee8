"""Runs one attempt: events into the transition table, its effects carried out."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, assert_never

from services.board.lag import LagMeter
from services.clock import Clock
from services.models import Attempt, AttemptState, Step, Verb
from services.repair.lateness import HELD_UP_S, OwnLateness
from services.repair.limits import Deadlines, Limits
from services.repair.locks import RepairLocks
from services.repair.machine import (
    CancelRequested,
    ConnectFailed,
    ConnectOk,
    Critical,
    Deadline,
    Drained,
    Effect,
    FailureKind,
    LockAcquired,
    ProbeResult,
    RepairEvent,
    Requested,
    WakeFailed,
    WakeOk,
    record_error,
    transition,
)
from services.repair.messages import to_told
from services.repair.probes import FIRST_POLL_S, Probes, redact_verdict
from services.repair.steps import StepTracker, apply_transition, remark
from services.repair.tasks import RepairTasks
from services.sources.protocol.proposer import Proposal
from services.sources.protocol.source import OpenSource
from services.sources.protocol.verdict import Verdict, VerdictKind
from services.text.redact import redact_line

STRAY_S = 1.0
"""How long the final probe waits for one that was cut off."""
_SHORTEST_S = 0.001
_LOG = logging.getLogger(__name__)


class AttemptRun:
    """Runs one attempt to its end: call `begin` once, then `drive` once."""

    def __init__(
        self,
        attempt: Attempt,
        source: OpenSource,
        *,
        clock: Clock,
        locks: RepairLocks,
        limits: Limits,
        publish: Callable[[Attempt], None],
        proposal: Proposal | None = None,
        lag: LagMeter | None = None,
    ) -> None:
        """`proposal` is what the operator confirmed: it replaces the wake."""
        self.attempt = self._record = attempt
        """As it is told, and as the machine has it."""
        self.over = asyncio.Event()
        self._clock = clock
        self._limits = limits
        self._publish = publish
        self._deadlines = Deadlines(clock, limits)
        self._tracker = StepTracker()
        self._wakeup = asyncio.Event()
        self._queued_events: deque[RepairEvent] = deque()
        self._cancel_requested = False
        self._closing = False
        self._closed = False
        sandbox = attempt.sandbox
        self._probes = Probes(source.observer.probe, sandbox, clock, limits.probe_s)
        self.work = RepairTasks(source, sandbox, locks, self._on_step, proposal)
        self._lateness = OwnLateness(lag)
        self._failed_connect = ""
        self._lock_is_new = False
        self._final_probe = False

    def begin(self) -> None:
        """Request it: the first probe has been started when this returns."""
        self._apply(Requested(self._record.verb, self._record.confirmed))

    def request(self, verb: Verb) -> None:
        """Join it; a reconnect turns a wake into a reconnect."""
        if not self._record.state.ended:
            self._apply(Requested(verb))

    def request_cancel(self, *, closing: bool = False) -> None:
        """Request cancellation, as soon as it is safe; `closing` skips the final probe."""
        self._cancel_requested = not self._closed
        self._closing = self._closing or closing
        self._wakeup.set()
        self._publish_change()

    @property
    def joinable(self) -> bool:
        """Whether a request joins it: until everything it started has ended."""
        return not self._closed

    @property
    def skips_verify(self) -> bool:
        """Whether it is a confirmed action that is not verified: no request can join it."""
        confirmed = self._record.confirmed
        return confirmed is not None and confirmed.skips_verify

    async def drive(self) -> None:
        """Run to the end; no failure of a source escapes."""
        self._lateness.start()
        try:
            try:
                while not self._record.state.ended:
                    self._apply(await self._next())
            except Exception as error:
                _LOG.exception("attempt %s", self.attempt.id)
                reason = f"internal error: {type(error).__name__}"
                failed = record_error(self._record, reason)
                self._record = replace(failed, state=AttemptState.FAILED)
            await self._finish()
        finally:
            if not self._closed:
                cut = AttemptState.CANCELLED
                self._record = replace(self._record, state=cut, cancelling=True)
                self.work.stop_now()
                self._close("cancelled")
            self._probes.drop()
            self._lateness.stop()
            self.over.set()

    async def _next(self) -> RepairEvent:
        while (event := self._pending_event()) is None:
            await self._pause()
        return event

    def _pending_event(self) -> RepairEvent | None:
        """The next event for the table, or None; starts a probe that is due."""
        self._take_lag()
        record = self._record
        active = record.state in (AttemptState.CONNECT, AttemptState.WAKE)
        if active and self.work.critical != record.critical:
            return Critical(self.work.critical)
        if self._queued_events:
            return self._queued_events.popleft()
        if self._cancel_requested and not record.cancelling:
            return CancelRequested()
        if (event := self._probe_event()) is not None:
            return event
        if (event := self._task_event()) is not None:
            return event
        if self._clock.monotonic() >= self._deadlines.at(record):
            if record.state is AttemptState.CONNECT and self._failed_connect:
                return ConnectFailed(self._failed_connect, FailureKind.TERMINAL)
            return Deadline(self._deadlines.reason(record))
        if record.state is AttemptState.VERIFY and self._probes.take_turn():
            if record.waiting and self.work.lock.acquire():
                return LockAcquired()
            self._probes.begin()
        return None

    def _probe_event(self) -> RepairEvent | None:
        verdict = self._probes.take()
        if verdict is None:
            return None
        if self._record.state is AttemptState.CONNECT:
            return ConnectFailed(self._failed_connect, _failure_kind(verdict))
        return ProbeResult(verdict)

    def _task_event(self) -> RepairEvent | None:
        outcome, phase = self.work.outcome, self._record.state
        if phase is AttemptState.DRAIN and not self.work.running:
            return self._drained()
        if outcome is None or self._failed_connect:
            return None
        reason = redact_line(outcome.reason)
        if late := self._lateness.task_s >= HELD_UP_S:
            reason = self._lateness.explain(reason)
        if phase is AttemptState.WAKE:
            if not reason:
                return WakeOk(self._done_text())
            return WakeFailed(reason, redact_line(outcome.advice))
        if phase is not AttemptState.CONNECT:
            return None
        if not reason:
            return ConnectOk()
        if (verdict := outcome.verdict) is not None and not late:
            return ConnectFailed(reason, _failure_kind(verdict), redact_verdict(verdict))
        if outcome.transient or late:
            return ConnectFailed(reason, FailureKind.TRANSIENT)
        # What it means is for a probe to say.
        self._failed_connect = reason
        self._probes.begin()
        return None

    def _take_lag(self) -> float:
        """Take note of how long this process was held up: no limit runs meanwhile."""
        late = self._lateness.take()
        self._deadlines.extend(late)
        self._probes.extend(late)
        return late

    def _drained(self) -> Drained:
        """The end of a drain: why a critical step failed, what a confirmed action did."""
        outcome = self.work.outcome
        if outcome is None or not self._record.critical or outcome.stopped:
            return Drained("", self._done_text())
        return Drained(redact_line(outcome.reason), self._done_text())

    def _done_text(self) -> str:
        """What a confirmed action says it did; nothing of the connect steps after it."""
        outcome = self.work.outcome
        if outcome is None or self._record.confirmed is None or self._record.connects:
            return ""
        return redact_line(outcome.done_text)

    def _apply(self, event: RepairEvent) -> None:
        before = self._record
        after, effects = transition(before, event)
        self._record = after
        self._deadlines.moved(before, after)
        if before.state is not after.state:
            self._probes.drop()
            self._failed_connect = ""
            self._lateness.task_s = 0.0
            # A connect that failed is tried again a little later each time.
            wait = {AttemptState.PROBE: FIRST_POLL_S, AttemptState.CONNECT: float(after.connects)}
            self._probes.pace(wait.get(before.state, 0.0))
        if isinstance(event, ProbeResult | LockAcquired):
            self._lock_is_new = isinstance(event, LockAcquired)
        now = self._clock.now()
        apply_transition(
            self._tracker,
            before,
            after,
            event,
            now=now,
            limit_s=self._limit_s(after),
            owner=self.work.lock.owner,
        )
        for effect in effects:
            self._run_effect(effect)
        if after.state not in (AttemptState.WAKE, AttemptState.DRAIN) and not (
            self._lock_is_new and after.state is AttemptState.VERIFY
        ):
            self.work.lock.release()
        self._publish_change()

    def _limit_s(self, record: Attempt) -> float:
        if record.state is AttemptState.VERIFY:
            return self._limits.lock_s if record.waiting else self._deadlines.verify_s(record)
        return self._limits.probe_s

    def _run_effect(self, effect: Effect) -> None:
        remark(self._tracker, effect)
        match effect:
            case Effect.PROBE:
                self._probes.begin()
            case Effect.WAKE:
                if (event := self.work.begin_wake()) is not None:
                    self._queued_events.append(event)
                else:
                    self._tracker.reset_connect("")
            case Effect.CONNECT:
                self._tracker.reset_connect("")
                self.work.begin_connect()
            case Effect.STOP:
                self.work.stop()
            case Effect.LET_FINISH:
                self.work.stop_after_critical()
            case Effect.ABANDON:
                self.work.abandon()
            case Effect.FINAL_PROBE:
                self._final_probe = True
            case _:
                assert_never(effect)

    def _on_step(self, step: Step, of_connect: bool) -> None:
        self._tracker.record(step, self._clock.now(), of_connect=of_connect)
        self._publish_change()
        self._wakeup.set()

    async def _pause(self) -> None:
        """Wait for the next thing that can happen, saying meanwhile what is slow."""
        now = self._clock.monotonic()
        instants = [self._deadlines.at(self._record)]
        probe_task = self._probes.task
        if probe_task is not None:
            instants.append(self._probes.until)
        elif self._record.state is AttemptState.VERIFY:
            instants.append(self._probes.poll_at)
        slow_in = self._tracker.announce(self._clock.now())
        self._publish_change()
        if slow_in is not None:
            instants.append(now + slow_in)
        tasks = [
            task for task in (probe_task, self.work.task) if task is not None and not task.done()
        ]
        await self._wait(min(instants) - now, *tasks)

    async def _wait(self, seconds: float, *tasks: asyncio.Future[Any]) -> None:
        """Until one of `tasks` is done, a nudge comes or the seconds are over."""
        timer = asyncio.ensure_future(self._clock.sleep(max(seconds, _SHORTEST_S)))
        nudge = asyncio.ensure_future(self._wakeup.wait())
        try:
            await asyncio.wait((timer, nudge, *tasks), return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            nudge.cancel()
            self._wakeup.clear()

    async def _finish(self) -> None:
        """Wait for what was started, publish the end, then probe once more for display."""
        until = self._clock.monotonic() + self._limits.drain_s
        while (task := self.work.task) is not None and not task.done():
            until += self._take_lag()
            left = until - self._clock.monotonic()
            if left <= 0:
                self._record = replace(self._record, abandoned=True)
                self.work.abandon()
                break
            await self._wait(left, task)
        cancelled = self._record.state is AttemptState.CANCELLED
        self._close("cancelled" if cancelled else "not finished")
        if self._final_probe and not self._closing:
            if (stray := self._probes.stray) is not None:
                await self._wait(STRAY_S, stray)
            self._probes.begin()
            while (probe_task := self._probes.task) is not None and not self._closing:
                if (seen := self._probes.take()) is not None:
                    self._publish_change(seen)
                    break
                await self._wait(self._probes.until - self._clock.monotonic(), probe_task)

    def _close(self, cut: str) -> None:
        """Publish the end; `cut` is what became of a step that still ran."""
        self._probes.drop()
        self.work.lock.release()
        now = self._clock.now()
        self._tracker.finish(cut, now)
        self._closed = True
        self._record = replace(self._record, ended_at=now)
        self._publish_change()

    def _publish_change(self, seen: Verdict | None = None) -> None:
        """Publish the attempt as it stands, if that is news."""
        new = to_told(
            self._record,
            self._tracker.steps,
            last=self.attempt.state,
            cancelling=self._cancel_requested,
            seen=seen,
            held_up_s=self._lateness.total_s,
        )
        if new != self.attempt:
            self.attempt = new
            self._publish(new)


def _failure_kind(verdict: Verdict) -> FailureKind:
    """What a failed link step is, judged by the probe after it."""
    if verdict.kind is VerdictKind.SETTLING:
        return FailureKind.TRANSIENT
    if verdict.kind is VerdictKind.REPAIRABLE and verdict.wakeable:
        return FailureKind.REPAIRABLE
    return FailureKind.TERMINAL
