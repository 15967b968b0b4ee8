"""One round of the bench of truth: what is told, not how soon; and its own judging."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path

import pytest

from tests.bench import truth_faults, truth_oracle, truth_score
from tests.bench.truth import AGENTS, Run, rehearse
from tests.bench.truth_samples import answer_of, is_stale
from tests.bench.truth_score import (
    DEAD,
    SERVING,
    STOPPED,
    Answer,
    Record,
    Span,
    Timeline,
    alarms,
    behind_closed,
    doubled,
    false_answers,
    false_down,
    false_ready,
    missed,
    wrongly_ranked,
)

SEED = 3
FAULTS = len(truth_faults.MIX)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Every fault of the mix once, under two panels that write one history."""
    return asyncio.run(rehearse(tmp_path_factory.mktemp("truth"), FAULTS, SEED, panels=2))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_record_is_missed(run: Run) -> None:
    assert len(run.faults) == FAULTS
    assert run.untold == []
    for role, line in run.truth.items():
        way = run.truth["gateway"] if role in AGENTS else None
        assert missed(role, line, way, run.records, run.ended) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_record_is_doubled(run: Run) -> None:
    assert doubled(run.records) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_record_is_ranked_wrong(run: Run) -> None:
    assert wrongly_ranked(run.records) == []


def line(*changes: tuple[float, str]) -> Timeline:
    return Timeline(list(changes))


def test_what_was_shown_too_long_and_too_early_is_false() -> None:
    truth = line((0, SERVING), (10, DEAD), (20, SERVING))
    shown = line((0, "ready"), (12, "down"), (23, "ready"), (30, "down"), (31, "ready"))
    assert false_ready(truth, shown, 40) == [Span(10, 12, DEAD)]
    wrong = false_down(truth, shown, None, 40)
    assert wrong == [Span(20, 23, "down"), Span(30, 31, "down")]
    # The first is only late; the second came out of nothing.
    assert alarms(truth, None, wrong) == 1
    assert false_ready(truth, line((0, "ready"), (10, "stale"), (20, "ready")), 40) == []


def test_cut_off_is_true_while_the_way_is_closed_and_false_while_it_is_open() -> None:
    truth, way = line((0, SERVING)), line((0, SERVING), (10, STOPPED), (20, SERVING))
    shown = line((0, "idle"), (11, "cut off"), (21, "working"))
    assert false_down(truth, shown, way, 40) == [Span(20, 21, "cut off")]
    asleep = line((0, "idle"), (11, "asleep"), (21, "idle"))
    assert false_down(truth, asleep, way, 40) == [Span(11, 21, "asleep")]


def test_ready_behind_a_row_that_says_closed() -> None:
    way = line((0, "ready"), (10, "hung"), (20, "ready"))
    assert behind_closed(way, line((0, "idle")), 40) == [Span(10, 20, "hung")]
    assert behind_closed(way, line((0, "idle"), (10.1, "cut off"), (20, "idle")), 40) == []


def test_a_lasting_state_that_was_never_told_is_missed() -> None:
    truth = line((0, SERVING), (10, DEAD), (20, SERVING), (30, STOPPED), (31, SERVING))
    told = [Record(11, "worse", "one", "ready", "asleep")]
    back = Record(21, "better", "one", "asleep", "ready")
    other = Record(21, "better", "two", "asleep", "ready")
    assert missed("one", truth, None, [*told, back], 40) == []
    assert [span.word for span in missed("one", truth, None, [back], 40)] == [DEAD]
    assert {span.start for span in missed("one", truth, None, [*told, other], 40)} == {20, 31}
    cut = [Record(11, "worse", "one", "ready", "cut off"), back]
    assert missed("one", truth, line((0, SERVING), (9, DEAD), (20, SERVING)), cut, 40) == []
    assert missed("one", truth, line((0, SERVING)), cut, 40)


def test_a_stop_behind_a_closed_way_is_the_ways_record_and_a_death_is_its_own() -> None:
    way = line((0, SERVING), (9, DEAD), (20, SERVING))
    for word, back, lost in ((STOPPED, 19, []), (STOPPED, 30, [STOPPED]), (DEAD, 19, [DEAD])):
        truth = line((0, SERVING), (10, word), (back, SERVING))
        found = missed("one", truth, way, [Record(back + 1, "better", "one", "", "ready")], 40)
        assert [span.word for span in found] == lost


