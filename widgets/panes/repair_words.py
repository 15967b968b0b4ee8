"""What the repair bar says of a sandbox and of an attempt."""

from __future__ import annotations

from collections.abc import Mapping

from textual.content import Content

from services.models import Attempt, Sandbox, StepState, Verb
from services.text.format import counts, span
from services.text.signs import NEEDS_YOU, sandbox_sign
from widgets.text.cell_text import sanitize_line
from widgets.text.styled_text import joined, signed, styled


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
