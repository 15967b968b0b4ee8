"""One attempt carried out: waits for what happens, asks the table, does what it says."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from services.clock import Clock
from services.models import (
    Attempt,
    AttemptState,
    Step,
    Verb,
    Verdict,
    VerdictKind,
)
from services.repair.deadlines import Deadlines
from services.repair.events import (
    Agreed,
    CancelAsked,
    Critical,
    Deadline,
    Effect,
    Failure,
    Gone,
    Judged,
    Linked,
    LinkFailed,
    Pressed,
    Progress,
    RepairEvent,
    TurnCame,
    WakeFailed,
    Woken,
)
from services.repair.limits import Limits
from services.repair.locks import Turns
from services.repair.machine import transition
from services.repair.messages import portray
from services.repair.probes import Looks, harmless, tidy
from services.repair.step_changes import mark, remark
from services.repair.steps import Ledger
from services.repair.tasks import Undertaking
from services.sources import OpenSource, Proposal

FIRST_POLL_S = 0.5
LONGEST_POLL_S = 2.0
_POLL_GROWTH = 1.5
STRAY_S = 1.0
"""How long the look for display waits for one that was cut off to be gone."""
_SHORTEST_S = 0.001
_LOG = logging.getLogger(__name__)


class Run:
    """Carries one attempt from the press to its end: `begin` once, then `drive` once."""

    def __init__(
        self,
        attempt: Attempt,
        source: OpenSource,
        *,
        clock: Clock,
        turns: Turns,
        limits: Limits,
        publish: Callable[[Attempt], None],
        proposal: Proposal | None = None,
    ) -> None:
        """`proposal` is what the operator agreed to: it takes the place of the wake."""
        self.attempt = attempt
        self.over = asyncio.Event()
        self._agreed = (
            None if proposal is None else Agreed(harmless(proposal.act), proposal.goal is None)
        )
        self._clock = clock
        self._limits = limits
        self._publish = publish
        self._progress = Progress()
        self._deadlines = Deadlines(clock, limits)
        self._ledger = Ledger()
        self._nudge = asyncio.Event()
        self._follow: deque[RepairEvent] = deque()
        self._cancel_asked = False
        self._closing = False
        self._closed = False
        sandbox = attempt.sandbox
        self._looks = Looks(source.observer.probe, sandbox, clock, limits.probe_s)
        self.work = Undertaking(source, sandbox, turns, self._note, proposal)
        self._failed_link = ""
        self._turn_is_new = False
        self._poll_s = FIRST_POLL_S
        self._poll_at = 0.0
        self._show = False

    def begin(self) -> None:
        """Press it: the first probe is on its way when this returns."""
        self._apply(Pressed(self.attempt.verb, self._agreed))

    def press(self, verb: Verb) -> None:
        """Join it; a reconnect lifts a wake."""
        if not self._progress.phase.ended:
            self._apply(Pressed(verb))

    def ask_cancel(self, *, closing: bool = False) -> None:
        """Have it stop as soon as that is safe; `closing` leaves out the last look."""
        self._cancel_asked = not self._closed
        self._closing = self._closing or closing
        self._nudge.set()
        self._tell()

    @property
    def joinable(self) -> bool:
        """Whether a press joins it: until all it had started is gone."""
        return not self._closed

    @property
    def rests(self) -> bool:
        """Whether it is an agreed act that ends by itself: nothing else can be made of it."""
        return self._agreed is not None and self._agreed.rests

    async def drive(self) -> None:
        """Go on to the end; no failure of a source escapes."""
        try:
            try:
                while not self._progress.phase.ended:
                    self._apply(await self._next())
            except Exception as error:
                _LOG.exception("attempt %s", self.attempt.id)
                reason = f"internal error: {type(error).__name__}"
                self._progress = replace(
                    self._progress,
                    phase=AttemptState.FAILED,
                    original=self._progress.original or reason,
                    last=reason if self._progress.original else "",
                )
            await self._finish()
        finally:
            if not self._closed:
                cut = AttemptState.CANCELLED
                self._progress = replace(self._progress, phase=cut, cancelling=True)
                self.work.cut()
                self._close("cancelled")
            self._looks.drop()
            self.over.set()

    async def _next(self) -> RepairEvent:
        while (event := self._happened()) is None:
            await self._pause()
        return event

    def _happened(self) -> RepairEvent | None:
        """What the table has not been told yet, or nothing; begins a look that is due."""
        state = self._progress
        active = state.phase in (AttemptState.PRIME, AttemptState.WAKE)
        if active and self.work.critical != state.critical:
            return Critical(self.work.critical)
        if self._follow:
            return self._follow.popleft()
        if self._cancel_asked and not state.cancelling:
            return CancelAsked()
        if (event := self._looked()) is not None:
            return event
        if (event := self._worked()) is not None:
            return event
        now = self._clock.monotonic()
        if now >= self._deadlines.at(state):
            if state.phase is AttemptState.PRIME and self._failed_link:
                return LinkFailed(self._failed_link, Failure.TERMINAL)
            return Deadline(self._deadlines.reason(state))
        if state.phase is AttemptState.VERIFY and self._looks.task is None and now >= self._poll_at:
            return self._poll(now)
        return None

    def _looked(self) -> RepairEvent | None:
        verdict = self._looks.take()
        if verdict is None:
            return None
        if self._progress.phase is AttemptState.PRIME:
            return LinkFailed(self._failed_link, _meaning(verdict))
        return Judged(verdict)

    def _worked(self) -> RepairEvent | None:
        outcome, phase = self.work.outcome, self._progress.phase
        if phase is AttemptState.DRAIN and not self.work.running:
            return self._gone()
        if outcome is None or self._failed_link:
            return None
        reason = harmless(outcome.reason)
        if phase is AttemptState.WAKE:
            return WakeFailed(reason, harmless(outcome.advice)) if reason else self._woken()
        if phase is not AttemptState.PRIME:
            return None
        if not reason:
            return Linked()
        if (said := outcome.verdict) is not None:
            return LinkFailed(reason, _meaning(said), tidy(said))
        if outcome.transient:
            return LinkFailed(reason, Failure.TRANSIENT)
        # What it means is for a probe to say.
        self._failed_link = reason
        self._looks.begin()
        return None

    def _woken(self) -> Woken:
        return Woken(self._said())

    def _gone(self) -> Gone:
        """What was drained is over: why a critical step failed, and what an agreed act did."""
        outcome = self.work.outcome
        if outcome is None or not self._progress.critical or outcome.stopped:
            return Gone("", self._said())
        return Gone(harmless(outcome.reason), self._said())

    def _said(self) -> str:
        """What an agreed act says it did; nothing of the link steps after it."""
        outcome = self.work.outcome
        state = self._progress
        if outcome is None or state.agreed is None or state.primes:
            return ""
        return harmless(outcome.said)

    def _poll(self, now: float) -> RepairEvent | None:
        self._poll_at = now + self._poll_s
        self._poll_s = min(self._poll_s * _POLL_GROWTH, LONGEST_POLL_S)
        if self._progress.waiting and self.work.turn.take():
            return TurnCame()
        self._looks.begin()
        return None

    def _apply(self, event: RepairEvent) -> None:
        before = self._progress
        after, effects = transition(before, event)
        self._progress = after
        self._deadlines.moved(before, after)
        if before.phase is not after.phase:
            self._looks.drop()
            self._failed_link = ""
            self._poll_s = FIRST_POLL_S
            # A link that failed is tried again a little later each time.
            wait = {AttemptState.PROBE: FIRST_POLL_S, AttemptState.PRIME: float(after.primes)}
            self._poll_at = self._clock.monotonic() + wait.get(before.phase, 0.0)
        if isinstance(event, Judged | TurnCame):
            self._turn_is_new = isinstance(event, TurnCame)
        now = self._clock.now()
        mark(
            self._ledger,
            before,
            after,
            event,
            now=now,
            limit_s=self._limit_s(after),
            busy=self.work.turn.busy,
        )
        for effect in effects:
            self._do(effect)
        if after.phase not in (AttemptState.WAKE, AttemptState.DRAIN) and not (
            self._turn_is_new and after.phase is AttemptState.VERIFY
        ):
            self.work.turn.release()
        self._tell()

    def _limit_s(self, state: Progress) -> float:
        if state.phase is AttemptState.VERIFY:
            return self._limits.turn_s if state.waiting else self._deadlines.verify_s(state)
        return self._limits.probe_s

    def _do(self, effect: Effect) -> None:
        remark(self._ledger, effect)
        match effect:
            case Effect.LOOK:
                self._looks.begin()
            case Effect.WAKE:
                if (event := self.work.begin_wake()) is not None:
                    self._follow.append(event)
                else:
                    self._ledger.forget_link("")
            case Effect.PRIME:
                self._ledger.forget_link("")
                self.work.begin_link()
            case Effect.STOP:
                self.work.stop()
            case Effect.LET_FINISH:
                self.work.stop_after_critical()
            case Effect.ABANDON:
                self.work.abandon()
            case Effect.SHOW:
                self._show = True

    def _note(self, step: Step, of_link: bool) -> None:
        self._ledger.note(step, self._clock.now(), of_link=of_link)
        self._tell()
        self._nudge.set()

    async def _pause(self) -> None:
        """Wait for the next thing that can happen, saying meanwhile what is slow."""
        now = self._clock.monotonic()
        instants = [self._deadlines.at(self._progress)]
        look = self._looks.task
        if look is not None:
            instants.append(self._looks.until)
        elif self._progress.phase is AttemptState.VERIFY:
            instants.append(self._poll_at)
        slow_in = self._ledger.announce(self._clock.now())
        self._tell()
        if slow_in is not None:
            instants.append(now + slow_in)
        tasks = [task for task in (look, self.work.task) if task is not None and not task.done()]
        await self._wait(min(instants) - now, *tasks)

    async def _wait(self, seconds: float, *tasks: asyncio.Future[Any]) -> None:
        """Until one of `tasks` is done, a nudge comes or the seconds are over."""
        timer = asyncio.ensure_future(self._clock.sleep(max(seconds, _SHORTEST_S)))
        nudge = asyncio.ensure_future(self._nudge.wait())
        try:
            await asyncio.wait((timer, nudge, *tasks), return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            nudge.cancel()
            self._nudge.clear()

    async def _finish(self) -> None:
        """See what was started end, publish the end, then look once more for display."""
        until = self._clock.monotonic() + self._limits.kill_s + self._limits.reap_s
        while (task := self.work.task) is not None and not task.done():
            left = until - self._clock.monotonic()
            if left <= 0:
                self._progress = replace(self._progress, abandoned=True)
                self.work.abandon()
                break
            await self._wait(left, task)
        cancelled = self._progress.phase is AttemptState.CANCELLED
        self._close("cancelled" if cancelled else "not finished")
        if self._show and not self._closing:
            if (stray := self._looks.stray) is not None:
                await self._wait(STRAY_S, stray)
            self._looks.begin()
            while (look := self._looks.task) is not None and not self._closing:
                if (seen := self._looks.take()) is not None:
                    self._tell(seen)
                    break
                await self._wait(self._looks.until - self._clock.monotonic(), look)

    def _close(self, cut: str) -> None:
        """Publish the end; `cut` is what became of a step that still ran."""
        self._looks.drop()
        self.work.turn.release()
        now = self._clock.now()
        self._ledger.finish(cut, now)
        self._closed = True
        self.attempt = replace(self.attempt, ended_at=now)
        self._tell()

    def _tell(self, seen: Verdict | None = None) -> None:
        """Publish the attempt as it stands, if that is news."""
        new = portray(
            self.attempt,
            self._progress,
            self._ledger.steps,
            cancelling=self._progress.cancelling or self._cancel_asked,
            seen=seen,
        )
        if new != self.attempt:
            self.attempt = new
            self._publish(new)


def _meaning(verdict: Verdict) -> Failure:
    """What a failed link step is, judged by the probe after it."""
    if verdict.kind is VerdictKind.SETTLING:
        return Failure.TRANSIENT
    if verdict.kind is VerdictKind.REPAIRABLE and verdict.wakeable:
        return Failure.REPAIRABLE
    return Failure.TERMINAL
