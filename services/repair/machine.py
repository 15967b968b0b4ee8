"""The attempt machine as a pure table: a state and an event in, a state and effects out.

It is the table under upstream/repair: Attempt machine, row by row, and besides: `LockBusy` and
`LockAcquired` tell of another repair of the gateway, a critical step of a wake is let finish too,
and what the operator confirmed takes the place of the wake. Other pairs change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeAlias

from services.models import AttemptState, Verb
from services.sources.protocol.verdict import Verdict, VerdictKind

MAX_CONNECTS = 4
"""How often the link is tried in one attempt."""
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
class Confirmed:
    """An action the operator confirmed beforehand; it replaces the wake."""

    name: str
    skips_verify: bool = False
    """Its own end is the end: nothing is verified, and no verdict forbids it."""


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


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of one attempt in the transition table."""

    verb: Verb = Verb.WAKE
    phase: AttemptState = AttemptState.IDLE
    original: str = ""
    """The first error; written once."""
    last: str = ""
    """The last error, where it differs."""
    seen: str = ""
    """The latest verdict while verifying."""
    wakes: int = 0
    connects: int = 0
    cancelling: bool = False
    critical: bool = False
    overdue: bool = False
    """What was asked to end has not in its grace."""
    settling: bool = False
    """Verifying may take the settling limit: the latest look was no fault."""
    waiting: bool = False
    """Another repair owns the gateway."""
    abandoned: bool = False
    """Something of ours was left running."""
    confirmed: Confirmed | None = None
    done_text: str = ""
    """What the confirmed action says was done."""
    advice: str = ""
    confirmable: str = ""
    advice_from_step: bool = False
    """Advice and confirmable come from a connect step: a later probe cannot know better."""


Transition: TypeAlias = tuple[Progress, tuple[Effect, ...]]


def transition(state: Progress, event: RepairEvent) -> Transition:
    """The next state and what to do now."""
    match event:
        case Requested(verb, confirmed):
            return _requested(state, verb, confirmed)
        case Critical(running):
            if state.phase in (AttemptState.CONNECT, AttemptState.WAKE):
                return replace(state, critical=running), ()
            return state, ()
    match state.phase:
        case AttemptState.PROBE:
            return _probe(state, event)
        case AttemptState.CONNECT:
            return _connect(state, event)
        case AttemptState.WAKE:
            return _wake(state, event)
        case AttemptState.VERIFY:
            return _verify(state, event)
        case AttemptState.DRAIN:
            return _drain(state, event)
    return state, ()


def _requested(state: Progress, verb: Verb, confirmed: Confirmed | None) -> Transition:
    if state.phase is AttemptState.IDLE or state.phase.ended:
        return Progress(verb=verb, phase=AttemptState.PROBE, confirmed=confirmed), (Effect.PROBE,)
    if verb is Verb.RECONNECT:
        return replace(state, verb=verb), ()
    return state, ()


def _probe(state: Progress, event: RepairEvent) -> Transition:
    match event:
        case ProbeResult(verdict):
            state = _record_advice(state, verdict)
            if state.confirmed is not None:
                return _begin_confirmed(state, state.confirmed, verdict)
            match verdict.kind:
                case VerdictKind.READY:
                    return _on_ready(state)
                case VerdictKind.SETTLING:
                    seen = replace(state, seen=verdict.reason, settling=True)
                    return _enter(seen, AttemptState.VERIFY), ()
                case VerdictKind.REPAIRABLE if verdict.wakeable:
                    return _start_wake(_record_error(state, verdict.reason))
            return _fail(state, verdict.reason)
        case Deadline(reason):
            return _fail(state, reason or LATE, Effect.STOP)
        case CancelRequested():
            return _cancel(state)
    return state, ()


def _connect(state: Progress, event: RepairEvent) -> Transition:
    match event:
        case ConnectOk():
            return _enter(state, AttemptState.DONE), ()
        case ConnectFailed(reason, failure, verdict):
            if verdict is not None:
                state = replace(_record_advice(state, verdict), advice_from_step=True)
            state = _record_error(replace(state, critical=False), reason)
            if failure is FailureKind.REPAIRABLE and not state.wakes:
                return _start_wake(state)
            if failure is FailureKind.TRANSIENT and state.connects < MAX_CONNECTS:
                return _enter(replace(state, seen=reason), AttemptState.VERIFY), ()
            return _fail(state, reason)
        case Deadline(reason) if state.critical:
            return _begin_drain(_record_error(state, reason))
        case Deadline(reason):
            return _fail(state, reason or LATE, Effect.STOP)
        case CancelRequested() if state.critical:
            return _begin_drain(replace(state, cancelling=True))
        case CancelRequested():
            return _cancel(state)
    return state, ()


