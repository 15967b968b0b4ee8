"""What the repair bar says of a sandbox and of an attempt, its steps in one strip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from textual.content import Content

from services.models import Attempt, AttemptState, Sandbox, Step, StepState, Verb
from services.text.format import counts, duration, span
from services.text.signs import ATTEMPTS, DOING, NEEDS_YOU, STEPS, Sign, sandbox_sign
from widgets.text.cell_text import sanitize_line
from widgets.text.styled_text import GAP, TONES, joined, signed, styled

SLOW_S = 10.0
"""From here on a running step says whether cancel is safe.

See upstream/repair: One repair at a time.
"""


def step_words(step: Step, now: float, *, timed: bool = True) -> str:
    """`check 0.1s`, `start 2.3s/30s`, `wait`: a step with its elapsed time and limit."""
    name = sanitize_line(step.name, 24)
    if not timed or step.started_at is None or step.state in (StepState.PENDING, StepState.SKIPPED):
        return name
    end = step.ended_at
    if step.state is StepState.RUNNING or end is None:
        limit = f"/{duration(step.limit_s)}" if step.limit_s is not None else ""
        return f"{name} {duration(now - step.started_at)}{limit}"
    return f"{name} {duration(end - step.started_at)}"


def strip_lines(steps: Sequence[Step], now: float, width: int, most: int = 2) -> list[Content]:
    """The steps in at most `most` lines of at most `width` cells.

    Where they do not fit, first the times of ended steps go, then the ended and the pending ones
    become two counts; the running and the failed step always stay.
    """
    for cells in (
        [_cell(step, now) for step in steps],
        [_cell(step, now, timed=step.state in _LIVE) for step in steps],
        list(_folded(steps, now)),
    ):
        lines = _fill(cells, width)
        if len(lines) <= most:
            return lines
    return lines[:most]


_LIVE = (StepState.RUNNING, StepState.FAILED)


def _cell(step: Step, now: float, *, timed: bool = True) -> Content:
    return signed(
        STEPS[step.state],
        step_words(step, now, timed=timed),
        bold=step.state in _LIVE,
    )


def _folded(steps: Sequence[Step], now: float) -> Iterator[Content]:
    for state, run in groupby(steps, key=lambda step: step.state):
        found = list(run)
        if state in _LIVE or len(found) == 1:
            for step in found:
                yield _cell(step, now, timed=state in _LIVE)
        else:
            yield signed(STEPS[state], f"{len(found)} {STEPS[state].word}")


def _fill(cells: Sequence[Content], width: int) -> list[Content]:
    lines: list[Content] = []
    for cell in cells:
        cut = cell.truncate(max(1, width), ellipsis=True)
        if lines and lines[-1].cell_length + GAP + cut.cell_length <= width:
            lines[-1] = joined([lines[-1], cut])
        else:
            lines.append(cut)
    return lines


def progress_words(attempt: Attempt, now: float) -> Content:
    """What a running attempt is busy with, how long it has been, and whether cancel is safe."""
    running = next((s for s in attempt.steps if s.state is StepState.RUNNING), None)
    parts = [
        f"{sanitize_line(attempt.act) or DOING[attempt.verb]} {duration(now - attempt.started_at)}"
    ]
    if running is not None and running.detail:
        parts.append(sanitize_line(running.detail))
    slow = (
        running is not None
        and running.started_at is not None
        and now - running.started_at >= SLOW_S
    )
    if attempt.cancelling:
        critical = running is not None and running.critical
        parts.append("cancelling once this step ends" if critical else "cancelling…")
    elif running is not None and slow and "cancel" not in running.detail:
        parts.append(
            "this step is never interrupted" if running.critical else "slow; cancel is safe"
        )
    return styled(" · ".join(parts), "warn" if slow or attempt.cancelling else "calm")


def outcome_lines(attempt: Attempt, *, offered: bool = False) -> list[Content]:
    """How an attempt ended: the original error, what was done, what to do next, the last error.

    `offered`: what needs confirming is said elsewhere.
    """
    sign = ATTEMPTS.get(attempt.state, Sign("·", attempt.state.value, "dim"))
    took = "" if attempt.ended_at is None else duration(attempt.ended_at - attempt.started_at)
    summary = sanitize_line(attempt.summary)
    head = sanitize_line(attempt.original)
    if attempt.state is AttemptState.DONE or not head or head in summary:
        head, summary = summary or f"{attempt.verb.value} {sign.word}", ""
    first = Content.assemble(
        signed(sign, bold=True),
        " " if took else "",
        (took, TONES["dim"]),
        "  ",
        styled(head, "calm"),
    )
    lines = [first]
    if attempt.state is AttemptState.DONE and attempt.original not in attempt.summary:
        lines.append(styled(f"was: {attempt.original}", "dim"))
    if summary:
        lines.append(styled(summary, "calm"))
    if attempt.advice:
        lines.append(Content.assemble(("→ ", "bold $text-accent"), sanitize_line(attempt.advice)))
    if attempt.confirmable and not offered:
        lines.append(styled(f"! needs your confirmation: {attempt.confirmable}", "warn"))
    if attempt.last and attempt.last != attempt.original and attempt.last not in attempt.summary:
        lines.append(styled(f"last error: {attempt.last}", "dim"))
    return lines


def title_words(sandbox: Sandbox | None) -> Content:
    """The name, whole, and the state."""
    if sandbox is None:
        return styled("No sandbox selected", "dim")
    sign = sandbox_sign(sandbox)
    doing = f" {sanitize_line(sandbox.tool, 40)}" if sandbox.tool else ""
    return Content.assemble(
        signed(sign, sanitize_line(sandbox.name, 120), bold=True),
        "  ",
        styled(f"{sign.word}{doing}", sign.tone),
        "  ",
        styled("stale" if sandbox.stale else "", "warn"),
    )


def present_words(sandbox: Sandbox, overtaken: str) -> Content:
    """What is so now: what overtook a result, what is asked, what is wrong, or its queues."""
    if overtaken:
        return styled(overtaken, "calm")
    asked = f"{NEEDS_YOU.glyph} {sandbox.needs_me}" if sandbox.needs_me else ""
    rest = sandbox.reason.removeprefix(sandbox.needs_me).strip()
    if any(parts := (styled(asked, NEEDS_YOU.tone), styled(rest, "calm"))):
        return joined(parts)
    queues = (("in", sandbox.inbound), ("out", sandbox.outbound))
    return styled(" · ".join(f"{way} {counts(pairs)}" for way, pairs in queues if pairs), "dim")


def refusal_lines(refusals: Mapping[Verb, str]) -> list[Content]:
    """Which verbs are off and why; once where it is the same for both."""
    reasons = {verb: sanitize_line(reason) for verb, reason in refusals.items() if reason}
    if len(reasons) == 2 and len(set(reasons.values())) == 1:
        return [styled(f"Wake and Reconnect are off: {reasons[Verb.WAKE]}", "dim")]
    return [styled(f"{v.value.title()} is off: {r}", "dim") for v, r in reasons.items()]


def waits_for(attempt: Attempt, now: float) -> str:
    """For how long and for what it waits, as its running step says; empty where it says nothing."""
    for step in attempt.steps:
        if step.state is StepState.RUNNING and step.detail and step.started_at is not None:
            lasted = span(now - step.started_at)
            return f" and has waited {lasted} for this: {sanitize_line(step.detail)}"
    return ""