def test_the_end_of_a_death_is_told_behind_a_closed_way_too() -> None:
    truth = line((0, SERVING), (10, DEAD), (20, "starting"), (21, SERVING), (30, STOPPED))
    way = line((0, SERVING), (15, STOPPED))
    down = Record(11, "worse", "one", "ready", "down")
    cut = Record(22, "info", "one", "down", "cut off")
    assert missed("one", truth, way, [down, cut], 40) == []
    assert [span.word for span in missed("one", truth, way, [down], 40)] == [SERVING]


def test_records_that_repeat_or_cannot_be_ranked_so() -> None:
    once = Record(1, "worse", "one", "ready", "asleep")
    again = Record(1.2, "worse", "one", "ready", "asleep")
    beside = Record(1.3, "worse", "two", "ready", "asleep")
    assert doubled([once, beside]) == []
    assert doubled([once, beside, again]) == [again]
    right = (
        ("ready", "down", "worse"),
        ("down", "ready", "better"),
        ("hung", "down", "worse"),
        ("hung", "down", "info"),
        ("down", "settling", "better"),
        ("ready", "settling", "info"),
        ("ready", "cut off", "worse"),
        ("", "asleep", "worse"),
        ("stuck", "asleep", "better"),
        ("asleep", "ready", "info"),
        ("asleep", "down", "worse"),
    )
    wrong = (
        ("wrong", "down", "better"),
        ("stuck", "asleep", "info"),
        ("asleep", "down", "info"),
        ("ready", "cut off", "info"),
        ("down", "ready", "info"),
        ("settling", "down", "better"),
        ("down", "settling", "worse"),
    )
    for every, said in ((right, False), (wrong, True)):
        for before, after, severity in every:
            record = Record(1, severity, "one", before, after)
            assert (wrongly_ranked([record]) == [record]) is said, record


def test_an_answer_is_false_only_against_what_held_all_the_while() -> None:
    truth = {
        "gateway": line((0, SERVING), (10, DEAD)),
        "host": line((0, SERVING)),
        "one": line((0, SERVING), (10, STOPPED)),
    }
    assert false_answers([Answer(9, 11, {"gateway": "ready"}, 1)], truth) == (0, 0, 0, 0)
    assert false_answers([Answer(11, 12, {"gateway": "ready"}, 0)], truth) == (1, 0, 0, 0)
    assert false_answers([Answer(11, 12, {"gateway": "down"}, 1)], truth) == (1, 0, 1, 0)
    assert false_answers([Answer(5, 6, {"gateway": "ready", "host": "down"}, 1)], truth)[1] == 1
    assert false_answers([answer_of(b"Traceback", 5, 6)], truth) == (0, 0, 0, 1)


def test_a_row_is_stale_by_its_age_alone() -> None:
    assert is_stale("   ‖1 ✓2   stale 12s ") and is_stale("  ✓2  ~12s")
    # The sign of an orphan claim is another, and a reason may use the word.
    assert not is_stale("  !1 ✓2   3s ") and not is_stale(" stale lock left by pid 7  0s")
    assert not is_stale("")


def test_six_faults_a_minute_at_least_and_the_same_for_a_seed() -> None:
    one, other = (truth_faults.plan(SEED, AGENTS) for _ in range(2))
    faults = [next(one) for _ in range(3 * FAULTS)]
    assert faults == [next(other) for _ in faults]
    assert max(fault.gap_s for fault in faults) < 10
    for at in range(0, len(faults), FAULTS):
        kinds = sorted(fault.kind for fault in faults[at : at + FAULTS])
        assert kinds == sorted(kind for kind, _ in truth_faults.MIX)


@pytest.mark.parametrize("module", [truth_oracle, truth_score, truth_faults])
def test_nothing_of_the_panel_takes_part_in_judging_it(module: object) -> None:
    tree = ast.parse(Path(str(module.__file__)).read_text("utf-8"))  # type: ignore[attr-defined]
    named = [one.module or "" for one in ast.walk(tree) if isinstance(one, ast.ImportFrom)]
    named += [
        alias.name for one in ast.walk(tree) if isinstance(one, ast.Import) for alias in one.names
    ]
    assert named
    assert not {name.partition(".")[0] for name in named} & {"services", "widgets", "tui"}
