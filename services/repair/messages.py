"""The summary and advice sentences of an attempt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from services.models import Attempt, AttemptState, Step, StepState, Verb
from services.repair.lateness import HELD_UP_S
from services.repair.machine import Progress
from services.sources.protocol.verdict import Verdict, VerdictKind
from services.text.format import span
from services.text.redact import redact_line
from services.text.sanitize import end_sentence

_STATE_SENTENCES = {
    VerdictKind.READY: "It is serving now.",
    VerdictKind.SETTLING: "It is starting now.",
}


def to_attempt(
    old: Attempt,
    state: Progress,
    steps: Sequence[Step],
    *,
    cancelling: bool,
    seen: Verdict | None,
    held_up_s: float,
) -> Attempt:
    """The attempt record, made from the machine's state and the steps.

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
        connects=state.connects,
        cancelling=cancelling and not over,
        confirmable=state.confirmable,
        act="" if state.confirmed is None else state.confirmed.name,
    )
    if old.ended_at is None:
        return new
    name = redact_line(old.sandbox.native_id)
    return replace(
        new,
        summary=" ".join(
            (
                summary(state, name, old.ended_at - old.started_at, seen, steps),
                *_held_up(held_up_s),
            )
        ),
        advice=advice(state, seen),
    )


def _held_up(seconds: float) -> tuple[str, ...]:
    if seconds < HELD_UP_S:
        return ()
    return (f"This panel was held up for {span(seconds)} of it.",)


def duration(seconds: float) -> str:
    """A duration in words."""
    return "under a second" if seconds < 1 else span(seconds)


def summary(
    state: Progress, name: str, elapsed: float, now: Verdict | None, steps: Sequence[Step] = ()
) -> str:
    """What was wrong, what was done and what was not; `now` is the probe for display, if any."""
    outcomes = step_outcomes(steps)
    match state.phase:
        case AttemptState.DONE:
            return _success_summary(state, name, elapsed, outcomes)
        case AttemptState.FAILED if state.confirmed is not None:
            why = end_sentence(state.original or "no reason given")
            parts = [f"{name}: {state.confirmed.name} did not succeed. {why}"]
        case AttemptState.FAILED:
            goal = "woken" if state.verb is Verb.WAKE else "reconnected"
            parts = [
                f"{name} could not be {goal}: {end_sentence(state.original or 'no reason given')}"
            ]
        case AttemptState.CANCELLED:
            parts = ["Cancelled." if not state.original else f"Cancelled. {_problem(state)}"]
        case _:
            return ""
    if state.done_text:
        parts.append(end_sentence(state.done_text))
    elif state.wakes:
        parts.append(_wake_sentence(state))
    elif state.phase is AttemptState.FAILED:
        parts.append("Nothing was started.")
    if outcomes:
        parts.append(f"Besides: {end_sentence('; '.join(outcomes))}")
    if state.last:
        parts.append(f"Last seen: {end_sentence(state.last)}")
    if now is not None:
        parts.append(
            _STATE_SENTENCES.get(
                now.kind, "" if _already_told(state, now) else f"Now: {end_sentence(now.reason)}"
            )
        )
    return " ".join(part for part in parts if part)


def step_outcomes(steps: Sequence[Step]) -> tuple[str, ...]:
    """What the steps add to the conclusion; a failure that failed nothing is always in it."""
    ended = (s for s in steps if s.state is StepState.OK or (s.best_effort and _failed(s)))
    clauses = (s.outcome or (f"{s.name} failed: {s.detail}" if _failed(s) else "") for s in ended)
    return tuple(clause.rstrip(".") for clause in clauses if clause)


def _failed(step: Step) -> bool:
    return step.state is StepState.FAILED


def advice(state: Progress, now: Verdict | None) -> str:
    """What to do next; empty where nothing is left to do."""
    if state.phase is AttemptState.DONE:
        return ""
    if now is not None and now.kind is VerdictKind.READY and not state.advice_from_step:
        return "" if state.verb is Verb.WAKE else "Reconnect to try the link again."
    text = state.advice or (now.advice if now is not None else "")
    if text:
        return end_sentence(text)
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


def _wake_sentence(state: Progress) -> str:
    what = "wake" if state.confirmed is None else "act"
    if state.abandoned:
        return f"The {what} did not end."
    if state.phase is AttemptState.CANCELLED and state.confirmed is None:
        return "A wake had begun: what it started may still come up."
    return "It was woken once." if state.confirmed is None else "It was begun once."


def _already_told(state: Progress, now: Verdict) -> bool:
    return now.reason in (state.original, state.last, "")


def _problem(state: Progress) -> str:
    return f"What was wrong: {end_sentence(state.original)}"


def _success_summary(state: Progress, name: str, elapsed: float, outcomes: Sequence[str]) -> str:
    goal = "serving" if state.verb is Verb.WAKE else "connected"
    also = "".join(f"; {one}" for one in outcomes)
    if state.confirmed is not None:
        if state.confirmed.skips_verify:
            return f"{name}: {end_sentence(state.done_text or f'{state.confirmed.name} is done')}"
        return (
            f"{name} is {goal} after {duration(elapsed)}{also}."
            f" {end_sentence(state.done_text)}".rstrip()
        )
    if state.wakes:
        took = f"after {duration(elapsed)}{also}"
        return f"{name} was woken and is {goal}, {took}. {_problem(state)}"
    if state.original:
        took = f"after {duration(elapsed)}, without a wake{also}"
        return f"{name} is {goal} {took}. {_problem(state)}"
    if state.seen:
        return f"{name} was starting by itself and is {goal} after {duration(elapsed)}{also}."
    if state.verb is Verb.WAKE:
        return f"{name} was serving already; nothing had to be done."
    return f"{name} is connected{also or '; nothing had to be repaired'}."
