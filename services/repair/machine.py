"""The attempt machine as a pure table: a state and an event in, a state and effects out.

It is the table under upstream/repair: Attempt machine, row by row, with three additions: `LockBusy`
`TurnCame` say that another repair owns the gateway and that it no longer does; a wake whose
running step is critical is let finish like a critical link step; and what the operator confirmed
beforehand takes the place of the wake, under the same lock. A pair that is not listed changes
nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

from services.models import AttemptState, Verb
from services.repair.events import (
    CancelRequested,
    Confirmed,
    ConnectFailed,
    ConnectOk,
    Critical,
    Deadline,
    Drained,
    Effect,
    FailureKind,
    LockAcquired,
    LockBusy,
    ProbeResult,
    Progress,
    RepairEvent,
    Requested,
    WakeFailed,
    WakeOk,
)
from services.repair.limits import MAX_CONNECTS
from services.sources.protocol.verdict import Verdict, VerdictKind

STILL_STARTING = "It is still starting."
LATE = "It took too long."
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
            return _cancel(state, Effect.STOP)
    return state, ()


def _connect(state: Progress, event: RepairEvent) -> Transition:
    match event:
        case ConnectOk():
            return _enter(state, AttemptState.DONE), (Effect.PUBLISH,)
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
            return _enter(_record_error(state, reason), AttemptState.DRAIN), (Effect.LET_FINISH,)
        case Deadline(reason):
            return _fail(state, reason or LATE, Effect.STOP)
        case CancelRequested() if state.critical:
            return _drain_cancelled(state), (Effect.LET_FINISH,)
        case CancelRequested():
            return _cancel(state, Effect.STOP)
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
            return _enter(held, AttemptState.VERIFY), (Effect.AWAIT_LOCK,)
        case Deadline():
            effect = Effect.LET_FINISH if state.critical else Effect.STOP
            return _enter(state, AttemptState.DRAIN), (effect,)
        case CancelRequested():
            effect = Effect.LET_FINISH if state.critical else Effect.STOP
            return _drain_cancelled(state), (effect,)
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
                case VerdictKind.TERMINAL:
                    return _fail(state, verdict.reason)
                case VerdictKind.REPAIRABLE:
                    state = _record_error(replace(state, seen=verdict.reason), verdict.reason)
                    if verdict.wakeable and not state.wakes and not state.waiting:
                        return _start_wake(state)
                    return state, ()
            effects = () if state.settling else (Effect.EXTEND,)
            return replace(state, seen=verdict.reason, settling=True), effects
        case LockAcquired():
            return replace(state, waiting=False), (Effect.PROBE,)
        case Deadline(reason):
            return _fail(state, reason or state.seen or STILL_STARTING)
        case CancelRequested():
            return _cancel(state, Effect.STOP)
    return state, ()


def _drain(state: Progress, event: RepairEvent) -> Transition:
    match event:
        case Drained(reason, done_text):
            state = replace(state, done_text=done_text or state.done_text)
            return _drained(_record_error(state, reason) if reason else state)
        case CancelRequested():
            return replace(state, cancelling=True), ()
        case Deadline() if not state.critical and not state.killed:
            return replace(state, killed=True), (Effect.KILL,)
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


def _drain_cancelled(state: Progress) -> Progress:
    return replace(state, cancelling=True, phase=AttemptState.DRAIN)


def _fail(state: Progress, reason: str, *first: Effect) -> Transition:
    failed = _record_error(replace(state, critical=False), reason)
    return _enter(failed, AttemptState.FAILED), (*first, Effect.FINAL_PROBE)


def _cancel(state: Progress, *first: Effect) -> Transition:
    cancelled = replace(state, cancelling=True, critical=False)
    return _enter(cancelled, AttemptState.CANCELLED), (*first, Effect.FINAL_PROBE)


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
