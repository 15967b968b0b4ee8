"""The attempt machine as a pure table: an attempt and an event in, an attempt and effects out.

It is the table under upstream/repair: Attempt machine, row by row, and besides: `LockBusy` and
`LockAcquired` tell of another repair of the gateway, a critical step of a wake is let finish too,
and what the operator confirmed takes the place of the wake. Other pairs change nothing.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import TypeAlias

from services.lazy_dataclass import dataclass
from services.models import Attempt, AttemptState, Confirmed, Verb
from services.repair.limits import MAX_CONNECTS
from services.sources.protocol.verdict import Verdict, VerdictKind

STILL_STARTING = "It is still starting."
LATE = "It took too long."


class Effect(Enum):
    """What the runner does after a transition."""

    PROBE = "look"
    """Probe for the next verdict."""
    WAKE = "wake"
    """Acquire the gateway's lock, then start the one wake, or what was confirmed."""
    CONNECT = "prime"
    """Start the connect steps."""
    STOP = "stop"
    """End what runs: the wake's child gets its signal, a partial link is undone."""
    LET_FINISH = "let finish"
    """Let the critical step end, then end what runs."""
    ABANDON = "abandon"
    """Stop waiting for what does not end; a critical step is left alone."""
    FINAL_PROBE = "show"
    """One more probe, for display."""


class FailureKind(Enum):
    """What a failed connect step means."""

    TRANSIENT = "transient"
    REPAIRABLE = "repairable"
    """By a wake of this source."""
    TERMINAL = "terminal"


@dataclass(frozen=True, slots=True)
class Requested:
    """The operator requested a wake or a reconnect."""

    verb: Verb
    confirmed: Confirmed | None = None
    """For this, by name, instead of a wake."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """A probe of this attempt came back."""

    verdict: Verdict


@dataclass(frozen=True, slots=True)
class ConnectOk:
    """Every connect step succeeded."""


@dataclass(frozen=True, slots=True)
class ConnectFailed:
    """A connect step failed."""

    reason: str
    failure: FailureKind
    verdict: Verdict | None = None
    """What the step itself said of it."""


@dataclass(frozen=True, slots=True)
class WakeOk:
    """The wake ended well, which proves nothing yet."""

    done_text: str = ""
    """What a confirmed action says was done."""


@dataclass(frozen=True, slots=True)
class WakeFailed:
    """The wake could not run, or failed."""

    reason: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Deadline:
    """The state's limit is up."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """The operator requested cancellation."""


@dataclass(frozen=True, slots=True)
class Drained:
    """What was drained has ended; `reason` where it failed."""

    reason: str = ""
    done_text: str = ""


@dataclass(frozen=True, slots=True)
class Critical:
    """A step that must not be interrupted began or ended."""

    running: bool


@dataclass(frozen=True, slots=True)
class LockBusy:
    """Another repair holds the lock of the gateway: nothing was started."""


@dataclass(frozen=True, slots=True)
class LockAcquired:
    """The lock of the gateway was acquired; it is kept until the next verdict."""


RepairEvent: TypeAlias = (
    Requested
    | ProbeResult
    | ConnectOk
    | ConnectFailed
    | WakeOk
    | WakeFailed
    | Deadline
    | CancelRequested
    | Drained
    | Critical
    | LockBusy
    | LockAcquired
)


Transition: TypeAlias = tuple[Attempt, tuple[Effect, ...]]


def transition(attempt: Attempt, event: RepairEvent) -> Transition:
    """The attempt after the event, and what to do now."""
    match event:
        case Requested(verb, confirmed):
            return _requested(attempt, verb, confirmed)
        case Critical(running):
            if attempt.state in (AttemptState.CONNECT, AttemptState.WAKE):
                return replace(attempt, critical=running), ()
            return attempt, ()
    match attempt.state:
        case AttemptState.PROBE:
            return _probe(attempt, event)
        case AttemptState.CONNECT:
            return _connect(attempt, event)
        case AttemptState.WAKE:
            return _wake(attempt, event)
        case AttemptState.VERIFY:
            return _verify(attempt, event)
        case AttemptState.DRAIN:
            return _drain(attempt, event)
    return attempt, ()


