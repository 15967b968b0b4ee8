"""How what happened reads in the timeline."""

from __future__ import annotations

from services.models import Attempt, AttemptState, Event, SandboxId, Severity, Shell


def attempt_event(attempt: Attempt, now: float) -> Event:
    """An attempt that ended, or was just asked for."""
    severity = Severity.ACTION
    if attempt.state is AttemptState.DONE:
        severity = Severity.BETTER if attempt.wakes else Severity.ACTION
    elif attempt.state is AttemptState.FAILED:
        severity = Severity.WORSE
    said = attempt.summary or "asked for"
    if not attempt.act:
        said = f"{attempt.verb.value}: {said}"
    return Event(
        now,
        severity,
        attempt.sandbox.source,
        attempt.sandbox.native_id,
        "attempt",
        said,
        after=attempt.state.value,
    )


def shell_event(shell: Shell, now: float) -> Event:
    """A shell that opened or ended."""
    code = "" if shell.code is None else f" with code {shell.code}"
    reason = f": {shell.reason}" if shell.reason else ""
    return Event(
        now,
        Severity.ACTION,
        shell.sandbox.source,
        shell.sandbox.native_id,
        "shell",
        f"shell {shell.state.value}{code}{reason}",
        after=shell.state.value,
    )


def action_event(sandbox: SandboxId, text: str, now: float) -> Event:
    """Something else the operator did."""
    return Event(now, Severity.ACTION, sandbox.source, sandbox.native_id, "panel", text)
