"""How an attempt ends, in plain sentences for a tired operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from services.models import Attempt, AttemptState, Step, Verb, Verdict, VerdictKind
from services.repair.events import Progress
from services.repair.probes import harmless
from services.text.sanitize import sentence

_NOW = {
    VerdictKind.READY: "It is serving now.",
    VerdictKind.SETTLING: "It is starting now.",
}


def portray(
    old: Attempt, state: Progress, steps: Sequence[Step], *, cancelling: bool, seen: Verdict | None
) -> Attempt:
    """The attempt as it is told of now.

    Until `ended_at` is set, an attempt that is over but still lets go shows its last state.
    """
    over = old.ended_at is not None
    new = replace(
        old,
        verb=state.verb,
        state=state.phase if over or not state.phase.ended else old.state,
        steps=tuple(steps),
        original=state.original,
        last=state.last,
        wakes=state.wakes,
        primes=state.primes,
        cancelling=cancelling and not over,
        confirmable=state.confirmable,
        act="" if state.agreed is None else state.agreed.name,
    )
    if old.ended_at is None:
        return new
    name = harmless(old.sandbox.native_id)
    return replace(
        new,
        summary=summary(state, name, old.ended_at - old.started_at, seen),
        advice=advice(state, seen),
    )


def took(seconds: float) -> str:
    """A duration as one says it."""
    if seconds < 1:
        return "under a second"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def summary(state: Progress, name: str, elapsed: float, now: Verdict | None) -> str:
    """What was wrong and what was done; `now` is the probe for display, where there was one."""
    match state.phase:
        case AttemptState.DONE:
            return _done(state, name, elapsed)
        case AttemptState.FAILED if state.agreed is not None:
            why = sentence(state.original or "no reason given")
            parts = [f"{name}: {state.agreed.name} did not succeed. {why}"]
        case AttemptState.FAILED:
            goal = "woken" if state.verb is Verb.WAKE else "reconnected"
            parts = [f"{name} could not be {goal}: {sentence(state.original or 'no reason given')}"]
        case AttemptState.CANCELLED:
            parts = ["Cancelled." if not state.original else f"Cancelled. {_was(state)}"]
        case _:
            return ""
    if state.said:
        parts.append(sentence(state.said))
    elif state.wakes:
        parts.append(_tried(state))
    elif state.phase is AttemptState.FAILED:
        parts.append("Nothing was started.")
    if state.last:
        parts.append(f"Last seen: {sentence(state.last)}")
    if now is not None:
        parts.append(
            _NOW.get(now.kind, "" if _known(state, now) else f"Now: {sentence(now.reason)}")
        )
    return " ".join(part for part in parts if part)


def advice(state: Progress, now: Verdict | None) -> str:
    """What to do next; empty where nothing is left to do."""
    if state.phase is AttemptState.DONE:
        return ""
    if now is not None and now.kind is VerdictKind.READY and not state.told:
        return "" if state.verb is Verb.WAKE else "Reconnect to try the link again."
    said = state.advice or (now.advice if now is not None else "")
    if said:
        return sentence(said)
    confirmable = state.confirmable or (now.confirmable if now is not None else "")
    if confirmable:
        return f"“{confirmable}” could help; it runs only after you confirm it."
    if state.phase is AttemptState.CANCELLED:
        return "Wake or reconnect again when you want it back."
    if state.abandoned:
        return "Something that was started did not end: look for it before you try again."
    if state.wakes:
        return "Look at its logs for why it does not come up, then wake it again."
    return "Look at its details and logs, then try again."


def _tried(state: Progress) -> str:
    what = "wake" if state.agreed is None else "act"
    if state.abandoned:
        return f"The {what} did not end."
    if state.phase is AttemptState.CANCELLED and state.agreed is None:
        return "A wake had begun: what it started may still come up."
    return "It was woken once." if state.agreed is None else "It was begun once."


def _known(state: Progress, now: Verdict) -> bool:
    return now.reason in (state.original, state.last, "")


def _was(state: Progress) -> str:
    return f"What was wrong: {sentence(state.original)}"


def _done(state: Progress, name: str, elapsed: float) -> str:
    goal = "serving" if state.verb is Verb.WAKE else "connected"
    if state.agreed is not None:
        if state.agreed.rests:
            return f"{name}: {sentence(state.said or f'{state.agreed.name} is done')}"
        return f"{name} is {goal} after {took(elapsed)}. {sentence(state.said)}".rstrip()
    if state.wakes:
        return f"{name} was woken and is {goal}, after {took(elapsed)}. {_was(state)}"
    if state.original:
        return f"{name} is {goal} after {took(elapsed)}, without a wake. {_was(state)}"
    if state.seen:
        return f"{name} was starting by itself and is {goal} after {took(elapsed)}."
    if state.verb is Verb.WAKE:
        return f"{name} was serving already; nothing had to be done."
    return f"{name} is connected; nothing had to be repaired."
