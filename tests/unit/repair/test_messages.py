"""The sentences in which attempts end: made of their steps, and nothing that was not so."""

from __future__ import annotations

from dataclasses import replace

from services.models import Attempt, AttemptState, SandboxId, Step, StepState, Verb
from services.repair.messages import advice, step_outcomes, summary
from services.sources.protocol.verdict import Verdict, VerdictKind

BOX = SandboxId("local", "box")
DONE = Attempt("a", BOX, Verb.RECONNECT, AttemptState.DONE, 0.0, ended_at=1.0)
FAILED = replace(DONE, state=AttemptState.FAILED, original="It is gone.")


def step(state: StepState, **more: object) -> Step:
    return Step("forward", state, **more)  # type: ignore[arg-type]


def test_a_reconnect_that_repaired_nothing_says_so_and_one_that_did_says_what() -> None:
    assert summary(DONE, 1.0, None) == "box is connected; nothing had to be repaired."
    mended = step(StepState.OK, outcome="its forward was set up anew.")
    assert summary(DONE, 1.0, None, [mended]) == "box is connected; its forward was set up anew."


def test_a_failure_that_failed_nothing_is_in_the_conclusion() -> None:
    failed = step(StepState.FAILED, detail="no route.", best_effort=True)
    assert step_outcomes([failed]) == ("forward failed: no route",)
    assert step_outcomes([replace(failed, outcome="it is not mended")]) == ("it is not mended",)
    assert step_outcomes([replace(failed, best_effort=False)]) == ()
    assert step_outcomes([step(StepState.OK), step(StepState.SKIPPED, outcome="x")]) == ()
    text = summary(DONE, 1.0, None, [failed])
    assert text == "box is connected; forward failed: no route."


def test_how_it_is_now_is_said_only_where_that_is_known() -> None:
    assert "now" not in summary(FAILED, 1.0, None).lower()
    assert summary(FAILED, 1.0, None).endswith("Nothing was started.")
    seen = summary(FAILED, 1.0, Verdict(VerdictKind.TERMINAL, "It hangs."))
    assert seen.endswith("Now: It hangs.")


def test_what_to_do_next_is_the_attempts_own_word_or_the_last_probes() -> None:
    assert advice(DONE, None) == ""
    assert advice(replace(FAILED, advice="Look at its log"), None) == "Look at its log."
    later = Verdict(VerdictKind.TERMINAL, "It hangs.", advice="Free some disk")
    assert advice(FAILED, later) == "Free some disk."
    assert advice(replace(FAILED, advice="Look at its log"), later) == "Look at its log."
    serves = Verdict(VerdictKind.READY, "")
    assert advice(FAILED, serves) == "Reconnect to try the link again."
    assert advice(replace(FAILED, verb=Verb.WAKE), serves) == ""
    assert "None" not in advice(FAILED, None)
