"""The steps of one attempt as they are shown: merged by name, in order, slow ones announced.

Their words say what has happened, never what another part may be doing.
"""

from __future__ import annotations

from dataclasses import replace

from services.lazy_dataclass import dataclass
from services.models import Attempt, AttemptState, Step, StepState
from services.repair.machine import (
    ConnectFailed,
    ConnectOk,
    Effect,
    ProbeResult,
    RepairEvent,
    WakeFailed,
    WakeOk,
)
from services.text.redact import redact_line
from services.text.sanitize import sanitize

ANNOUNCED_S = (10.0, 60.0, 150.0)
"""When a running step says what it waits for."""
_AWAITED = {
    "check": "an answer to the first probe",
    "select": "the gateway to be selected",
    "start": "it to start",
    "wait": "it to serve",
    "sandbox": "the sandbox to be found",
    "forward": "the forwarded port",
    "credential": "a new credential",
    "connect": "the connection",
    "re-issue": "a new credential",
    "sleep": "it to go to sleep",
    "pod": "its pod to be made",
    "schedule": "a node to take it",
    "pull": "its image and its containers",
    "ready": "its controller to call it ready",
}
_ENDED = (StepState.OK, StepState.SKIPPED, StepState.FAILED)


@dataclass(slots=True)
class _TrackedStep:
    step: Step
    of_connect: bool = False
    announced: str = ""
    remark: str = ""


class StepTracker:
    """Tracks the steps of one attempt; instants are seconds since the epoch."""

    def __init__(self) -> None:
        self._steps: dict[str, _TrackedStep] = {}

    @property
    def steps(self) -> tuple[Step, ...]:
        """As to be shown now."""
        return tuple(_displayed(tracked) for tracked in self._steps.values())

    def record(self, step: Step, now: float, *, of_connect: bool = False) -> None:
        """Record a step as its actor reports it; text is sanitized and redacted."""
        name = sanitize(step.name, 40)
        tracked = self._steps.get(name)
        if tracked is None:
            tracked = self._steps[name] = _TrackedStep(Step(name, StepState.PENDING), of_connect)
        old = tracked.step
        restarted = old.state in _ENDED and step.state is StepState.RUNNING
        began = step.started_at
        if began is None and step.state not in (StepState.PENDING, StepState.SKIPPED):
            began = now if restarted or old.started_at is None else old.started_at
        ended = step.ended_at
        if ended is None and step.state in _ENDED:
            ended = now
        tracked.step = replace(
            step,
            name=name,
            limit_s=old.limit_s if step.limit_s is None else step.limit_s,
            detail=redact_line(step.detail, 300),
            outcome=redact_line(step.outcome, 300),
            started_at=began,
            ended_at=ended if step.state in _ENDED else None,
        )
        if began is not None and (restarted or old.started_at is None):
            self._move(name)
        if restarted or step.state is not StepState.RUNNING:
            tracked.announced = tracked.remark = ""

    def reset_connect(self, why: str) -> None:
        """The link steps will be done again."""
        for name, tracked in self._steps.items():
            if tracked.of_connect:
                detail = f"again, after: {why}" if why else ""
                tracked.step = Step(name, StepState.PENDING, detail=sanitize(detail, 300))
                tracked.announced = tracked.remark = ""

    def forget(self, name: str) -> None:
        """A step of ours will be done again."""
        if name in self._steps:
            self._steps[name] = _TrackedStep(Step(name, StepState.PENDING))

    def close(self, state: StepState, detail: str, now: float) -> None:
        """End every running step the same way."""
        for name, tracked in self._steps.items():
            if tracked.step.state is StepState.RUNNING:
                kept = detail or tracked.step.detail
                self.record(replace(tracked.step, name=name, state=state, detail=kept), now)

    def finish(self, cut: str, now: float) -> None:
        """Nothing goes on: what runs was cut off, what was to come is skipped."""
        self.close(StepState.FAILED, cut, now)
        for tracked in self._steps.values():
            if tracked.step.state is StepState.PENDING:
                tracked.step = replace(tracked.step, state=StepState.SKIPPED)

    def remark(self, text: str) -> None:
        """Say something on every running step, until it has more to say itself."""
        for tracked in self._steps.values():
            if tracked.step.state is StepState.RUNNING:
                tracked.remark = text

    def announce(self, now: float) -> float | None:
        """Update what slow steps say; the seconds until the next one has something to say."""
        waits: list[float] = []
        for tracked in self._steps.values():
            began = tracked.step.started_at
            if tracked.step.state is not StepState.RUNNING or began is None:
                continue
            elapsed = now - began
            passed = [limit for limit in ANNOUNCED_S if elapsed >= limit]
            if passed:
                tracked.announced = _announcement(tracked.step, passed[-1])
            waits += [limit - elapsed for limit in ANNOUNCED_S if elapsed < limit]
        return min(waits, default=None)

    def _move(self, name: str) -> None:
        """Put a step that begins after all that have begun and before all that have not."""
        tracked = self._steps.pop(name)
        begun = {n: other for n, other in self._steps.items() if other.step.started_at is not None}
        ahead = {n: other for n, other in self._steps.items() if other.step.started_at is None}
        self._steps = {**begun, name: tracked, **ahead}