def _wake(state: Progress, event: RepairEvent) -> Transition:
    match event:
        case WakeOk(done_text):
            skips_verify = state.confirmed is not None and state.confirmed.skips_verify
            woken = replace(state, critical=False, done_text=done_text)
            return _enter(woken, AttemptState.DONE if skips_verify else AttemptState.VERIFY), ()
        case WakeFailed(reason, advice):
            return _fail(replace(state, advice=advice or state.advice), reason)
        case LockBusy():
            # Nothing was started, so the attempt still has its wake.
            held = replace(state, wakes=state.wakes - 1, waiting=True, critical=False)
            return _enter(held, AttemptState.VERIFY), ()
        case Deadline():
            return _begin_drain(state)
        case CancelRequested():
            return _begin_drain(replace(state, cancelling=True))
    return state, ()


def _verify(state: Progress, event: RepairEvent) -> Transition:
    match event:
        case ProbeResult(verdict):
            state = _record_advice(state, verdict)
            if state.confirmed is not None and not state.wakes:
                if state.waiting:
                    return replace(state, seen=verdict.reason), ()
                return _begin_confirmed(state, state.confirmed, verdict)
            match verdict.kind:
                case VerdictKind.READY:
                    return _on_ready(state)
                case kind if kind is VerdictKind.TERMINAL or (verdict.over and state.wakes):
                    return _fail(state, verdict.reason)
                case VerdictKind.REPAIRABLE:
                    state = replace(state, seen=verdict.reason, settling=False)
                    state = _record_error(state, verdict.reason)
                    if verdict.wakeable and not state.wakes and not state.waiting:
                        return _start_wake(state)
                    return state, ()
            return replace(state, seen=verdict.reason, settling=True), ()
        case LockAcquired():
            return replace(state, waiting=False), (Effect.PROBE,)
        case Deadline(reason):
            return _fail(state, reason or state.seen or STILL_STARTING)
        case CancelRequested():
            return _cancel(state)
    return state, ()


def _drain(state: Progress, event: RepairEvent) -> Transition:
    match event:
        case Drained(reason, done_text):
            state = replace(state, done_text=done_text or state.done_text)
            return _drained(_record_error(state, reason) if reason else state)
        case CancelRequested():
            return replace(state, cancelling=True), ()
        case Deadline() if not state.critical and not state.overdue:
            return replace(state, overdue=True), ()
        case Deadline(reason):
            state = replace(state, abandoned=True)
            state, effects = _drained(_record_error(state, reason) if reason else state)
            return state, (Effect.ABANDON, *effects)
    return state, ()


def _drained(state: Progress) -> Transition:
    state = replace(state, critical=False)
    if state.cancelling:
        return _enter(state, AttemptState.CANCELLED), (Effect.FINAL_PROBE,)
    return _enter(state, AttemptState.VERIFY), ()


def _on_ready(state: Progress) -> Transition:
    state = replace(state, waiting=False)
    if state.verb is Verb.WAKE:
        return _enter(state, AttemptState.DONE), ()
    if state.connects >= MAX_CONNECTS:
        return _enter(state, AttemptState.FAILED), (Effect.FINAL_PROBE,)
    connecting = replace(state, connects=state.connects + 1)
    return _enter(connecting, AttemptState.CONNECT), (Effect.CONNECT,)


def _start_wake(state: Progress) -> Transition:
    return _enter(replace(state, wakes=state.wakes + 1), AttemptState.WAKE), (Effect.WAKE,)


def _begin_confirmed(state: Progress, confirmed: Confirmed, verdict: Verdict) -> Transition:
    """Begin it, unless the verdict says that it cannot help."""
    if confirmed.skips_verify:
        return _start_wake(state)
    hopeless = verdict.kind is VerdictKind.TERMINAL and not verdict.confirmable
    if hopeless or verdict.kind is VerdictKind.UNKNOWN:
        return _fail(state, verdict.reason)
    if verdict.kind is not VerdictKind.READY:
        state = _record_error(state, verdict.reason)
    return _start_wake(state)


def _enter(state: Progress, phase: AttemptState) -> Progress:
    return replace(state, phase=phase)


def _begin_drain(state: Progress) -> Transition:
    effect = Effect.LET_FINISH if state.critical else Effect.STOP
    return _enter(state, AttemptState.DRAIN), (effect,)


def _fail(state: Progress, reason: str, *first: Effect) -> Transition:
    failed = _record_error(replace(state, critical=False), reason)
    return _enter(failed, AttemptState.FAILED), (*first, Effect.FINAL_PROBE)


def _cancel(state: Progress) -> Transition:
    cancelled = replace(state, cancelling=True, critical=False)
    return _enter(cancelled, AttemptState.CANCELLED), (Effect.STOP, Effect.FINAL_PROBE)


def _record_advice(state: Progress, verdict: Verdict) -> Progress:
    """Keep what the latest verdict says the operator could do."""
    return replace(
        state, advice=verdict.advice, confirmable=verdict.confirmable, advice_from_step=False
    )


def _record_error(state: Progress, reason: str) -> Progress:
    """The first error stays the headline; the last is kept where it differs."""
    if not state.original:
        return replace(state, original=reason)
    return replace(state, last="" if reason == state.original else reason)
