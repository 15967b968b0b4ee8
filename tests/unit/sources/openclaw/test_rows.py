"""A gateway, its agents and their sessions as rows: what is said, and what is not known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.agents.openclaw.evidence import (
    Config,
    ConnectionState,
    Heard,
    Lock,
    LockState,
    OpenClawEvidence,
    Owner,
    Service,
    ServiceState,
)
from services.agents.openclaw.judgement import OpenClawJudgement
from services.agents.openclaw.probes import (
    Answers,
    EventLoop,
    HealthWord,
    Reach,
    Readiness,
    Startup,
)
from services.agents.openclaw.told import (
    AgentInfo,
    ChannelAccount,
    Cost,
    CronJob,
    GatewayHealth,
    GatewaySummary,
    Lane,
    SavedConfig,
    SessionInfo,
    TaskInfo,
    Told,
)
from services.models import Activity, Capability, GatewayState, OutLabel, Sandbox, SandboxState
from services.sources.openclaw.rows import (
    APPROVALS,
    ASKED,
    NO_WAKE,
    NOT_ASKED,
    RECENT_S,
    UNHEARD,
    UNSEEN,
    dollars,
    to_rows,
    to_sandboxes,
    to_verdict,
)
from services.sources.openclaw.work import full_text, inbound, outbound, to_queue, unknown_words
from services.sources.protocol.verdict import VerdictKind
from services.text.format import clock_time

NOW = 1_795_194_300.0
READY = OpenClawJudgement("ready", GatewayState.READY, SandboxState.READY)
BASE = OpenClawEvidence(NOW, "home", "~/.openclaw", port=18789)


def heard(
    told: Told | None = None, state: ConnectionState = ConnectionState.READING, **more: object
) -> OpenClawEvidence:
    return replace(BASE, heard=Heard(state, told=told or Told(), **more))  # type: ignore[arg-type]


def sandboxes(seen: OpenClawEvidence, judged: OpenClawJudgement = READY) -> dict[str, Sandbox]:
    return {one.id.native_id: one for one in to_sandboxes("claw", "home", seen, judged)}


def facts(seen: OpenClawEvidence, judged: OpenClawJudgement = READY) -> dict[str, str]:
    return dict(to_rows("claw", "home", seen, judged)[0].evidence)


MAIN, SIDE = AgentInfo("main", "opus"), AgentInfo("side")
CHAT = SessionInfo("main:chat", "main", "chat", updated_at=NOW - 60)


def test_the_default_agent_comes_first_under_the_gateways_name() -> None:
    told = Told(agents=(SIDE, MAIN), default_agent="main", sessions=(CHAT,))
    assert list(sandboxes(heard(told))) == ["home", "home:side", "home:main:chat"]
    assert list(sandboxes(heard(told, ConnectionState.LOST))) == ["home", "home:side"]
    assert list(sandboxes(heard(Told()))) == ["home"]
    # A session that is called like an agent does not take its place.
    told = replace(told, sessions=(replace(CHAT, key="side", name="false"),))
    rows = sandboxes(heard(told))
    assert list(rows) == ["home", "home:side"]
    assert "false" not in rows["home:side"].name


@pytest.mark.parametrize(
    ("session", "shown"),
    [
        (CHAT, True),
        (replace(CHAT, updated_at=NOW - RECENT_S), False),
        (replace(CHAT, updated_at=NOW - RECENT_S + 1), True),
        (replace(CHAT, updated_at=None), False),
        (replace(CHAT, updated_at=None, working=True), True),
        (replace(CHAT, updated_at=NOW - 2 * RECENT_S, working=True), True),
    ],
)
def test_a_session_is_a_row_while_it_works_or_for_a_day(session: SessionInfo, shown: bool) -> None:
    rows = sandboxes(heard(Told(agents=(MAIN,), default_agent="main", sessions=(session,))))
    assert ("home:main:chat" in rows) is shown
    assert dict(rows["home"].evidence)["sessions"] == f"1 ({int(shown)} of the last day)"


STUCK = replace(READY, agent=SandboxState.STUCK, reason="A channel is down.")
DOWN = OpenClawJudgement("down", GatewayState.DOWN, SandboxState.DOWN, "It has stopped.")
TWO = Told(agents=(MAIN, SIDE), default_agent="main", sessions=(CHAT,), tasks=(), jobs=())


@pytest.mark.parametrize(
    ("seen", "judged", "name", "state", "reason"),
    [
        (heard(TWO), READY, "home", SandboxState.READY, "Serves with opus."),
        (heard(TWO), READY, "home:side", SandboxState.READY, ""),
        # One trouble of a gateway is one row's: the default agent's.
        (heard(TWO), STUCK, "home", SandboxState.STUCK, "A channel is down."),
        (heard(TWO), STUCK, "home:side", SandboxState.READY, ""),
        (heard(TWO), STUCK, "home:main:chat", SandboxState.READY, ""),
        (heard(TWO), DOWN, "home", SandboxState.DOWN, "It has stopped."),
        (heard(TWO), DOWN, "home:side", SandboxState.DOWN, "It has stopped."),
        (heard(TWO), DOWN, "home:main:chat", SandboxState.DOWN, "It has stopped."),
        (heard(), READY, "home", SandboxState.READY, ""),
        (heard(TWO, ConnectionState.OFF), READY, "home", SandboxState.READY, UNSEEN),
        (heard(None, ConnectionState.OFF), READY, "home", SandboxState.READY, UNSEEN),
        (heard(TWO, ConnectionState.CONNECTING), READY, "home", SandboxState.READY, ASKED),
        (
            heard(TWO, ConnectionState.LOST, problem="It hung up."),
            READY,
            "home",
            SandboxState.READY,
            UNHEARD.format("It hung up."),
        ),
        (heard(TWO, ConnectionState.LOST), DOWN, "home", SandboxState.DOWN, "It has stopped."),
    ],
)
def test_state_and_reason_of_an_agent(
    seen: OpenClawEvidence,
    judged: OpenClawJudgement,
    name: str,
    state: SandboxState,
    reason: str,
) -> None:
    row = sandboxes(seen, judged)[name]
    assert (row.state, row.reason) == (state, reason)


def test_work_without_an_agent_is_the_default_ones_and_only_while_it_is_told() -> None:
    tasks = (TaskInfo("1", "", "a", "running"), TaskInfo("2", "side", "b", "queued"))
    job = CronJob("1", "nightly", "side", delivery="failed")
    told = replace(TWO, tasks=tasks, jobs=(job,))
    rows = sandboxes(heard(told))
    assert dict(rows["home"].inbound) == {"processing": 1}
    assert dict(rows["home:side"].inbound) == {"due": 1}
    assert (rows["home"].outbound, dict(rows["home:side"].outbound)) == ((), {"failed": 1})
    lost = sandboxes(heard(told, ConnectionState.LOST))
    assert lost["home"].inbound == lost["home:side"].outbound == ()
    # What ran in a session is its own, a run below it too.
    inside = replace(tasks[0], session=f"{CHAT.key}:run:9")
    rows = sandboxes(heard(replace(told, tasks=(inside,))))
    assert dict(rows["home:main:chat"].inbound) == {"processing": 1}


@pytest.mark.parametrize(
    ("session", "reason", "told"),
    [
        (CHAT, "", {"tokens": "not known", "cost": "not told", "kind": "-", "model": "-"}),
        (
            replace(CHAT, tokens=0, cost=0.0, kind="dm", status="done"),
            "0 tokens, $0.00",
            {"tokens": "0", "cost": "$0.00", "kind": "dm", "its own word": "done"},
        ),
        (replace(CHAT, model="opus", cost=1.5), "opus, $1.50", {"model": "opus"}),
    ],
)
def test_what_a_session_has_used(session: SessionInfo, reason: str, told: dict[str, str]) -> None:
    row = sandboxes(heard(replace(TWO, sessions=(session,))))["home:main:chat"]
    assert row.reason == reason
    assert told.items() <= dict(row.evidence).items()
    assert ("its own word" in dict(row.evidence)) is bool(session.status)
    assert row.activity is Activity.IDLE


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0, "$0.00"), (0.009, "below $0.01"), (0.01, "$0.01"), (12.345, "$12.35")],
)
def test_a_sum_of_money(value: float, said: str) -> None:
    assert dollars(value) == said


JOB = CronJob("1", "nightly", "main")


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (JOB, "has not run"),
        (replace(JOB, enabled=False, next_at=NOW), "off"),
        (replace(JOB, last_at=NOW - 60), "last a word is missing, 1m00 ago"),
        (replace(JOB, last_at=NOW - 60, status="ok", error="x"), "last ok, 1m00 ago"),
        (replace(JOB, status="error", error="no model"), "no model"),
        (
            replace(JOB, delivery="failed", delivery_error="no chat", own=True),
            "delivery failed: no chat, the gateway's own",
        ),
        (replace(JOB, delivery="failed"), "delivery failed"),
        (replace(JOB, next_at=NOW), f"next {clock_time(NOW, with_date=True)}"),
    ],
)
def test_what_is_said_of_a_job(job: CronJob, said: str) -> None:
    rows = sandboxes(heard(replace(TWO, jobs=(job, replace(job, agent="side", name="other")))))
    found = dict(rows["home"].evidence)
    assert found["job nightly"] == said
    assert "job other" not in found


def test_failed_jobs_come_first_and_the_rest_is_counted() -> None:
    jobs = [replace(JOB, id=str(n), name=f"j{n}") for n in range(9)]
    jobs += [replace(JOB, name="own", own=True), replace(JOB, name="lost", delivery="failed")]
    jobs += [replace(JOB, name="bad", status="failed")]
    row = sandboxes(heard(replace(TWO, jobs=tuple(jobs))))["home"]
    names = [name for name, _ in row.evidence if name.startswith("job")]
    assert names == ["job bad", "job lost", *(f"job j{n}" for n in range(6)), "jobs"]
    assert dict(row.evidence)["jobs"] == "4 jobs more"
    row = sandboxes(heard(replace(TWO, jobs=tuple(jobs[:8]))))["home"]
    assert "jobs" not in dict(row.evidence)


@pytest.mark.parametrize(
    ("seen", "name", "said"),
    [
        (heard(None, ConnectionState.OFF), "channels", NOT_ASKED),
        (heard(None, ConnectionState.OFF), "connection", None),
        (heard(TWO, ConnectionState.OFF), "channels", None),
        (heard(TWO, ConnectionState.OFF), "connection", "not made"),
        (heard(TWO, ConnectionState.LOST, problem="It hung up."), "connection", "It hung up."),
        (heard(TWO), "connection", None),
        (heard(TWO), "channels", None),
        (heard(TWO), "model", "opus"),
        (heard(TWO), "used", "-"),
        (heard(replace(TWO, sessions=())), "used", None),
        (
            heard(replace(TWO, sessions=(replace(CHAT, model="opus"),), more_sessions=True)),
            "sessions",
            "1 (1 of the last day), more there",
        ),
        (heard(replace(TWO, sessions=(replace(CHAT, model="opus"),))), "used", "opus in 1"),
        (heard(TWO), "waiting approvals", APPROVALS),
    ],
)
def test_what_is_known_of_the_default_agent(
    seen: OpenClawEvidence, name: str, said: str | None
) -> None:
    rows = sandboxes(seen)
    assert dict(rows["home"].evidence).get(name) == said
    if "home:side" in rows:
        assert "waiting approvals" not in dict(rows["home:side"].evidence)
        assert dict(rows["home:side"].evidence)["model"] == "-"


def test_a_far_gateway_is_woken_where_it_runs() -> None:
    near, far = (sandboxes(replace(heard(TWO), remote=remote))["home"] for remote in (False, True))
    assert near.unavailable == ()
    assert far.unavailable == ((Capability.WAKE, NO_WAKE),)
    asleep = replace(DOWN, agent=SandboxState.ASLEEP, advice="Start it.")
    row = sandboxes(heard(TWO), asleep)["home"]
    assert row.asleep_by_design and not near.asleep_by_design
    assert dict(row.evidence)["advice"] == "Start it."
    assert "advice" not in dict(near.evidence)


LIVE = Answers(Reach.ANSWERED, health=HealthWord.LIVE, latency_s=0.01)
SLOW = EventLoop(degraded=True, delay_ms=1500.0)


@pytest.mark.parametrize(
    ("seen", "name", "said"),
    [
        (BASE, "probes", "not asked"),
        (replace(BASE, answers=Answers(Reach.REFUSED)), "probes", Reach.REFUSED.value),
        (replace(BASE, answers=LIVE), "probes", None),
        (replace(BASE, answers=LIVE), "healthz", HealthWord.LIVE.value),
        (replace(BASE, answers=replace(LIVE, word="odd")), "healthz", "odd"),
        (replace(BASE, answers=LIVE), "startupz", None),
        (replace(BASE, answers=replace(LIVE, startup=Startup("started"))), "startupz", "started"),
        (replace(BASE, answers=replace(LIVE, startup=Startup("started"))), "running for", None),
        (
            replace(BASE, answers=replace(LIVE, startup=Startup("started", "", "1", 0.0))),
            "running for",
            "0 s",
        ),
        (replace(BASE, answers=replace(LIVE, readiness=Readiness(False))), "readyz", "not ready"),
        (
            replace(BASE, answers=replace(LIVE, readiness=Readiness(True, event_loop=SLOW))),
            "event loop",
            "degraded, 1500 ms late",
        ),
        (replace(BASE, answers=LIVE), "listens", Owner.UNKNOWN.value),
        (replace(BASE, answers=LIVE, owner_name="nginx, pid 7"), "listens", "nginx, pid 7"),
        (replace(BASE, answers=LIVE, remote=True), "listens", None),
        (replace(BASE, answers=Answers(Reach.REFUSED)), "listens", None),
        (BASE, "lock", "none"),
        (replace(BASE, remote=True), "lock", None),
        (
            replace(BASE, lock=Lock(problem="Permission denied")),
            "lock",
            "not read: Permission denied",
        ),
        (replace(BASE, lock=Lock(LockState.HELD, 7)), "lock", "held, pid 7"),
        (replace(BASE, lock=Lock(LockState.HELD, 7, None, 0.0)), "lock", "held, pid 7 for 0.0s"),
        (BASE, "configuration", None),
        (replace(BASE, config=Config(problem="no JSON")), "configuration", "not read: no JSON"),
        (BASE, "service", None),
        (
            replace(BASE, service=Service(ServiceState.FAILED, "claw.service", 3, 2)),
            "service",
            "claw.service: failed, exit 3, 2 restarts",
        ),
        (replace(BASE, service=Service(ServiceState.RUNNING, "c")), "service", "c: running"),
        (BASE, "connection", None),
        (heard(), "connection", "reads"),
        (
            heard(None, ConnectionState.LOST, problem="It hung up."),
            "connection",
            "lost: It hung up.",
        ),
        (heard(None, version="2"), "versions", None),
        (replace(heard(None, version="2"), command_version="2"), "versions", None),
        (
            replace(heard(None, version="2"), command_version="1"),
            "versions",
            "gateway 2, command 1: is a restart due?",
        ),
        (heard(Told(saved=SavedConfig(True))), "saved config", None),
        (
            heard(Told(saved=SavedConfig(True, in_force=False))),
            "saved config",
            "not in force before a restart",
        ),
        (
            heard(Told(saved=SavedConfig(False, ("a", "b"), in_force=False))),
            "saved config",
            "not accepted: a; b",
        ),
        (
            heard(Told(saved=SavedConfig(False)), ConnectionState.LOST),
            "saved config",
            None,
        ),
        (heard(Told(health=GatewayHealth(reloads="active"))), "reloads config", None),
        (heard(Told(health=GatewayHealth(reloads="off"))), "reloads config", "off"),
        (heard(Told(summary=GatewaySummary((("lost", 2),)))), "troubles", "lost 2"),
        (heard(Told(summary=GatewaySummary())), "troubles", None),
        (heard(Told(summary=GatewaySummary())), "memory", None),
        (heard(Told(summary=GatewaySummary(memory=5))), "memory", "5"),
        (heard(), "lanes", "nothing waits"),
        (heard(Told(lanes=(Lane("a"), Lane("b", most=4)))), "lanes", "nothing waits"),
        (heard(Told(lanes=(Lane("a", 1, 0, 4),))), "lanes", "a 0/4 at work, 1 queued"),
        (heard(Told(lanes=(Lane("a", 0, 2, 4),))), "lanes", "a 2/4 at work, 0 queued"),
        (heard(Told(lanes=(Lane("a", blocked_by="x"),))), "lanes", "a 0/0 at work, 0 queued"),
        (heard(Told(cost=Cost(1.0, 7))), "cost", "$1.00 in 7 days"),
        (
            heard(Told(cost=Cost(1.0, 7, 0.0, 2))),
            "cost",
            "$1.00 in 7 days, $0.00 today, 2 entries without a price",
        ),
        (heard(Told(device="d" * 20)), "identity", "d" * 16),
        (
            heard(Told(channels=(ChannelAccount("a"),))),
            "channel a",
            "off",
        ),
        (
            heard(Told(channels=(ChannelAccount("a", wanted=True, connected=True),))),
            "channel a",
            "connected",
        ),
        (
            heard(Told(channels=(ChannelAccount("a", True, False, True, "crashed", "no token"),))),
            "channel a",
            "does not run, crashed, no token",
        ),
        (
            heard(Told(channels=(ChannelAccount("a", wanted=True),))),
            "channel a",
            "whether connected is not told",
        ),
    ],
)
def test_what_is_said_of_a_gateway(seen: OpenClawEvidence, name: str, said: str | None) -> None:
    assert facts(seen).get(name) == said


@pytest.mark.parametrize(
    ("seen", "judged", "reason", "latency"),
    [
        (replace(BASE, answers=LIVE), READY, "", 0.01),
        (BASE, READY, "", None),
        (replace(BASE, answers=LIVE), DOWN, "It has stopped.", None),
        (replace(BASE, answers=LIVE), STUCK, "A channel is down.", 0.01),
        (heard(Told(saved=SavedConfig(True))), READY, "", None),
        (
            heard(Told(saved=SavedConfig(False))),
            READY,
            "A restart would end it: its saved configuration is not accepted: it does not say why.",
            None,
        ),
        (heard(Told(saved=SavedConfig(False)), ConnectionState.LOST), READY, "", None),
    ],
)
def test_the_reason_and_latency_of_a_gateway(
    seen: OpenClawEvidence, judged: OpenClawJudgement, reason: str, latency: float | None
) -> None:
    gateway, _ = to_rows("claw", "home", seen, judged)
    assert (gateway.reason, gateway.latency_s) == (reason, latency)


@pytest.mark.parametrize(
    ("remote", "port", "address"),
    [(True, 1, "~/.openclaw"), (False, 1, "127.0.0.1:1"), (False, None, "")],
)
def test_the_address_of_a_gateway(remote: bool, port: int | None, address: str) -> None:
    gateway, _ = to_rows("claw", "home", replace(BASE, remote=remote, port=port), READY)
    assert gateway.address == address


@pytest.mark.parametrize(
    ("judged", "no_tool", "kind", "wakeable", "advice"),
    [
        (replace(DOWN, startable=True, advice="A."), "", VerdictKind.REPAIRABLE, True, "A."),
        (replace(DOWN, startable=True, advice="A."), "B.", VerdictKind.REPAIRABLE, False, "B. A."),
        (replace(DOWN, startable=True), "B.", VerdictKind.REPAIRABLE, False, "B."),
        (replace(DOWN, gateway=GatewayState.SETTLING), "B.", VerdictKind.SETTLING, False, ""),
        (READY, "B.", VerdictKind.READY, False, ""),
        (replace(DOWN, gateway=GatewayState.UNKNOWN), "", VerdictKind.UNKNOWN, False, ""),
    ],
)
def test_what_an_attempt_may_do(
    judged: OpenClawJudgement, no_tool: str, kind: VerdictKind, wakeable: bool, advice: str
) -> None:
    said = to_verdict(judged, no_tool)
    assert (said.kind, said.wakeable, said.advice) == (kind, wakeable, advice)


TASKS = (
    TaskInfo("a", "main", "Old", "succeeded", created_at=1.0, ended_at=2.0),
    TaskInfo("b", "main", "Late", "timed_out", "cli", "no answer", created_at=3.0, ended_at=4.0),
    TaskInfo("c", "main", "Next", "queued", created_at=5.0),
    TaskInfo("d", "main", "Now", "running", created_at=6.0, started_at=7.0),
    TaskInfo("e", "main", "Odd", "pondering", created_at=0.5, delivery="wandering"),
)
JOBS = (
    replace(JOB, id="1", delivery="failed", delivery_error="no chat", last_at=8.0),
    replace(JOB, id="2", status="error", error="boom"),
    replace(JOB, id="3", status="error", delivery="failed", last_at=9.0),
    replace(JOB, id="4", delivery="delivered"),
)


def test_a_queue_holds_tasks_and_what_jobs_were_to_deliver() -> None:
    row = sandboxes(heard(TWO))["home"].id
    queue = to_queue(row, TASKS, JOBS, 20, NOW, "")
    said = {one.id: (one.text, one.note, one.since, one.kind) for one in queue.messages}
    assert said == {
        "a": ("Old", "", 2.0, "task"),
        "b": ("Late: no answer", "timed_out", 4.0, "cli"),
        "c": ("Next", "", 5.0, "task"),
        "d": ("Now", "", 7.0, "task"),
        "e": ("Odd", "pondering", None, "task"),
        "job:1": ("nightly: no chat", "", None, "job"),
        "job:3": ("nightly", "", None, "job"),
        "job:4": ("nightly", "", None, "job"),
    }
    assert [one.id for one in queue.messages] == [
        "job:4",
        "e",
        "a",
        "b",
        "c",
        "d",
        "job:1",
        "job:3",
    ]
    assert not queue.stale and to_queue(row, (), (), 9, NOW, "It hung up.").stale
    few = to_queue(row, TASKS, (), 4, NOW, "")
    assert "a" not in [one.id for one in few.messages]
    assert few.inbound == queue.inbound == inbound(TASKS)
    assert queue.outbound == outbound(TASKS, JOBS)
    labels = {OutLabel.UNKNOWN_STATUS: 1, OutLabel.FAILED: 2, OutLabel.DELIVERED: 1}
    assert dict(queue.outbound) == {one.value: count for one, count in labels.items()}


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("a", "Old\nsucceeded"),
        ("b", "Late\ntimed_out: no answer"),
        ("job:1", "nightly\nfailed: no chat"),
        ("job:2", "nightly\nerror: boom"),
        ("1", None),
        ("job:9", None),
    ],
)
def test_the_whole_of_a_message(message: str, said: str | None) -> None:
    assert full_text(TASKS, JOBS, message) == said


def test_words_nobody_knows_are_named() -> None:
    assert unknown_words(Told(tasks=TASKS)) == ("pondering", "wandering")
    assert unknown_words(Told()) == ()
    quiet = replace(TASKS[0], status="", delivery="dismissed")
    assert unknown_words(Told(tasks=(quiet,))) == ()
