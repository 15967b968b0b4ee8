"""The steps of an attempt as they are shown."""

from __future__ import annotations

import pytest

from services.models import Attempt, AttemptState, SandboxId, Step, StepState, Verb
from services.repair.messages import duration, summary
from services.repair.steps import StepTracker
from services.sources.protocol.verdict import Verdict, VerdictKind


def names(tracker: StepTracker) -> list[str]:
    return [step.name for step in tracker.steps]


def test_steps_merge_by_name_and_keep_their_times() -> None:
    tracker = StepTracker()
    tracker.record(Step("select", StepState.PENDING), 1)
    tracker.record(Step("start", StepState.RUNNING, limit_s=30), 2)
    assert names(tracker) == ["start", "select"]
    tracker.record(Step("start", StepState.OK, detail="up"), 5)
    (start, select) = tracker.steps
    assert (start.started_at, start.ended_at, start.limit_s, start.detail) == (2, 5, 30, "up")
    assert select.started_at is None
    tracker.record(Step("start", StepState.RUNNING), 9)
    restarted = tracker.steps[0]
    assert (restarted.started_at, restarted.ended_at) == (9, None)


def test_a_skipped_step_never_started() -> None:
    tracker = StepTracker()
    tracker.record(Step("forward", StepState.SKIPPED, detail="not needed"), 3)
    (step,) = tracker.steps
    assert (step.started_at, step.ended_at) == (None, 3)


@pytest.mark.parametrize(
    ("elapsed", "words", "next_in"), [(10, "10 s", 50), (61, "60 s", 89), (400, "2.5 min", None)]
)
def test_slow_steps_say_what_they_wait_for(
    elapsed: float, words: str, next_in: float | None
) -> None:
    tracker = StepTracker()
    tracker.record(Step("start", StepState.RUNNING, detail="starting"), 0)
    assert tracker.announce(0) == 10
    assert tracker.steps[0].detail == "starting"
    assert tracker.announce(elapsed) == next_in
    detail = tracker.steps[0].detail
    assert detail.startswith("starting · over ")
    assert words in detail
    assert "cancelling is safe" in detail
    tracker.record(Step("start", StepState.OK), elapsed)
    assert tracker.steps[0].detail == ""


def test_a_critical_step_says_that_cancel_waits() -> None:
    tracker = StepTracker()
    tracker.record(Step("credential", StepState.RUNNING, critical=True), 0)
    tracker.announce(10)
    assert "never interrupted" in tracker.steps[0].detail


def test_words_of_others_are_harmless_masked_and_bounded() -> None:
    tracker = StepTracker()
    detail = "\x1b[31m" + "token=hunter2 " + "x" * 1000
    tracker.record(Step("s\x1b[0mx" * 30, StepState.RUNNING, detail=detail), 0)
    (step,) = tracker.steps
    assert "\x1b" not in step.name + step.detail
    assert "hunter2" not in step.detail
    assert len(step.detail) <= 300
    assert len(step.name) <= 40


def test_nothing_runs_after_the_end() -> None:
    tracker = StepTracker()
    tracker.record(Step("start", StepState.RUNNING), 0)
    tracker.record(Step("connect", StepState.PENDING), 0)
    tracker.finish("cancelled", 7)
    assert [(s.name, s.state) for s in tracker.steps] == [
        ("start", StepState.FAILED),
        ("connect", StepState.SKIPPED),
    ]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "under a second"), (12.4, "12 s"), (300, "5 min")]
)
def test_durations_as_one_says_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_what_a_failed_attempt_said_already_is_not_said_as_news() -> None:
    failed = Attempt(
        *("a", SandboxId("local", "box"), Verb.WAKE, AttemptState.FAILED, 0.0),
        original="It is gone.",
        ended_at=1.0,
    )
    assert "Now:" not in summary(failed, 1.0, Verdict(VerdictKind.TERMINAL, "It is gone."))
    assert "Now:" not in summary(failed, 1.0, Verdict(VerdictKind.TERMINAL, ""))
    news = summary(failed, 1.0, Verdict(VerdictKind.TERMINAL, "It hangs."))
    assert news.endswith("Now: It hangs.")
