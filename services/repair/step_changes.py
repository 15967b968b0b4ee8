"""What a transition means for the steps the operator sees."""

from __future__ import annotations

from services.models import AttemptState, Step, StepState
from services.repair.events import (
    Effect,
    Judged,
    Linked,
    LinkFailed,
    Progress,
    RepairEvent,
    WakeFailed,
    Woken,
)
from services.repair.steps import Ledger


def mark(
    ledger: Ledger,
    before: Progress,
    after: Progress,
    event: RepairEvent,
    *,
    now: float,
    limit_s: float,
    busy: str,
) -> None:
    """Bring the ledger up to date; `limit_s` is that of the state entered, `busy` who has the turn.

    `now` is seconds since the epoch.
    """
    match event:
        case Woken() | Linked():
            ledger.close(StepState.OK, "", now)
        case WakeFailed(reason):
            _failed(ledger, "start", reason, now)
        case LinkFailed(reason):
            _failed(ledger, "connect", reason, now)
    if before.phase is AttemptState.DRAIN and after.phase is not AttemptState.DRAIN:
        why = "cancelled" if after.cancelling else "over its limit"
        ledger.close(StepState.FAILED, why, now)
    if before.phase is AttemptState.PROBE:
        _checked(ledger, before, after, event, now)
    if before.phase is AttemptState.VERIFY and after.phase is not AttemptState.VERIFY:
        _verified(ledger, after, now)
    if after.phase is AttemptState.PROBE and before.phase is not AttemptState.PROBE:
        ledger.note(Step("check", StepState.RUNNING, limit_s=limit_s), now)
    if after.phase is AttemptState.VERIFY:
        if before.phase is AttemptState.PRIME:
            ledger.forget_link(after.last or after.original)
        detail = f"{busy} is repairing this" if after.waiting and busy else after.seen
        ledger.note(Step("wait", StepState.RUNNING, limit_s=limit_s, detail=detail), now)


def remark(ledger: Ledger, effect: Effect) -> None:
    """Say on the running steps what is being done to them."""
    match effect:
        case Effect.STOP:
            ledger.remark("being ended")
        case Effect.LET_FINISH:
            ledger.remark("let finish: interrupting it would do harm")
        case Effect.KILL:
            ledger.remark("did not end when asked, being killed")


def _failed(ledger: Ledger, name: str, reason: str, now: float) -> None:
    ledger.close(StepState.FAILED, reason, now)
    if not any(step.state is StepState.FAILED for step in ledger.steps):
        ledger.note(Step(name, StepState.FAILED, detail=reason), now)


def _checked(
    ledger: Ledger, before: Progress, after: Progress, event: RepairEvent, now: float
) -> None:
    if after.phase is before.phase or after.phase is AttemptState.CANCELLED:
        return
    reason = event.verdict.reason if isinstance(event, Judged) else after.original
    failed = after.phase is AttemptState.FAILED
    state = StepState.FAILED if failed else StepState.OK
    ledger.note(Step("check", state, detail=reason), now)


def _verified(ledger: Ledger, after: Progress, now: float) -> None:
    match after.phase:
        case AttemptState.WAKE:
            ledger.forget("wait")
        case AttemptState.FAILED:
            ledger.note(Step("wait", StepState.FAILED, detail=after.last or after.original), now)
        case AttemptState.PRIME | AttemptState.DONE:
            ledger.note(Step("wait", StepState.OK), now)
