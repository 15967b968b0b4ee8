"""Every row of the table of states, the retry ladder, and what a countdown counts to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.models import Activity, SandboxState
from services.queues.facts import AgentFacts
from services.queues.stuck import ProcessingClaim
from services.queues.timestamps import sqlite_utc
from services.sources.nanoclaw.central_db import SessionRow, session_row
from services.sources.nanoclaw.containers import AgentContainer
from services.sources.nanoclaw.evidence import SessionEvidence, SessionJudgement
from services.sources.nanoclaw.host_log import StartFailure
from services.sources.nanoclaw.judge import judge

NOW = 1_795_194_300.0
RUNNING = SessionRow("s", "g", "c", None, "active", "running")
STOPPED = replace(RUNNING, container="stopped")
BOX = AgentContainer("id", "nanoclaw-v2-x-1", ("g", "s"), NOW - 600)
QUIET = AgentFacts(NOW)
DUE = replace(QUIET, due=1, waiting=1, waiting_since=NOW - 20)


def claimed(age: float) -> tuple[ProcessingClaim, ...]:
    return (ProcessingClaim("m", sqlite_utc(NOW - age)),)


def seen(
    row: SessionRow | None = STOPPED, files: AgentFacts = QUIET, **more: object
) -> SessionJudgement:
    return judge(SessionEvidence(row, files, **more), NOW)  # type: ignore[arg-type]


def beat(age: float) -> AgentFacts:
    return replace(QUIET, heartbeat_at=NOW - age)


@pytest.mark.parametrize(
    ("files", "activity"),
    [
        (beat(5), Activity.WORKING),
        (beat(6), Activity.IDLE),
        (replace(beat(600), tool="Read"), Activity.WORKING),
        (replace(beat(10), claims=claimed(30)), Activity.WORKING),
    ],
)
def test_a_running_session_works_or_idles(files: AgentFacts, activity: Activity) -> None:
    judged = seen(RUNNING, files, container=BOX)
    assert (judged.state, judged.activity) == (SandboxState.READY, activity)


def test_idle_says_when_it_is_reaped() -> None:
    judged = seen(RUNNING, beat(360), container=BOX)
    assert judged.reason == "Idle, reaped in 24 min unless a message comes."
    overdue = seen(RUNNING, beat(1830), container=replace(BOX, started_at=NOW - 4000))
    assert overdue.state is SandboxState.READY
    assert "the next sweep reaps it" in overdue.reason


def test_no_heartbeat_is_starting_and_then_never_active() -> None:
    young = replace(BOX, started_at=NOW - 119)
    assert seen(RUNNING, container=young).state is SandboxState.SETTLING
    old = seen(RUNNING, container=replace(BOX, started_at=NOW - 121))
    assert old.state is SandboxState.STUCK
    assert "never active" in old.reason


def test_the_heartbeat_of_an_earlier_container_is_none() -> None:
    judged = seen(RUNNING, beat(3600), container=replace(BOX, started_at=NOW - 300))
    assert "never active" in judged.reason


def test_a_running_row_without_a_container_is_stale() -> None:
    judged = seen(RUNNING)
    assert judged.state is SandboxState.ASLEEP
    assert judged.by_design
    assert "Its row still says running" in judged.reason


@pytest.mark.parametrize("up", [True, False])
def test_a_container_without_a_running_row_is_an_orphan(up: bool) -> None:
    judged = seen(STOPPED, beat(2), container=BOX, host_up=up)
    assert judged.state is SandboxState.STUCK
    assert judged.reason.startswith("Orphan container")


def test_a_container_that_was_started_just_now_is_no_orphan() -> None:
    judged = seen(STOPPED, container=replace(BOX, started_at=NOW - 3))
    assert judged.state is SandboxState.SETTLING


def test_stopped_with_nothing_due_sleeps_by_design() -> None:
    judged = seen()
    assert (judged.state, judged.by_design, judged.steady) == (SandboxState.ASLEEP, True, True)


def test_due_is_started_by_the_next_sweep() -> None:
    judged = seen(files=DUE)
    assert judged.state is SandboxState.SETTLING
    assert judged.reason == "1 message due: the host's sweep starts it within 40 s."


def test_due_without_a_host_waits_for_one() -> None:
    judged = seen(files=DUE, host_up=False)
    assert (judged.state, judged.by_design) == (SandboxState.ASLEEP, False)
    assert "no host is up" in judged.reason


def test_still_stopped_after_two_sweeps_is_failing_and_the_log_says_why() -> None:
    files = replace(DUE, waiting_since=NOW - 300)
    trouble = StartFailure(NOW - 30, "Container config not found for agent group: g")
    judged = seen(files=files, trouble=trouble)
    assert (judged.state, judged.failing) == (SandboxState.BROKEN, True)
    assert judged.reason == (
        "Start failed: Container config not found for agent group: g. 1 message due."
    )
    old = seen(files=files, trouble=replace(trouble, at=NOW - 4000))
    assert "nothing in the error log says why" in old.reason


@pytest.mark.parametrize(
    ("files", "host_started_at"),
    [
        (replace(DUE, waiting_since=NOW - 3000, heartbeat_at=NOW - 30), None),
        (replace(DUE, waiting_since=NOW - 3000, claimed_at=NOW - 30), None),
        (replace(DUE, waiting_since=NOW - 3000), NOW - 30),
    ],
)
def test_a_sweep_is_missed_only_once_it_could_have_been(
    files: AgentFacts, host_started_at: float | None
) -> None:
    judged = seen(files=files, host_started_at=host_started_at)
    assert judged.state is SandboxState.SETTLING


def test_a_group_without_a_config_cannot_start() -> None:
    judged = seen(files=DUE, configured=False)
    assert judged.state is SandboxState.BROKEN
    assert "no container config" in judged.reason


def test_an_unclaimed_response_is_named() -> None:
    judged = seen(files=replace(DUE, unclaimed_response=True))
    assert "unclaimed response" in judged.reason


def test_the_ladder_counts_down_to_the_next_try() -> None:
    files = replace(QUIET, next_at=NOW + 20, next_tries=2)
    judged = seen(files=files)
    assert judged.reason == "Backs off: try 3 of 6, next in 20 s."
    assert (judged.by_design, judged.starts_at) == (False, NOW + 20)
    last = seen(files=replace(files, next_tries=5))
    assert "try 6 of 6" in last.reason


def test_what_is_scheduled_sleeps_by_design() -> None:
    judged = seen(files=replace(QUIET, next_at=NOW + 7200))
    assert (judged.reason, judged.by_design) == (
        "Stopped; the next message is due in 2 h.",
        True,
    )


def test_context_alone_is_not_waiting() -> None:
    judged = seen(context=3)
    assert judged.by_design
    assert judged.reason == "Accumulates only: 3 context messages, none of which wakes it."


def test_a_claim_without_a_sign_of_life_is_stuck() -> None:
    files = replace(QUIET, claims=claimed(93), claim_tries=2, heartbeat_at=NOW - 200)
    judged = seen(RUNNING, files, container=BOX)
    assert judged.state is SandboxState.STUCK
    assert "93 s ago" in judged.reason
    assert "try 3 of 6" in judged.reason
    within = replace(files, claims=claimed(60))
    assert seen(RUNNING, within, container=BOX).state is SandboxState.READY


def test_silence_with_a_claim_is_stuck_and_without_is_idle() -> None:
    box = replace(BOX, started_at=NOW - 9000)
    files = replace(beat(1801), claims=claimed(3000))
    assert seen(RUNNING, files, container=box).state is SandboxState.STUCK
    assert seen(RUNNING, beat(1801), container=box).state is SandboxState.READY


def test_a_declared_bash_timeout_stretches_the_limits() -> None:
    files = replace(QUIET, claims=claimed(300), heartbeat_at=NOW - 400, bash_ms=600_000.0)
    assert seen(RUNNING, files, container=BOX).state is SandboxState.READY


def test_starved_counts_only_while_a_container_runs() -> None:
    files = replace(beat(2), starved=True)
    assert seen(RUNNING, files, container=BOX).state is SandboxState.STUCK
    assert seen(STOPPED, files).state is SandboxState.ASLEEP


def test_a_tool_from_an_earlier_container_is_not_shown() -> None:
    files = replace(beat(2), tool="Bash", tool_started_at=NOW - 700)
    assert seen(RUNNING, files, container=BOX).tool == ""
    files = replace(files, tool_started_at=NOW - 500)
    assert seen(RUNNING, files, container=BOX).tool == "Bash"


def test_without_the_runtime_row_and_heartbeat_are_believed_and_it_is_said() -> None:
    busy = seen(RUNNING, beat(2), runtime=False)
    assert (busy.state, busy.activity) == (SandboxState.READY, Activity.WORKING)
    assert busy.reason == "Container state unknown, by its heartbeat: working."
    assert seen(RUNNING, runtime=False).state is SandboxState.UNKNOWN
    assert seen(RUNNING, beat(4000), runtime=False).state is SandboxState.UNKNOWN
    quiet = seen(STOPPED, runtime=False)
    assert quiet.state is SandboxState.ASLEEP
    assert quiet.reason.startswith("Container state unknown, by its row")


def test_rows_without_folders_and_folders_without_rows_are_told_apart() -> None:
    assert "no folder" in seen(folder=False).reason
    assert "No row" in seen(None).reason
    assert "Closed" in seen(replace(STOPPED, status="closed")).reason
    for judged in (seen(folder=False), seen(None), seen(replace(STOPPED, status="closed"))):
        assert judged.by_design


def test_without_the_central_db_a_folder_is_judged_by_its_files() -> None:
    judged = seen(None, DUE, central=False)
    assert judged.state is SandboxState.SETTLING


def test_files_that_cannot_be_read_are_unknown_and_files_of_the_first_moment_are_not() -> None:
    sick = AgentFacts(NOW, problem="inbound.db is unreadable: permission", stale=True, unread=True)
    assert seen(files=sick) == SessionJudgement(
        SandboxState.UNKNOWN, "Inbound.db is unreadable: permission."
    )
    fresh = AgentFacts(NOW, problem="no queue files yet", unread=True)
    assert seen(files=fresh).reason == "Stopped; no queue files yet."


def test_what_waits_for_a_human_comes_first() -> None:
    judged = seen(RUNNING, beat(60), container=BOX, human="Asks a human: “Deploy?”.")
    assert judged.reason.startswith("Asks a human: “Deploy?”. Idle")


def test_a_heartbeat_from_the_future_protects() -> None:
    files = replace(QUIET, heartbeat_at=NOW + 3600, claims=claimed(300))
    assert seen(RUNNING, files, container=BOX).state is SandboxState.READY


@pytest.mark.parametrize("runtime", [True, False])
def test_a_session_whose_status_nobody_knows_is_not_judged(runtime: bool) -> None:
    row = replace(STOPPED, status="archived")
    judged = seen(row, replace(DUE, waiting_since=NOW - 900), runtime=runtime)
    assert judged.state is SandboxState.UNKNOWN
    assert "'archived', a word this panel does not know" in judged.reason
    assert not judged.failing


@pytest.mark.parametrize(
    ("word", "why"),
    [("stopping", "ends"), ("initialized", "is made"), ("configured", "is made")],
)
def test_words_of_podman_are_known(word: str, why: str) -> None:
    judged = seen(RUNNING, beat(3), container=replace(BOX, status=word))
    assert judged.state is SandboxState.SETTLING
    assert why in judged.reason


def test_a_container_word_of_a_row_is_shown_and_never_taken_for_stopped() -> None:
    row = replace(STOPPED, container="hibernating")
    unseen = seen(row, beat(3), runtime=False)
    assert unseen.state is SandboxState.UNKNOWN and "'hibernating'" in unseen.reason
    listed = seen(row)
    assert listed.state is SandboxState.ASLEEP and "'hibernating'" in listed.reason


def test_a_word_of_the_runtime_is_shown_and_never_taken_for_running() -> None:
    judged = seen(RUNNING, beat(3), container=replace(BOX, status="thawing"))
    assert judged.state is SandboxState.UNKNOWN and "'thawing'" in judged.reason


def test_a_row_that_says_nothing_of_its_container_contradicts_nobody() -> None:
    silent = session_row({"id": "s", "agent_group_id": "g", "status": "active"})
    assert silent == session_row({"id": "s", "agent_group_id": "g", "container_status": None})
    assert seen(silent, beat(3), container=BOX).state is SandboxState.READY
    assert seen(silent).state is SandboxState.ASLEEP
    unseen = seen(silent, runtime=False)
    assert (unseen.state, unseen.by_design) == (SandboxState.UNKNOWN, False)