def _requested(attempt: Attempt, verb: Verb, confirmed: Confirmed | None) -> Transition:
    if attempt.state is AttemptState.IDLE or attempt.state.ended:
        begun = Attempt(
            attempt.id,
            attempt.sandbox,
            verb,
            AttemptState.PROBE,
            attempt.started_at,
            confirmed=confirmed,
            name=attempt.name,
        )
        return begun, (Effect.PROBE,)
    if verb is Verb.RECONNECT:
        return replace(attempt, verb=verb), ()
    return attempt, ()


def _probe(attempt: Attempt, event: RepairEvent) -> Transition:
    match event:
        case ProbeResult(verdict):
            attempt = _record_advice(attempt, verdict)
            if attempt.confirmed is not None:
                return _begin_confirmed(attempt, attempt.confirmed, verdict)
            match verdict.kind:
                case VerdictKind.READY:
                    return _on_ready(attempt)
                case VerdictKind.SETTLING:
                    seen = replace(attempt, seen=verdict.reason, settling=True)
                    return _enter(seen, AttemptState.VERIFY), ()
                case VerdictKind.REPAIRABLE if verdict.wakeable:
                    return _start_wake(record_error(attempt, verdict.reason))
            return _fail(attempt, verdict.reason)
        case Deadline(reason):
            return _fail(attempt, reason or LATE, Effect.STOP)
        case CancelRequested():
            return _cancel(attempt)
    return attempt, ()


def _connect(attempt: Attempt, event: RepairEvent) -> Transition:
    match event:
        case ConnectOk():
            return _enter(attempt, AttemptState.DONE), ()
        case ConnectFailed(reason, failure, verdict):
            if verdict is not None:
                attempt = replace(_record_advice(attempt, verdict), advice_from_step=True)
            attempt = record_error(replace(attempt, critical=False), reason)
            if failure is FailureKind.REPAIRABLE and not attempt.wakes:
                return _start_wake(attempt)
            if failure is FailureKind.TRANSIENT and attempt.connects < MAX_CONNECTS:
                return _enter(replace(attempt, seen=reason), AttemptState.VERIFY), ()
            return _fail(attempt, reason)
        case Deadline(reason) if attempt.critical:
            return _begin_drain(record_error(attempt, reason))
        case Deadline(reason):
            return _fail(attempt, reason or LATE, Effect.STOP)
        case CancelRequested() if attempt.critical:
            return _begin_drain(replace(attempt, cancelling=True))
        case CancelRequested():
            return _cancel(attempt)
    return attempt, ()


def _wake(attempt: Attempt, event: RepairEvent) -> Transition:
    match event:
        case WakeOk(done_text):
            skips_verify = attempt.confirmed is not None and attempt.confirmed.skips_verify
            woken = replace(attempt, critical=False, done_text=done_text)
            return _enter(woken, AttemptState.DONE if skips_verify else AttemptState.VERIFY), ()
        case WakeFailed(reason, advice):
            return _fail(replace(attempt, advice=advice or attempt.advice), reason)
        case LockBusy():
            # Nothing was started, so the attempt still has its wake.
            held = replace(attempt, wakes=attempt.wakes - 1, waiting=True, critical=False)
            return _enter(held, AttemptState.VERIFY), ()
        case Deadline():
            return _begin_drain(attempt)
        case CancelRequested():
            return _begin_drain(replace(attempt, cancelling=True))
    return attempt, ()


def _verify(attempt: Attempt, event: RepairEvent) -> Transition:
    match event:
        case ProbeResult(verdict):
            attempt = _record_advice(attempt, verdict)
            if attempt.confirmed is not None and not attempt.wakes:
                if attempt.waiting:
                    return replace(attempt, seen=verdict.reason), ()
                return _begin_confirmed(attempt, attempt.confirmed, verdict)
            match verdict.kind:
                case VerdictKind.READY:
                    return _on_ready(attempt)
                case kind if kind is VerdictKind.TERMINAL or (verdict.over and attempt.wakes):
                    return _fail(attempt, verdict.reason)
                case VerdictKind.REPAIRABLE:
                    attempt = replace(attempt, seen=verdict.reason, settling=False)
                    attempt = record_error(attempt, verdict.reason)
                    if verdict.wakeable and not attempt.wakes and not attempt.waiting:
                        return _start_wake(attempt)
                    return attempt, ()
            return replace(attempt, seen=verdict.reason, settling=True), ()
        case LockAcquired():
            return replace(attempt, waiting=False), (Effect.PROBE,)
        case Deadline(reason):
            return _fail(attempt, reason or attempt.seen or STILL_STARTING)
        case CancelRequested():
            return _cancel(attempt)
    return attempt, ()


