"""What the check before an attempt is shown to have found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.models import Attempt, AttemptState, SandboxId, StepState, Verb
from services.repair.machine import ProbeResult
from services.repair.steps import StepTracker, apply_transition
from services.sources.protocol.verdict import Verdict, VerdictKind

PROBED = Attempt("a", SandboxId("local", "box"), Verb.WAKE, AttemptState.PROBE, 0.0)


@pytest.mark.parametrize(
    ("ends", "step"),
    [
        (AttemptState.FAILED, StepState.FAILED),
        (AttemptState.DONE, StepState.OK),
        (AttemptState.CONNECT, StepState.OK),
        (AttemptState.CANCELLED, None),
        (AttemptState.PROBE, None),
    ],
)
def test_a_check_fails_only_with_its_attempt(ends: AttemptState, step: StepState | None) -> None:
    tracker = StepTracker()
    found = ProbeResult(Verdict(VerdictKind.TERMINAL, "It is gone."))
    apply_transition(
        tracker, PROBED, replace(PROBED, state=ends), found, now=1.0, limit_s=5.0, owner=""
    )
    checks = [(one.state, one.detail) for one in tracker.steps if one.name == "check"]
    assert checks == ([] if step is None else [(step, "It is gone.")])
