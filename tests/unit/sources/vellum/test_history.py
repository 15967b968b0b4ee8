"""What looks remember: early deaths, refusals with no process, answers that are watched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from services.process.identity import ProcessId
from services.sources.vellum import probes
from services.sources.vellum.evidence import AssistantEvidence
from services.sources.vellum.history import StartHistory, crash_looping
from services.sources.vellum.http_probe import HttpOutcome, HttpReply
from services.sources.vellum.limits import CRASHES_WITHIN_S, EARLY_S, REFUSED_S, WATCH_S
from services.sources.vellum.ownership import Holder, Listener
from services.sources.vellum.pid_files import PidFile, PidState
from tests.support.clock import FakeClock

NOW = 1_000_000.0
REFUSED = AssistantEvidence(NOW, health=HttpReply(HttpOutcome.REFUSED))
READY = HttpReply(HttpOutcome.ANSWERED, 200, {"status": "ok", "ready": True})


def died(pid: int, age_s: float = 2.0) -> AssistantEvidence:
    return replace(REFUSED, gateway=PidFile(PidState.DEAD, pid, NOW - age_s))


def answering(pid: int) -> AssistantEvidence:
    process = ProcessId(pid, 1, "boot")
    return AssistantEvidence(
        NOW,
        health=READY,
        ready=READY,
        gateway=PidFile(PidState.ALIVE, pid, NOW),
        listener=Listener(Holder.OURS, process, "bun"),
    )


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def test_the_third_early_death_is_a_crash_loop(clock: FakeClock) -> None:
    history = StartHistory(clock)
    assert [crash_looping(history.note("a", died(pid))) for pid in (1, 1, 2, 3)] == [
        *(False, False, False),
        True,
    ]
    assert not crash_looping(history.note("b", died(3)))
    await clock.advance(CRASHES_WITHIN_S + 1)
    assert not crash_looping(history.note("a", died(3)))


async def test_a_late_death_is_none_of_a_crash_loop(clock: FakeClock) -> None:
    history = StartHistory(clock)
    seen = [history.note("a", died(pid, EARLY_S + 5)) for pid in range(1, 6)]
    assert {one.early_deaths for one in seen} == {0}


async def test_a_wait_is_over_when_what_was_started_has_ended(clock: FakeClock) -> None:
    history = StartHistory(clock)
    before = died(1)
    assert not history.note("a", before).over
    history.woken("a", before.gateway)
    assert not history.note("a", before).over, "the old one says nothing of the new start"
    assert history.note("a", died(2)).over


async def test_three_refusals_with_no_process_are_enough(
    clock: FakeClock,
) -> None:
    history = StartHistory(clock)
    history.woken("a", PidFile())
    assert not history.note("a", REFUSED).over
    await clock.advance(REFUSED_S / 2)
    assert not history.note("a", REFUSED).over
    await clock.advance(REFUSED_S / 2)
    assert not history.note("a", replace(REFUSED, starter=5)).over, "somebody is at it"
    for _ in range(2):
        assert not history.note("a", REFUSED).over
        await clock.advance(REFUSED_S / 2)
    assert history.note("a", REFUSED).over


async def test_without_a_wake_nothing_is_over(clock: FakeClock) -> None:
    history = StartHistory(clock)
    for pid in range(5):
        await clock.advance(REFUSED_S)
        assert not history.note("a", died(pid)).over


async def test_one_process_has_to_answer_for_a_while(clock: FakeClock) -> None:
    history = StartHistory(clock)
    assert history.note("a", answering(1)).watched_s is None
    history.woken("a", PidFile())
    assert history.note("a", answering(1)).watched_s == 0
    await clock.advance(WATCH_S - 1)
    assert history.note("a", answering(2)).watched_s == 0, "another process begins anew"
    await clock.advance(WATCH_S - 1)
    assert history.note("a", answering(2)).watched_s == WATCH_S - 1
    assert history.note("a", died(2)).watched_s is None
    assert history.note("a", answering(2)).watched_s == 0
    await clock.advance(WATCH_S)
    assert history.note("a", answering(2)).watched_s is None


def test_the_last_line_is_that_of_this_start_and_harmless(tmp_path: Path) -> None:
    path = tmp_path / "start.log"
    assert probes.last_log_line(path, 1_700_000_000.0) == ""
    path.write_text(
        "2023-11-14T21:00:00.000Z [gateway] of an earlier start\n"
        "2023-11-14T22:13:21.000Z [gateway] listening\x1b[31m\n"
        "2023-11-14T22:13:22.000Z [gateway] boom " + "x" * 500 + "\n"
        "2023-11-14T22:13:22.000Z [daemon] not it\n"
        "2023-11-14T23:00:00.000Z [gateway] of a later start\n"
        "nonsense [gateway] undated\n"
    )
    said = probes.last_log_line(path, 1_700_000_000.0)
    assert said.startswith("boom x")
    assert len(said) <= 160