def _drain(attempt: Attempt, event: RepairEvent) -> Transition:
    match event:
        case Drained(reason, done_text):
            attempt = replace(attempt, done_text=done_text or attempt.done_text)
            return _drained(record_error(attempt, reason) if reason else attempt)
        case CancelRequested():
            return replace(attempt, cancelling=True), ()
        case Deadline() if not attempt.critical and not attempt.overdue:
            return replace(attempt, overdue=True), ()
        case Deadline(reason):
            attempt = replace(attempt, abandoned=True)
            attempt, effects = _drained(record_error(attempt, reason) if reason else attempt)
            return attempt, (Effect.ABANDON, *effects)
    return attempt, ()


def _drained(attempt: Attempt) -> Transition:
    attempt = replace(attempt, critical=False)
    if attempt.cancelling:
        return _enter(attempt, AttemptState.CANCELLED), (Effect.FINAL_PROBE,)
    return _enter(attempt, AttemptState.VERIFY), ()


def _on_ready(attempt: Attempt) -> Transition:
    attempt = replace(attempt, waiting=False)
    if attempt.verb is Verb.WAKE:
        return _enter(attempt, AttemptState.DONE), ()
    if attempt.connects >= MAX_CONNECTS:
        return _enter(attempt, AttemptState.FAILED), (Effect.FINAL_PROBE,)
    connecting = replace(attempt, connects=attempt.connects + 1)
    return _enter(connecting, AttemptState.CONNECT), (Effect.CONNECT,)


def _start_wake(attempt: Attempt) -> Transition:
    return _enter(replace(attempt, wakes=attempt.wakes + 1), AttemptState.WAKE), (Effect.WAKE,)


def _begin_confirmed(attempt: Attempt, confirmed: Confirmed, verdict: Verdict) -> Transition:
    """Begin it, unless the verdict says that it cannot help."""
    if confirmed.skips_verify:
        return _start_wake(attempt)
    hopeless = verdict.kind is VerdictKind.TERMINAL and not verdict.confirmable
    if hopeless or verdict.kind is VerdictKind.UNKNOWN:
        return _fail(attempt, verdict.reason)
    if verdict.kind is not VerdictKind.READY:
        attempt = record_error(attempt, verdict.reason)
    return _start_wake(attempt)


def _enter(attempt: Attempt, state: AttemptState) -> Attempt:
    return replace(attempt, state=state)


def _begin_drain(attempt: Attempt) -> Transition:
    effect = Effect.LET_FINISH if attempt.critical else Effect.STOP
    return _enter(attempt, AttemptState.DRAIN), (effect,)


def _fail(attempt: Attempt, reason: str, *first: Effect) -> Transition:
    failed = record_error(replace(attempt, critical=False), reason)
    return _enter(failed, AttemptState.FAILED), (*first, Effect.FINAL_PROBE)


def _cancel(attempt: Attempt) -> Transition:
    cancelled = replace(attempt, cancelling=True, critical=False)
    return _enter(cancelled, AttemptState.CANCELLED), (Effect.STOP, Effect.FINAL_PROBE)


def _record_advice(attempt: Attempt, verdict: Verdict) -> Attempt:
    """Keep what the latest verdict says the operator could do."""
    return replace(
        attempt, advice=verdict.advice, confirmable=verdict.confirmable, advice_from_step=False
    )


def record_error(attempt: Attempt, reason: str) -> Attempt:
    """The first error stays the headline; the last is kept where it differs."""
    if not attempt.original:
        return replace(attempt, original=reason)
    return replace(attempt, last="" if reason == attempt.original else reason)
