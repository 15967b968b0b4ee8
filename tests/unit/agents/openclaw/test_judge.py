"""Every row of the table of states, and which of two that match wins."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace

import pytest

from services.agents.openclaw import judge as judging
from services.agents.openclaw import told_judge
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
from services.agents.openclaw.judge import STARTING_S, judge
from services.agents.openclaw.probes import (
    Answers,
    EventLoop,
    HealthWord,
    Reach,
    Readiness,
    Startup,
)
from services.agents.openclaw.told import (
    ChannelAccount,
    CronJob,
    GatewayHealth,
    GatewaySummary,
    SessionInfo,
    Told,
)
from services.agents.openclaw.told_judge import judge_agent, judge_session
from services.models import Activity
from services.models import GatewayState as G
from services.models import SandboxState as S

REFUSED, SILENT = Answers(Reach.REFUSED), Answers(Reach.SILENT)
FAILED = Answers(Reach.FAILED, "far:1 cannot be reached (EHOSTUNREACH).")
STARTED = Startup("started", version="2026.9.6", uptime_s=60)
LIVE = Answers(
    Reach.ANSWERED,
    health=HealthWord.LIVE,
    startup=STARTED,
    readiness=Readiness(True),
    latency_s=0.01,
)
OTHER = Answers(Reach.ANSWERED, health=HealthWord.OTHER)
HELD = Lock(LockState.HELD, 4711, 18789, 20.0)
STALE = Lock(LockState.STALE, 4711, 18789)
UNREAD = Lock(LockState.UNKNOWN, problem="Permission denied")
NONE, UNASKED = Lock(), Service()


def seen(
    lock: Lock = NONE,
    answers: Answers | None = REFUSED,
    service: Service = UNASKED,
    **more: object,
) -> OpenClawEvidence:
    """A configured gateway on the usual port."""
    known = OpenClawEvidence(
        1000.0,
        ".openclaw",
        "~/.openclaw",
        config=Config(present=True),
        lock=lock,
        port=18789,
        answers=answers,
        service=service,
    )
    return replace(known, **more)  # type: ignore[arg-type]


def service(state: ServiceState, **more: object) -> Service:
    return Service(state, "openclaw-gateway.service", **more)  # type: ignore[arg-type]


def starting(**more: object) -> Answers:
    return replace(LIVE, **more)  # type: ignore[arg-type]


READING = ConnectionState.READING
TELEGRAM = ChannelAccount("Telegram (default)", True, True, connected=False, error="401")
MATRIX = ChannelAccount("Matrix (default)", True, running=False)


def heard(told: Heard) -> OpenClawEvidence:
    """A gateway whose probes are good, and what it told."""
    return seen(HELD, LIVE, owner=Owner.LOCK, heard=told)


ENDED = service(ServiceState.ENDED, result="success")
RESTARTING = service(ServiceState.RESTARTING, exit_code=1, restarts=1)
LOOP = EventLoop(True, 1500.0, 0.97)
ROWS = [
    (seen(config=Config(), answers=None), G.ABSENT, S.ABSENT, "No OpenClaw gateway is set up in"),
    (
        seen(config=Config(True, mode="remote", remote="wss://far:1"), answers=None),
        *(G.UNKNOWN, S.UNKNOWN, "uses the gateway at wss://far:1"),
    ),
    (
        seen(config=Config(True, "it is not JSON (line 3)"), answers=None, port=None),
        *(G.UNKNOWN, S.UNKNOWN, "it is not JSON (line 3)"),
    ),
    (
        seen(UNREAD),
        *(G.UNKNOWN, S.UNKNOWN, "cannot be read: Permission denied"),
    ),
    (seen(answers=OTHER), G.WRONG, S.BROKEN, "Port 18789 is answered by something else;"),
    (
        seen(HELD, LIVE, owner=Owner.OTHER, owner_name="node, pid 7"),
        *(G.WRONG, S.BROKEN, "something else (node, pid 7)"),
    ),
    (seen(answers=LIVE, claimed_by=".openclaw-ops"), G.DOWN, S.DOWN, "gateway of .openclaw-ops"),
    (seen(HELD, LIVE, claimed_by=".openclaw-ops"), G.WRONG, S.BROKEN, "both claim port 18789"),
    (seen(answers=LIVE), G.UNKNOWN, S.UNKNOWN, "whose it is, is not known"),
    (seen(UNREAD, LIVE), G.UNKNOWN, S.UNKNOWN, "whose it is, is not known"),
    (seen(STALE, LIVE), G.UNKNOWN, S.UNKNOWN, "whose it is, is not known"),
    (
        seen(answers=LIVE, owner_name="node, pid 7", without_lock=(4711, 10.0)),
        *(G.UNKNOWN, S.UNKNOWN, "gateway (node, pid 7) answers on port 18789, but no living"),
    ),
    (
        seen(answers=LIVE, owner=Owner.FORMER, without_lock=(4711, 10.0)),
        *(G.SETTLING, S.SETTLING, "has let go of its lock and still runs"),
    ),
    (
        seen(STALE, LIVE, owner=Owner.FORMER, without_lock=(4711, STARTING_S)),
        *(G.UNKNOWN, S.UNKNOWN, "Process 4711 answers on port 18789, but no longer holds the lock"),
    ),
    (
        seen(answers=LIVE, owner=Owner.FORMER, without_lock=(4711, 10.0), was_started=True),
        *(G.UNKNOWN, S.UNKNOWN, ": whether it is still its gateway is not known."),
    ),
    (
        seen(
            answers=LIVE,
            owner=Owner.FORMER,
            without_lock=(4711, 10.0),
            was_started=True,
            heard=Heard(restart_s=30.0),
        ),
        *(G.SETTLING, S.SETTLING, "has let go of its lock and still runs"),
    ),
    (
        seen(UNREAD, LIVE, owner=Owner.FORMER, without_lock=(4711, 10.0)),
        *(G.UNKNOWN, S.UNKNOWN, "cannot be read (Permission denied): whose it is, is not known"),
    ),
    (seen(HELD), G.SETTLING, S.SETTLING, "starting: process 4711, for 20 s"),
    (
        seen(replace(HELD, age_s=STARTING_S)),
        *(G.HUNG, S.STUCK, "has held the lock for 5 min without opening its port"),
    ),
    (
        seen(service=service(ServiceState.ENDED, exit_code=78)),
        *(G.DOWN, S.BROKEN, "configuration is not accepted (exit 78)"),
    ),
    (
        seen(service=service(ServiceState.FAILED, exit_code=1, restarts=10, result="exit-code")),
        *(G.DOWN, S.BROKEN, "gave up after 10 restarts (exit 1): exit-code"),
    ),
    (
        seen(STALE, service=RESTARTING),
        *(G.SETTLING, S.SETTLING, "It ended (exit 1); its service starts it again."),
    ),
    (
        seen(service=replace(RESTARTING, restarts=4)),
        *(G.DOWN, S.BROKEN, "crashes again and again: its service restarted it 4 times (exit 1)"),
    ),
    (
        seen(service=ENDED, without_lock=(4711, 10.0)),
        *(G.SETTLING, S.SETTLING, "Process 4711 has let go of its lock and still runs"),
    ),
    (seen(service=ENDED, without_lock=(4711, STARTING_S)), G.DOWN, S.ASLEEP, "not running"),
    (
        seen(service=ENDED, config=Config(True, refused="gateway.bind: Invalid input")),
        *(G.DOWN, S.BROKEN, "Its configuration is not accepted: gateway.bind: Invalid input."),
    ),
    (seen(service=ENDED), G.DOWN, S.ASLEEP, "It is not running; its service can start it."),
    (seen(STALE, service=ENDED), G.DOWN, S.DOWN, "its service can start it"),
    (
        seen(service=replace(ENDED, exit_code=1, result="exit-code")),
        *(G.DOWN, S.DOWN, "It is not running (exit 1); its service can start it."),
    ),
    (
        seen(service=service(ServiceState.RUNNING, running_s=4.0)),
        *(G.SETTLING, S.SETTLING, "its service runs for 4 s"),
    ),
    (
        seen(service=service(ServiceState.RUNNING, running_s=900.0)),
        *(G.UNKNOWN, S.UNKNOWN, "no process holds its lock"),
    ),
    (seen(service=service(ServiceState.ABSENT)), G.DOWN, S.DOWN, "no service is installed"),
    (seen(), G.DOWN, S.DOWN, "whether a service could start it is not known"),
    (
        seen(HELD, SILENT, was_started=True),
        *(G.HUNG, S.STUCK, "Process 4711 keeps its port but does not answer."),
    ),
    (seen(HELD, SILENT), G.SETTLING, S.SETTLING, "for 20 s; it does not answer yet"),
    (
        seen(replace(HELD, age_s=STARTING_S), SILENT),
        *(G.HUNG, S.STUCK, "keeps its port but does not answer"),
    ),
    (
        seen(answers=SILENT, without_lock=(4711, 10.0)),
        *(G.SETTLING, S.SETTLING, "has let go of its lock and still runs"),
    ),
    (
        seen(answers=SILENT, without_lock=(4711, STARTING_S)),
        *(G.UNKNOWN, S.UNKNOWN, "whether it is the gateway is unknown"),
    ),
    (
        seen(HELD, starting(startup=None, readiness=None, silent=True)),
        *(G.SETTLING, S.SETTLING, "it does not say yet whether it is ready"),
    ),
    (
        seen(HELD, starting(startup=None, readiness=None, silent=True), was_started=True),
        *(G.READY, S.UNKNOWN, "It is alive, but slow"),
    ),
    (
        seen(HELD, starting(readiness=None, silent=True)),
        *(G.READY, S.UNKNOWN, "It is alive, but slow"),
    ),
    (seen(replace(HELD, suspended=True), SILENT), G.HUNG, S.STUCK, "suspended by a signal"),
    (seen(answers=SILENT), G.UNKNOWN, S.UNKNOWN, "whether it is the gateway is unknown"),
    (seen(answers=FAILED, remote=True), G.UNKNOWN, S.UNKNOWN, "Its state is not known."),
    (seen(answers=REFUSED, remote=True), G.UNKNOWN, S.UNKNOWN, "Its state is not known."),
    (seen(answers=OTHER, remote=True), G.WRONG, S.BROKEN, "is no OpenClaw gateway"),
    (
        seen(HELD, Answers(Reach.ANSWERED, health=HealthWord.UNKNOWN, word="limbo")),
        *(G.UNKNOWN, S.UNKNOWN, "“limbo”"),
    ),
    (seen(HELD, starting(startup=Startup("dozing"))), G.UNKNOWN, S.UNKNOWN, "“dozing”"),
    (
        seen(HELD, starting(startup=Startup("starting", "startup-sidecars"))),
        *(G.SETTLING, S.SETTLING, "It is starting, waiting for startup-sidecars."),
    ),
    (seen(HELD, starting(startup=Startup("draining"))), G.SETTLING, S.SETTLING, "draining"),
    (
        seen(HELD, starting(startup=None, readiness=Readiness(False, ("startup-sidecars",)))),
        *(G.SETTLING, S.SETTLING, "waiting for startup-sidecars"),
    ),
    (seen(HELD, starting(readiness=None)), G.READY, S.UNKNOWN, "does not say whether it is ready"),
    (
        seen(HELD, starting(readiness=Readiness(True, suppressed=("telegram",)))),
        *(G.READY, S.STUCK, "held back after crashes: telegram"),
    ),
    (
        seen(HELD, starting(readiness=Readiness(False, ("agent-database:main",)))),
        *(G.READY, S.STUCK, "Not ready: agent-database:main."),
    ),
    (seen(HELD, LIVE, slow=LOOP), G.READY, S.STUCK, "1500 ms late (host 97% busy)"),
    (
        seen(HELD, LIVE, slow=replace(LOOP, own_busy=0.5)),
        *(G.READY, S.STUCK, "1500 ms late (host 97% busy)"),
    ),
    (
        seen(HELD, LIVE, slow=replace(LOOP, own_busy=0.4)),
        *(G.READY, S.READY, "It answers slowly: its machine is busy with other work."),
    ),
    (
        seen(HELD, LIVE, slow=EventLoop(True, 1500.0, 0.8, 0.1)),
        *(G.READY, S.STUCK, "1500 ms late (host 80% busy)"),
    ),
    (
        replace(
            heard(Heard(READING, told=Told(health=GatewayHealth(("canvas",))))),
            slow=replace(LOOP, own_busy=0.4),
        ),
        *(G.READY, S.STUCK, "Parts of it do not work: canvas."),
    ),
    (seen(HELD, LIVE, owner=Owner.LOCK), G.READY, S.READY, ""),
    (seen(Lock(LockState.UNKNOWN, 9, 18789), LIVE), G.READY, S.READY, ""),
    (seen(answers=LIVE, remote=True), G.READY, S.READY, ""),
    (seen(HELD, None, port=None), G.SETTLING, S.SETTLING, "its port is not open yet"),
    (
        seen(Lock(LockState.UNKNOWN, 9), None, port=None),
        *(G.UNKNOWN, S.UNKNOWN, "says nothing about its state"),
    ),
    (heard(Heard(draining="config", connection=READING)), G.SETTLING, S.SETTLING, "draining"),
    (
        heard(Heard(ConnectionState.REFUSED, "It runs, but refuses this panel: X.")),
        *(G.READY, S.UNKNOWN, "refuses this panel"),
    ),
    (
        heard(Heard(ConnectionState.OTHER_PROTOCOL, "It speaks protocol 5.")),
        *(G.READY, S.UNKNOWN, "protocol 5"),
    ),
    (
        heard(Heard(READING, down=((TELEGRAM, 151.0), (MATRIX, 200.0)))),
        *(G.READY, S.STUCK, "has not been connected for 3 min: 401; down too: Matrix"),
    ),
    (
        heard(Heard(READING, down=((MATRIX, 300.0),))),
        *(G.READY, S.STUCK, "Matrix (default) has not been running for 5 min."),
    ),
    (heard(Heard(READING, down=((TELEGRAM, 150.0),))), G.READY, S.READY, ""),
    (
        heard(Heard(READING, told=Told(summary=GatewaySummary(degraded=("memory-core",))))),
        *(G.READY, S.STUCK, "Parts of it do not work: memory-core."),
    ),
    (
        heard(Heard(READING, told=Told(health=GatewayHealth(("canvas",))))),
        *(G.READY, S.STUCK, "Parts of it do not work: canvas."),
    ),
    (
        heard(Heard(READING, told=Told(summary=GatewaySummary(model_degraded=True)))),
        *(G.READY, S.STUCK, "models do not work"),
    ),
    (heard(Heard(ConnectionState.LOST, "It ended.")), G.READY, S.READY, ""),
    (seen(heard=Heard(restart_s=30.0)), G.SETTLING, S.SETTLING, "It said that it restarts"),
]


@pytest.mark.parametrize(("evidence", "gateway", "agent", "sentence"), ROWS)
def test_the_table(evidence: OpenClawEvidence, gateway: G, agent: S, sentence: str) -> None:
    judged = judge(evidence)
    assert (judged.gateway, judged.agent) == (gateway, agent), judged
    assert sentence in judged.reason
    reasoned = agent is not S.READY or evidence.slow is not None
    assert bool(judged.reason) == reasoned, "every state but ready has a reason"


def test_every_rule_is_reached_by_a_row_of_the_table() -> None:
    rules = {judge(one[0]).rule for one in ROWS}
    written = re.findall(
        r'OpenClawJudgement\(\s*"([^"]+)"',
        inspect.getsource(judging) + inspect.getsource(told_judge),
    )
    assert len(written) > 25
    assert set(written) == rules


@pytest.mark.parametrize("lock", [NONE, STALE])
def test_nothing_is_ready_without_an_answer_that_is_proven(lock: Lock) -> None:
    for answers in (REFUSED, SILENT, FAILED, OTHER, LIVE, None):
        assert judge(seen(lock, answers)).gateway is not G.READY


def test_only_what_its_service_can_start_is_startable() -> None:
    startable = {judge(one[0]).rule for one in ROWS if judge(one[0]).startable}
    assert startable == {"service gave up", "service stopped"}


def test_a_start_says_when_it_has_taken_too_long() -> None:
    for answers in (REFUSED, SILENT, starting(startup=None, readiness=None, silent=True)):
        assert judge(seen(HELD, answers)).until == 1000.0 + STARTING_S - 20.0


def test_a_channel_says_when_it_has_been_down_too_long() -> None:
    assert judge(heard(Heard(READING, down=((TELEGRAM, 100.0),)))).until == pytest.approx(1050.1)
    lost = Heard(ConnectionState.LOST, down=((TELEGRAM, 900.0),))
    assert judge(heard(lost)).rule == "every probe is good", "what is not kept up says nothing"


FAILED_RUN = SessionInfo("k", "main", "chat", status="failed", error="no key", updated_at=5.0)
WENT_WELL = SessionInfo("l", "main", "chat two", status="done", updated_at=6.0)
AT_WORK = SessionInfo("m", "main", "chat three", working=True, status="failed", error="old")
FAILED_JOB = CronJob("j", "nightly", "main", last_at=7.0, status="error", error="no key")


@pytest.mark.parametrize(
    ("sessions", "jobs", "state", "activity", "reason"),
    [
        ((), (), S.READY, Activity.IDLE, ""),
        ((FAILED_RUN,), (), S.STUCK, Activity.NONE, "Its last run failed: no key."),
        ((FAILED_RUN, WENT_WELL), (), S.READY, Activity.IDLE, ""),
        ((WENT_WELL,), (FAILED_JOB,), S.STUCK, Activity.NONE, "Its job “nightly” failed: no key."),
        ((WENT_WELL,), (replace(FAILED_JOB, last_at=4.0),), S.READY, Activity.IDLE, ""),
        ((WENT_WELL,), (replace(FAILED_JOB, enabled=False),), S.READY, Activity.IDLE, ""),
        ((AT_WORK, FAILED_RUN), (FAILED_JOB,), S.READY, Activity.WORKING, "Runs in chat three."),
        ((replace(FAILED_RUN, agent="ops"),), (), S.READY, Activity.IDLE, ""),
        ((replace(FAILED_RUN, kind="cron"),), (), S.READY, Activity.IDLE, ""),
    ],
    ids=range(9),
)
def test_an_agent_is_as_well_as_its_newest_run(
    sessions: tuple[SessionInfo, ...],
    jobs: tuple[CronJob, ...],
    state: S,
    activity: Activity,
    reason: str,
) -> None:
    told = Told(sessions=sessions, jobs=jobs)
    assert judge_agent(told, "main") == (state, activity, reason, "")


def test_a_session_works_by_its_run_alone() -> None:
    assert judge_session(AT_WORK)[:2] == (S.READY, Activity.WORKING)
    assert judge_session(FAILED_RUN)[0] is S.STUCK
    assert judge_session(replace(FAILED_RUN, error="", status="killed"))[0] is S.READY
    assert judge_session(replace(WENT_WELL, status="running"))[:2] == (S.READY, Activity.IDLE)