def _announcement(step: Step, elapsed: float) -> str:
    awaited = _AWAITED.get(step.name, "it to end")
    safe = (
        "it is never interrupted, so a cancel waits for it"
        if step.critical
        else "cancelling is safe"
    )
    took = f"{elapsed:.0f} s" if elapsed < 120 else f"{elapsed / 60:g} min"
    return f"over {took}, waiting for {awaited}; {safe}"


def _displayed(tracked: _TrackedStep) -> Step:
    more = tracked.remark or tracked.announced
    if not more:
        return tracked.step
    detail = f"{tracked.step.detail} · {more}" if tracked.step.detail else more
    return replace(tracked.step, detail=detail)


def apply_transition(
    tracker: StepTracker,
    before: Attempt,
    after: Attempt,
    event: RepairEvent,
    *,
    now: float,
    limit_s: float,
    owner: str,
) -> None:
    """Update the steps; `limit_s` is that of the state entered, `owner` holds the lock.

    `now` is seconds since the epoch.
    """
    match event:
        case WakeOk() | ConnectOk():
            tracker.close(StepState.OK, "", now)
        case WakeFailed(reason):
            _failed(tracker, "start", reason, now)
        case ConnectFailed(reason):
            _failed(tracker, "connect", reason, now)
    if before.state is AttemptState.DRAIN and after.state is not AttemptState.DRAIN:
        why = "cancelled" if after.cancelling else "over its limit"
        tracker.close(StepState.FAILED, why, now)
    if after.overdue and not before.overdue:
        tracker.remark("did not end when asked, still waited for")
    if before.state is AttemptState.PROBE:
        _checked(tracker, before, after, event, now)
    if before.state is AttemptState.VERIFY and after.state is not AttemptState.VERIFY:
        _verified(tracker, after, now)
    if after.state is AttemptState.PROBE and before.state is not AttemptState.PROBE:
        tracker.record(Step("check", StepState.RUNNING, limit_s=limit_s), now)
    if after.state is AttemptState.VERIFY:
        if before.state is AttemptState.CONNECT:
            tracker.reset_connect(after.last or after.original)
        detail = f"{owner} is repairing this" if after.waiting and owner else after.seen
        tracker.record(Step("wait", StepState.RUNNING, limit_s=limit_s, detail=detail), now)


def remark(tracker: StepTracker, effect: Effect) -> None:
    """Say on the running steps what is being done to them."""
    match effect:
        case Effect.STOP:
            tracker.remark("being ended")
        case Effect.LET_FINISH:
            tracker.remark("let finish: interrupting it would do harm")


def _failed(tracker: StepTracker, name: str, reason: str, now: float) -> None:
    tracker.close(StepState.FAILED, reason, now)
    failed = (s for s in tracker.steps if s.state is StepState.FAILED)
    if all(step.best_effort for step in failed):
        tracker.record(Step(name, StepState.FAILED, detail=reason), now)


def _checked(
    tracker: StepTracker, before: Attempt, after: Attempt, event: RepairEvent, now: float
) -> None:
    if after.state is before.state or after.state is AttemptState.CANCELLED:
        return
    reason = event.verdict.reason if isinstance(event, ProbeResult) else after.original
    failed = after.state is AttemptState.FAILED
    state = StepState.FAILED if failed else StepState.OK
    tracker.record(Step("check", state, detail=reason), now)


def _verified(tracker: StepTracker, after: Attempt, now: float) -> None:
    match after.state:
        case AttemptState.WAKE:
            tracker.forget("wait")
        case AttemptState.FAILED:
            tracker.record(Step("wait", StepState.FAILED, detail=after.last or after.original), now)
        case AttemptState.CONNECT | AttemptState.DONE:
            tracker.record(Step("wait", StepState.OK), now)
