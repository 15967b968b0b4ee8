"""Updates the visible steps of an attempt at each transition."""

from __future__ import annotations

from services.models import AttemptState, Step, StepState
from services.repair.events import (
    ConnectFailed,
    ConnectOk,
    Effect,
    ProbeResult,
    Progress,
    RepairEvent,
    WakeFailed,
    WakeOk,
)
from services.repair.steps import StepTracker


def apply_transition(
    tracker: StepTracker,
    before: Progress,
    after: Progress,
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
    if before.phase is AttemptState.DRAIN and after.phase is not AttemptState.DRAIN:
        why = "cancelled" if after.cancelling else "over its limit"
        tracker.close(StepState.FAILED, why, now)
    if before.phase is AttemptState.PROBE:
        _checked(tracker, before, after, event, now)
    if before.phase is AttemptState.VERIFY and after.phase is not AttemptState.VERIFY:
        _verified(tracker, after, now)
    if after.phase is AttemptState.PROBE and before.phase is not AttemptState.PROBE:
        tracker.record(Step("check", StepState.RUNNING, limit_s=limit_s), now)
    if after.phase is AttemptState.VERIFY:
        if before.phase is AttemptState.CONNECT:
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
        case Effect.KILL:
            tracker.remark("did not end when asked, being killed")


def _failed(tracker: StepTracker, name: str, reason: str, now: float) -> None:
    tracker.close(StepState.FAILED, reason, now)
    if not any(step.state is StepState.FAILED for step in tracker.steps):
        tracker.record(Step(name, StepState.FAILED, detail=reason), now)


def _checked(
    tracker: StepTracker, before: Progress, after: Progress, event: RepairEvent, now: float
) -> None:
    if after.phase is before.phase or after.phase is AttemptState.CANCELLED:
        return
    reason = event.verdict.reason if isinstance(event, ProbeResult) else after.original
    failed = after.phase is AttemptState.FAILED
    state = StepState.FAILED if failed else StepState.OK
    tracker.record(Step("check", state, detail=reason), now)


def _verified(tracker: StepTracker, after: Progress, now: float) -> None:
    match after.phase:
        case AttemptState.WAKE:
            tracker.forget("wait")
        case AttemptState.FAILED:
            tracker.record(Step("wait", StepState.FAILED, detail=after.last or after.original), now)
        case AttemptState.CONNECT | AttemptState.DONE:
            tracker.record(Step("wait", StepState.OK), now)
