"""The steps of an attempt as they are shown."""

from __future__ import annotations

import pytest

from services.models import Step, StepState
from services.repair.messages import took
from services.repair.steps import Ledger


def names(ledger: Ledger) -> list[str]:
    return [step.name for step in ledger.steps]


def test_steps_merge_by_name_and_keep_their_times() -> None:
    ledger = Ledger()
    ledger.note(Step("select", StepState.PENDING), 1)
    ledger.note(Step("start", StepState.RUNNING, limit_s=30), 2)
    assert names(ledger) == ["start", "select"]
    ledger.note(Step("start", StepState.OK, detail="up"), 5)
    (start, select) = ledger.steps
    assert (start.started_at, start.ended_at, start.limit_s, start.detail) == (2, 5, 30, "up")
    assert select.started_at is None
    ledger.note(Step("start", StepState.RUNNING), 9)
    restarted = ledger.steps[0]
    assert (restarted.started_at, restarted.ended_at) == (9, None)


def test_a_skipped_step_never_started() -> None:
    ledger = Ledger()
    ledger.note(Step("forward", StepState.SKIPPED, detail="not needed"), 3)
    (step,) = ledger.steps
    assert (step.started_at, step.ended_at) == (None, 3)


@pytest.mark.parametrize(
    ("elapsed", "words", "next_in"), [(10, "10 s", 50), (61, "60 s", 89), (400, "2.5 min", None)]
)
def test_slow_steps_say_what_they_wait_for(
    elapsed: float, words: str, next_in: float | None
) -> None:
    ledger = Ledger()
    ledger.note(Step("start", StepState.RUNNING, detail="starting"), 0)
    assert ledger.announce(0) == 10
    assert ledger.steps[0].detail == "starting"
    assert ledger.announce(elapsed) == next_in
    detail = ledger.steps[0].detail
    assert detail.startswith("starting · over ")
    assert words in detail
    assert "cancelling is safe" in detail
    ledger.note(Step("start", StepState.OK), elapsed)
    assert ledger.steps[0].detail == ""


def test_a_critical_step_says_that_cancel_waits() -> None:
    ledger = Ledger()
    ledger.note(Step("credential", StepState.RUNNING, critical=True), 0)
    ledger.announce(10)
    assert "never interrupted" in ledger.steps[0].detail


def test_words_of_others_are_harmless_masked_and_bounded() -> None:
    ledger = Ledger()
    detail = "\x1b[31m" + "token=hunter2 " + "x" * 1000
    ledger.note(Step("s\x1b[0mx" * 30, StepState.RUNNING, detail=detail), 0)
    (step,) = ledger.steps
    assert "\x1b" not in step.name + step.detail
    assert "hunter2" not in step.detail
    assert len(step.detail) <= 300
    assert len(step.name) <= 40


def test_nothing_runs_after_the_end() -> None:
    ledger = Ledger()
    ledger.note(Step("start", StepState.RUNNING), 0)
    ledger.note(Step("connect", StepState.PENDING), 0)
    ledger.finish("cancelled", 7)
    assert [(s.name, s.state) for s in ledger.steps] == [
        ("start", StepState.FAILED),
        ("connect", StepState.SKIPPED),
    ]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "under a second"), (12.4, "12 s"), (300, "5 min")]
)
def test_durations_as_one_says_them(seconds: float, words: str) -> None:
    assert took(seconds) == words
