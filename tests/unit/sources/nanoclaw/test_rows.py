"""A session as a row: its name and id, its way in, and each fact with and without its evidence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.models import Activity, Capability, GatewayId, SandboxId, SandboxState
from services.queues.facts import AgentFacts, Survey
from services.queues.series import Series
from services.queues.stuck import ProcessingClaim
from services.queues.timestamps import seconds
from services.queues.usage import SessionUsage, TokenUsage
from services.sources.nanoclaw.central_db import CentralSnapshot, Chat, PendingRequest, SessionRow
from services.sources.nanoclaw.containers import AgentContainer
from services.sources.nanoclaw.evidence import SessionEvidence, SessionJudgement
from services.sources.nanoclaw.host_log import StartFailure
from services.sources.nanoclaw.rows import (
    NO_CONTAINER,
    SessionRecord,
    display_name,
    human_wait,
    native_ids,
    to_row,
)
from services.text.format import clock_time

NOW = 1_795_194_300.0
ROW = SessionRow("s", "g", "c", None, "active", "running")
BOX = AgentContainer("id", "nanoclaw-v2-x-1", ("g", "s"), NOW - 600)
QUIET = AgentFacts(NOW)
CENTRAL = CentralSnapshot(
    groups={"g": "Family", "blank": ""},
    chats={"c": Chat("c", "slack", "p-1", "Dinner", True, "", False),
           "bare": Chat("bare", "slack", "p-2", "", True, "", False)},
)  # fmt: skip
READY = SessionJudgement(SandboxState.READY, "")
RECORD = SessionRecord(
    SandboxId("claw", "s"), GatewayId("claw", "host"), SessionEvidence(ROW, QUIET), READY,
    Survey(QUIET), group_id="g",
)  # fmt: skip


def record(files: AgentFacts = QUIET, **more: object) -> SessionRecord:
    evidence = replace(RECORD.evidence, files=files, **more)  # type: ignore[arg-type]
    return replace(RECORD, evidence=evidence)


def boxed(files: AgentFacts = QUIET, **more: object) -> SessionRecord:
    return record(files, container=replace(BOX, **more))  # type: ignore[arg-type]


def rowed(**more: object) -> SessionRecord:
    return record(row=replace(ROW, **more))  # type: ignore[arg-type]


def surveyed(*series: Series, **more: object) -> SessionRecord:
    return replace(RECORD, survey=Survey(QUIET, series=series, **more))  # type: ignore[arg-type]


CLAIM = ProcessingClaim("m", "2026-11-20 10:00:00")
SERIES = Series("t-1", "Water the plants", NOW + 60, "0 9 * * *", False)
TOOL = replace(QUIET, tool="Bash", tool_started_at=NOW - 700)
CASES: list[tuple[SessionRecord, str, str | None]] = [
    (RECORD, "session", "s"),
    (RECORD, "group", "g"),
    (RECORD, "chat", "Dinner (slack)"),
    (rowed(chat=None), "chat", None),
    (rowed(chat="other"), "chat", None),
    (record(row=None), "chat", None),
    (RECORD, "row", "active, running"),
    (rowed(status="", container=""), "row", "nothing, nothing"),
    (record(row=None), "row", "none"),
    (RECORD, "container", "none"),
    (boxed(), "container", "nanoclaw-v2-x-1, up 10 min"),
    (boxed(started_at=None, status="paused"), "container", "nanoclaw-v2-x-1, paused"),
    (replace(boxed(), runtime_problem="no docker"), "container", "unknown: no docker"),
    (RECORD, "disagreement", "the row says running, and no container has this session's mount"),
    (record(runtime=False), "disagreement", None),
    (record(row=None), "disagreement", None),
    (boxed(), "disagreement", None),
    (boxed(contradiction="two names"), "disagreement", "two names"),
    (rowed(container="stopped"), "disagreement", None),
    (
        record(row=replace(ROW, container="stopped"), container=BOX),
        "disagreement",
        "the row says stopped, and a container has this session's mount",
    ),
    (RECORD, "heartbeat", "never"),
    (record(replace(QUIET, heartbeat_at=NOW)), "heartbeat", "0 s ago"),
    (boxed(), "idle reap", None),
    (record(replace(QUIET, heartbeat_at=NOW)), "idle reap", None),
    (boxed(replace(QUIET, heartbeat_at=NOW)), "idle reap", "in 30 min"),
    (boxed(replace(QUIET, heartbeat_at=NOW, claims=(CLAIM,))), "idle reap", None),
    (RECORD, "tool", None),
    (record(TOOL), "tool", "Bash"),
    (boxed(TOOL), "tool", "Bash (left over from an earlier container)"),
    (boxed(replace(TOOL, tool_started_at=NOW - 600)), "tool", "Bash"),
    (record(replace(TOOL, tool_timeout_ms=60_000.0)), "tool", "Bash, declared 60 s"),
    (record(replace(TOOL, tool_timeout_ms=0.0)), "tool", "Bash, declared 0 s"),
    (record(replace(QUIET, due=3)), "host's due count", "3"),
    (RECORD, "claims", None),
    (record(replace(QUIET, claims=(CLAIM,))), "claims", "1"),
    (record(replace(QUIET, claims=(CLAIM,), claimed_at=NOW)), "claims", "1, since 0 s ago"),
    (RECORD, "next due", None),
    (record(replace(QUIET, next_at=NOW + 60)), "next due", "in 60 s"),
    (record(replace(QUIET, next_at=NOW + 60, next_tries=2)), "next due", "in 60 s, after 2 resets"),
    (RECORD, "starved", None),
    (record(replace(QUIET, starved=True)), "starved", "a due message has too many others in front"),
    (RECORD, "container config", None),
    (
        record(configured=False),
        "container config",
        "none: it cannot start until the host was restarted",
    ),
    (RECORD, "thread", None),
    (rowed(thread="t-9"), "thread", "t-9"),
    (RECORD, "files", None),
    (record(replace(QUIET, problem="is locked")), "files", "is locked"),
    (record(replace(QUIET, problem="is locked"), folder=False), "files", None),
    (RECORD, "error log", None),
    (record(trouble=StartFailure(NOW, "no image")), "error log", "0 s ago: no image"),
    (RECORD, "dropped senders", None),
    (replace(RECORD, dropped=1), "dropped senders", "1 message in its chat"),
    (RECORD, "model", None),
    (RECORD, "task t-1", None),
    (surveyed(SERIES), "task t-1", "in 60 s, 0 9 * * *: Water the plants"),
    (surveyed(replace(SERIES, next_at=NOW)), "task t-1", "due, 0 9 * * *: Water the plants"),
    (
        surveyed(replace(SERIES, next_at=None, recurrence="")),
        "task t-1",
        "never: Water the plants",
    ),
    (
        surveyed(replace(SERIES, next_at=NOW - 1, paused=True)),
        "task t-1",
        "paused, 0 9 * * *: Water the plants",
    ),
    (surveyed(*[SERIES] * 12), "tasks", None),
    (surveyed(*[SERIES] * 14), "tasks", "2 more"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda n: f"{CASES[n][1]}-{n}")
def test_a_fact(number: int) -> None:
    made, name, expected = CASES[number]
    assert dict(to_row(made, CENTRAL, NOW).evidence).get(name) == expected


def test_what_waits_comes_first_and_only_so_many() -> None:
    at = "2026-11-20 10:00:00"
    one = PendingRequest("approval", "Delete all", since=at, note="by Ann", until="soon")
    row = to_row(replace(RECORD, waiting=(one,) * 9), CENTRAL, NOW)
    when = clock_time(seconds(at) or 0.0, with_date=True)
    expected = ("waiting approval", f"Delete all; by Ann; asked {when}")
    assert row.evidence[:9] == (expected,) * 8 + (("session", "s"),)


def test_the_model_of_its_group_and_what_it_cost() -> None:
    central = replace(CENTRAL, models={"g": "claude opus"})
    assert dict(to_row(RECORD, central, NOW).evidence)["model"] == "claude opus"
    used = SessionUsage(TokenUsage(cost_usd=0.0))
    assert to_row(surveyed(usage=used), CENTRAL, NOW).cost_usd == 0.0
    assert to_row(RECORD, CENTRAL, NOW).cost_usd is None


@pytest.mark.parametrize(
    ("files", "stale", "seen_at"),
    [
        (replace(QUIET, observed_at=NOW - 9), False, NOW),
        (replace(QUIET, observed_at=NOW - 9, stale=True), True, NOW - 9),
        (replace(QUIET, observed_at=NOW - 9, stale=True, unread=True), False, NOW),
    ],
)
def test_the_age_of_a_row_is_that_of_its_files(
    files: AgentFacts, stale: bool, seen_at: float
) -> None:
    row = to_row(record(files), CENTRAL, NOW)
    assert (row.stale, row.observed_at) == (stale, seen_at)


def test_its_way_in_and_its_shell_are_its_container() -> None:
    none, there = to_row(RECORD, CENTRAL, NOW), to_row(boxed(), CENTRAL, NOW)
    assert none.needs == () and there.needs == (GatewayId("claw", "containers"),)
    assert there.unavailable == ()
    assert dict(none.unavailable) == dict.fromkeys(
        (Capability.SHELL, Capability.EXEC), NO_CONTAINER
    )
    row = to_row(replace(RECORD, runtime_problem="no docker"), CENTRAL, NOW)
    assert set(dict(row.unavailable).values()) == {"no docker"}


@pytest.mark.parametrize(
    ("activity", "tool"),
    [(Activity.WORKING, "Bash"), (Activity.IDLE, ""), (Activity.NONE, "")],
)
def test_a_tool_is_named_while_it_works(activity: Activity, tool: str) -> None:
    judged = SessionJudgement(SandboxState.READY, "", activity, "Bash")
    row = to_row(replace(RECORD, judged=judged), CENTRAL, NOW)
    assert (row.activity, row.tool) == (activity, tool)


@pytest.mark.parametrize(
    ("by_design", "human", "asleep"), [(True, "", True), (True, "Asks.", False), (False, "", False)]
)
def test_it_sleeps_by_design_only_where_nobody_is_asked(
    by_design: bool, human: str, asleep: bool
) -> None:
    judged = SessionJudgement(SandboxState.ASLEEP, "", by_design=by_design)
    row = to_row(replace(record(human=human), judged=judged), CENTRAL, NOW)
    assert (row.asleep_by_design, row.needs_me) == (asleep, human)


@pytest.mark.parametrize(
    ("row", "name"),
    [
        (None, "native"),
        (ROW, "Family · Dinner"),
        (replace(ROW, chat=None), "Family · native"),
        (replace(ROW, chat="other"), "Family · native"),
        (replace(ROW, chat="bare"), "Family · p-2"),
        (replace(ROW, group="blank"), "blank · Dinner"),
        (replace(ROW, group="new"), "new · Dinner"),
        (replace(ROW, thread="1234567890"), "Family #567890 · Dinner"),
        (replace(ROW, thread="system:tasks:t-1"), "Family · task t-1"),
    ],
)
def test_the_name_of_a_session(row: SessionRow | None, name: str) -> None:
    assert display_name(CENTRAL, row, "native") == name


def test_each_session_has_an_id_of_its_own() -> None:
    assert native_ids([("a", "one"), ("a", "two")]) == {("a", "one"): "one", ("a", "two"): "two"}
    assert native_ids([("a", "x"), ("b", "x")]) == {("a", "x"): "a/x", ("b", "x"): "b/x"}
    odd = native_ids([("a", ""), ("a", "-x"), ("a", " y"), ("a", "z-")])
    assert odd == {("a", ""): "a/", ("a", "-x"): "a/-x", ("a", " y"): "y", ("a", "z-"): "z-"}
    same = native_ids([("a", "b/x"), ("a", "x"), ("a/b", "x"), ("c", "a/x")])
    assert len(set(same.values())) == 4
    assert same[("a", "x")] == "a/x" and same[("c", "a/x")] == "a/x~2"


ASKS = PendingRequest("question", "")


@pytest.mark.parametrize(
    ("waiting", "lost", "said"),
    [
        ((), 0, ""),
        ((), 1, "1 message not delivered."),
        ((ASKS,), 0, "Asks a human."),
        ((ASKS,), 2, "Asks a human. 2 messages not delivered."),
        ((ASKS, ASKS, ASKS), 0, "Asks a human and 2 more."),
        ((replace(ASKS, title="Lunch?"),), 0, "Asks a human: “Lunch?”."),
        ((replace(ASKS, what="approval", note="by Ann"),), 0, "Waits for an admin, by Ann."),
        ((replace(ASKS, until="2026-11-20 10:00:00"),), 0, "Asks a human."),
        ((replace(ASKS, what="reason", until="soon"),), 0, "Rejected, waits for the reason."),
        (
            (replace(ASKS, what="reason", until="2026-11-20 10:00:00"),),
            0,
            "Rejected, waits for the reason, until "
            f"{clock_time(seconds('2026-11-20 10:00:00') or 0.0, with_date=True)}.",
        ),
    ],
)
def test_what_waits_for_a_human(waiting: tuple[PendingRequest, ...], lost: int, said: str) -> None:
    assert human_wait(waiting, lost) == said
