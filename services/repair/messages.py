"""The summary and advice sentences of an attempt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from services.models import Attempt, AttemptState, Step, StepState, Verb
from services.repair.lateness import HELD_UP_S
from services.sources.protocol.verdict import Verdict, VerdictKind
from services.text.format import span
from services.text.redact import redact_line
from services.text.sanitize import end_sentence

_STATE_SENTENCES = {
    VerdictKind.READY: "It is serving now.",
    VerdictKind.SETTLING: "It is starting now.",
}


def to_told(
    attempt: Attempt,
    steps: Sequence[Step],
    *,
    last: AttemptState,
    cancelling: bool,
    seen: Verdict | None,
    held_up_s: float,
) -> Attempt:
    """The attempt as it is told: its end with summary and advice, nothing of it before.

    Until `ended_at` is set, an attempt that is over but still lets go is in the state told `last`.
    """
    if attempt.ended_at is None:
        state = last if attempt.state.ended else attempt.state
        told = replace(attempt, state=state, cancelling=attempt.cancelling or cancelling, advice="")
        return replace(told, steps=tuple(steps))
    took = attempt.ended_at - attempt.started_at
    parts = (summary(attempt, took, seen, steps), *_held_up(held_up_s))
    return replace(
        attempt,
        steps=tuple(steps),
        cancelling=False,
        summary=" ".join(parts),
        advice=advice(attempt, seen),
    )


def _held_up(seconds: float) -> tuple[str, ...]:
    if seconds < HELD_UP_S:
        return ()
    return (f"This panel was held up for {span(seconds)} of it.",)


def duration(seconds: float) -> str:
    """A duration in words."""
    return "under a second" if seconds < 1 else span(seconds)


def summary(
    attempt: Attempt, elapsed: float, now: Verdict | None, steps: Sequence[Step] = ()
) -> str:
    """What was wrong, what was done and what was not; `now` is the probe for display, if any."""
    name = redact_line(attempt.name or attempt.sandbox.native_id)
    outcomes = step_outcomes(steps)
    match attempt.state:
        case AttemptState.DONE:
            linked = not any(
                one.name == "connect" and one.state is StepState.SKIPPED for one in steps
            )
            return _success_summary(attempt, name, elapsed, outcomes, linked)
        case AttemptState.FAILED if attempt.confirmed is not None:
            why = end_sentence(attempt.original or "no reason given")
            parts = [f"{name}: {attempt.confirmed.name} did not succeed. {why}"]
        case AttemptState.FAILED:
            goal = "woken" if attempt.verb is Verb.WAKE else "reconnected"
            parts = [
                f"{name} could not be {goal}: {end_sentence(attempt.original or 'no reason given')}"
            ]
        case AttemptState.CANCELLED:
            parts = ["Cancelled." if not attempt.original else f"Cancelled. {_problem(attempt)}"]
        case _:
            return ""
    if attempt.done_text:
        parts.append(end_sentence(attempt.done_text))
    elif attempt.wakes:
        parts.append(_wake_sentence(attempt))
    elif attempt.state is AttemptState.FAILED:
        parts.append("Nothing was started.")
    if outcomes:
        parts.append(f"Besides: {end_sentence('; '.join(outcomes))}")
    if attempt.last:
        parts.append(f"Last seen: {end_sentence(attempt.last)}")
    if now is not None:
        parts.append(
            _STATE_SENTENCES.get(
                now.kind, "" if _already_told(attempt, now) else f"Now: {end_sentence(now.reason)}"
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


def advice(attempt: Attempt, now: Verdict | None) -> str:
    """What to do next; empty where nothing is left to do."""
    if attempt.state is AttemptState.DONE:
        return ""
    if now is not None and now.kind is VerdictKind.READY and not attempt.advice_from_step:
        return "" if attempt.verb is Verb.WAKE else "Reconnect to try the link again."
    text = attempt.advice or (now.advice if now is not None else "")
    if text:
        return end_sentence(text)
    confirmable = attempt.confirmable or (now.confirmable if now is not None else "")
    if confirmable:
        return f"“{confirmable}” could help; it runs only after you confirm it."
    if attempt.state is AttemptState.CANCELLED:
        return "Wake or reconnect again when you want it back."
    if attempt.abandoned:
        return "Something that was started did not end: look for it before you try again."
    if attempt.wakes:
        return "Look at its logs for why it does not come up, then wake it again."
    return "Look at its details and logs, then try again."


def _wake_sentence(attempt: Attempt) -> str:
    what = "wake" if attempt.confirmed is None else "act"
    if attempt.abandoned:
        return f"The {what} did not end."
    if attempt.state is AttemptState.CANCELLED and attempt.confirmed is None:
        return "A wake had begun: what it started may still come up."
    return "It was woken once." if attempt.confirmed is None else "It was begun once."


def _already_told(attempt: Attempt, now: Verdict) -> bool:
    return now.reason in (attempt.original, attempt.last, "")


def _problem(attempt: Attempt) -> str:
    """Empty where nothing was wrong, as with one that slept by design."""
    return f"What was wrong: {end_sentence(attempt.original)}" if attempt.original else ""


def _success_summary(
    attempt: Attempt, name: str, elapsed: float, outcomes: Sequence[str], linked: bool
) -> str:
    goal = "connected" if linked and attempt.verb is Verb.RECONNECT else "serving"
    also = "".join(f"; {one}" for one in outcomes)
    if attempt.confirmed is not None:
        if attempt.confirmed.skips_verify:
            return (
                f"{name}: {end_sentence(attempt.done_text or f'{attempt.confirmed.name} is done')}"
            )
        return (
            f"{name} is {goal} after {duration(elapsed)}{also}."
            f" {end_sentence(attempt.done_text)}".rstrip()
        )
    if attempt.wakes:
        took = f"after {duration(elapsed)}{also}"
        return f"{name} was woken and is {goal}, {took}. {_problem(attempt)}".rstrip()
    if attempt.original:
        took = f"after {duration(elapsed)}, without a wake{also}"
        return f"{name} is {goal} {took}. {_problem(attempt)}"
    if attempt.seen:
        return f"{name} was starting by itself and is {goal} after {duration(elapsed)}{also}."
    if attempt.verb is Verb.WAKE:
        return f"{name} was serving already; nothing had to be done."
    return f"{name} is {goal}{also or '; nothing had to be repaired'}."
