"""The attempt machine as a pure table: a state and an event in, a state and effects out.

It is the table under upstream/repair: Attempt machine, row by row, with three additions: `Held` and
`TurnCame` say that another repair owns the gateway and that it no longer does; a wake whose
running step is critical is let finish like a critical link step; and what the operator agreed to
beforehand takes the place of the wake, under the same turn. A pair that is not listed changes
nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

from services.models import AttemptState, Verb, Verdict, VerdictKind
from services.repair.events import (
    Agreed,
    CancelAsked,
    Critical,
    Deadline,
    Effect,
    Failure,
    Gone,
    Held,
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
from services.repair.limits import MAX_PRIMES

STILL_STARTING = "It is still starting."
LATE = "It took too long."
Move: TypeAlias = tuple[Progress, tuple[Effect, ...]]


def transition(state: Progress, event: RepairEvent) -> Move:
    """The next state and what to do now."""
    match event:
        case Pressed(verb, agreed):
            return _pressed(state, verb, agreed)
        case Critical(running):
            if state.phase in (AttemptState.PRIME, AttemptState.WAKE):
                return replace(state, critical=running), ()
            return state, ()
    match state.phase:
        case AttemptState.PROBE:
            return _probe(state, event)
        case AttemptState.PRIME:
            return _prime(state, event)
        case AttemptState.WAKE:
            return _wake(state, event)
        case AttemptState.VERIFY:
            return _verify(state, event)
        case AttemptState.DRAIN:
            return _drain(state, event)
    return state, ()


def _pressed(state: Progress, verb: Verb, agreed: Agreed | None) -> Move:
    if state.phase is AttemptState.IDLE or state.phase.ended:
        return Progress(verb=verb, phase=AttemptState.PROBE, agreed=agreed), (Effect.LOOK,)
    if verb is Verb.RECONNECT:
        return replace(state, verb=verb), ()
    return state, ()


def _probe(state: Progress, event: RepairEvent) -> Move:
    match event:
        case Judged(verdict):
            state = _heed(state, verdict)
            if state.agreed is not None:
                return _begin_agreed(state, state.agreed, verdict)
            match verdict.kind:
                case VerdictKind.READY:
                    return _serving(state)
                case VerdictKind.SETTLING:
                    seen = replace(state, seen=verdict.reason, settling=True)
                    return _enter(seen, AttemptState.VERIFY), ()
                case VerdictKind.REPAIRABLE if verdict.wakeable:
                    return _begin_wake(_blame(state, verdict.reason))
            return _fail(state, verdict.reason)
        case Deadline(reason):
            return _fail(state, reason or LATE, Effect.STOP)
        case CancelAsked():
            return _cancel(state, Effect.STOP)
    return state, ()


def _prime(state: Progress, event: RepairEvent) -> Move:
    match event:
        case Linked():
            return _enter(state, AttemptState.DONE), (Effect.PUBLISH,)
        case LinkFailed(reason, failure, verdict):
            if verdict is not None:
                state = replace(_heed(state, verdict), told=True)
            state = _blame(replace(state, critical=False), reason)
            if failure is Failure.REPAIRABLE and not state.wakes:
                return _begin_wake(state)
            if failure is Failure.TRANSIENT and state.primes < MAX_PRIMES:
                return _enter(replace(state, seen=reason), AttemptState.VERIFY), ()
            return _fail(state, reason)
        case Deadline(reason) if state.critical:
            return _enter(_blame(state, reason), AttemptState.DRAIN), (Effect.LET_FINISH,)
        case Deadline(reason):
            return _fail(state, reason or LATE, Effect.STOP)
        case CancelAsked() if state.critical:
            return _latched(state), (Effect.LET_FINISH,)
        case CancelAsked():
            return _cancel(state, Effect.STOP)
    return state, ()


def _wake(state: Progress, event: RepairEvent) -> Move:
    match event:
        case Woken(said):
            rests = state.agreed is not None and state.agreed.rests
            woken = replace(state, critical=False, said=said)
            return _enter(woken, AttemptState.DONE if rests else AttemptState.VERIFY), ()
        case WakeFailed(reason, advice):
            return _fail(replace(state, advice=advice or state.advice), reason)
        case Held():
            # Nothing was started, so the attempt still has its wake.
            held = replace(state, wakes=state.wakes - 1, waiting=True, critical=False)
            return _enter(held, AttemptState.VERIFY), (Effect.WATCH,)
        case Deadline():
            effect = Effect.LET_FINISH if state.critical else Effect.STOP
            return _enter(state, AttemptState.DRAIN), (effect,)
        case CancelAsked():
            effect = Effect.LET_FINISH if state.critical else Effect.STOP
            return _latched(state), (effect,)
    return state, ()


def _verify(state: Progress, event: RepairEvent) -> Move:
    match event:
        case Judged(verdict):
            state = _heed(state, verdict)
            if state.agreed is not None and not state.wakes:
                if state.waiting:
                    return replace(state, seen=verdict.reason), ()
                return _begin_agreed(state, state.agreed, verdict)
            match verdict.kind:
                case VerdictKind.READY:
                    return _serving(state)
                case VerdictKind.TERMINAL:
                    return _fail(state, verdict.reason)
                case VerdictKind.REPAIRABLE:
                    state = _blame(replace(state, seen=verdict.reason), verdict.reason)
                    if verdict.wakeable and not state.wakes and not state.waiting:
                        return _begin_wake(state)
                    return state, ()
            effects = () if state.settling else (Effect.EXTEND,)
            return replace(state, seen=verdict.reason, settling=True), effects
        case TurnCame():
            return replace(state, waiting=False), (Effect.LOOK,)
        case Deadline(reason):
            return _fail(state, reason or state.seen or STILL_STARTING)
        case CancelAsked():
            return _cancel(state, Effect.STOP)
    return state, ()


def _drain(state: Progress, event: RepairEvent) -> Move:
    match event:
        case Gone(reason, said):
            state = replace(state, said=said or state.said)
            return _drained(_blame(state, reason) if reason else state)
        case CancelAsked():
            return replace(state, cancelling=True), ()
        case Deadline() if not state.critical and not state.killed:
            return replace(state, killed=True), (Effect.KILL,)
        case Deadline(reason):
            state = replace(state, abandoned=True)
            state, effects = _drained(_blame(state, reason) if reason else state)
            return state, (Effect.ABANDON, *effects)
    return state, ()


def _drained(state: Progress) -> Move:
    state = replace(state, critical=False)
    if state.cancelling:
        return _enter(state, AttemptState.CANCELLED), (Effect.SHOW,)
    return _enter(state, AttemptState.VERIFY), ()


def _serving(state: Progress) -> Move:
    state = replace(state, waiting=False)
    if state.verb is Verb.WAKE:
        return _enter(state, AttemptState.DONE), ()
    if state.primes >= MAX_PRIMES:
        return _enter(state, AttemptState.FAILED), (Effect.SHOW,)
    primed = replace(state, primes=state.primes + 1)
    return _enter(primed, AttemptState.PRIME), (Effect.PRIME,)


def _begin_wake(state: Progress) -> Move:
    return _enter(replace(state, wakes=state.wakes + 1), AttemptState.WAKE), (Effect.WAKE,)


def _begin_agreed(state: Progress, agreed: Agreed, verdict: Verdict) -> Move:
    """Begin it, unless the verdict says that it cannot help."""
    if agreed.rests:
        return _begin_wake(state)
    hopeless = verdict.kind is VerdictKind.TERMINAL and not verdict.confirmable
    if hopeless or verdict.kind is VerdictKind.UNKNOWN:
        return _fail(state, verdict.reason)
    if verdict.kind is not VerdictKind.READY:
        state = _blame(state, verdict.reason)
    return _begin_wake(state)


def _enter(state: Progress, phase: AttemptState) -> Progress:
    return replace(state, phase=phase)


def _latched(state: Progress) -> Progress:
    return replace(state, cancelling=True, phase=AttemptState.DRAIN)


def _fail(state: Progress, reason: str, *first: Effect) -> Move:
    failed = _blame(replace(state, critical=False), reason)
    return _enter(failed, AttemptState.FAILED), (*first, Effect.SHOW)


def _cancel(state: Progress, *first: Effect) -> Move:
    cancelled = replace(state, cancelling=True, critical=False)
    return _enter(cancelled, AttemptState.CANCELLED), (*first, Effect.SHOW)


def _heed(state: Progress, verdict: Verdict) -> Progress:
    """Keep what the latest verdict says the operator could do."""
    return replace(state, advice=verdict.advice, confirmable=verdict.confirmable, told=False)


def _blame(state: Progress, reason: str) -> Progress:
    """The first error stays the headline; the last is kept where it differs."""
    if not state.original:
        return replace(state, original=reason)
    return replace(state, last="" if reason == state.original else reason)
