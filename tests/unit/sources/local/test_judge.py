"""Every state of the embedded world's gateway, host and agents, and what may be done about it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.models import Activity as A
from services.models import GatewayState as G
from services.models import SandboxState as S
from services.process.identity import Liveness
from services.sources.local.gateway_probe import GatewayEvidence, ProbeOutcome, ProbeReply
from services.sources.local.judge import (
    REFUSED,
    REFUSED_ADVICE,
    SILENCE_S,
    START_S,
    AgentEvidence,
    ProcessFacts,
    StateReason,
    gateway,
    host,
    sandbox,
    verdict,
)
from services.sources.local.starts import LONGEST_START_S
from services.sources.protocol.verdict import VerdictKind as V

NOW = 1_000.0
NONE = ProcessFacts(None, Liveness.DEAD)
STARTING = ProcessFacts(7, Liveness.RUNNING, NOW - LONGEST_START_S + 0.1, starting=True)
ENDED, HELD_UP, OVERDUE = (
    replace(STARTING, liveness=Liveness.DEAD),
    replace(STARTING, liveness=Liveness.STOPPED),
    replace(STARTING, started_at=NOW - LONGEST_START_S),
)
OLD = ProcessFacts(7, Liveness.RUNNING, NOW - LONGEST_START_S)
YOUNG = replace(OLD, started_at=NOW - START_S + 0.1)
BEGINNER = replace(OLD, started_at=NOW - LONGEST_START_S + 0.1)
DEAD, ZOMBIE, STOPPED = (
    replace(OLD, liveness=one) for one in (Liveness.DEAD, Liveness.ZOMBIE, Liveness.STOPPED)
)
OK = ProbeReply(ProbeOutcome.OK, 200)


def said(outcome: ProbeOutcome, word: str = "") -> ProbeReply:
    return ProbeReply(outcome, body={"status": word})


def seen(
    ready: ProbeReply | None = OK, members: ProbeReply | None = OK, health: ProbeReply = OK
) -> GatewayEvidence:
    return GatewayEvidence(health, ready, members)


@pytest.mark.parametrize(
    ("process", "evidence", "state", "reason"),
    [
        (NONE, seen(), G.ABSENT, "is not running"),
        (DEAD, seen(), G.DOWN, "process 7 has died"),
        (ZOMBIE, seen(), G.DOWN, "process 7 has died"),
        (STOPPED, seen(), G.HUNG, "process 7 is stopped"),
        (OLD, None, G.SETTLING, "is starting"),
        (YOUNG, seen(health=said(ProbeOutcome.REFUSED)), G.SETTLING, "is starting"),
        (OLD, seen(health=said(ProbeOutcome.REFUSED)), G.DOWN, "Nothing listens"),
        (
            replace(OLD, started_at=None),
            seen(health=said(ProbeOutcome.REFUSED)),
            G.DOWN,
            "Nothing listens",
        ),
        (OLD, seen(health=said(ProbeOutcome.FOREIGN)), G.WRONG, "another program"),
        (OLD, seen(health=said(ProbeOutcome.UNAVAILABLE, "full")), G.SETTLING, "as many"),
        (OLD, seen(health=said(ProbeOutcome.UNAVAILABLE, "x")), G.HUNG, "does not answer"),
        (OLD, seen(health=said(ProbeOutcome.SILENT, "full")), G.HUNG, "does not answer"),
        (OLD, seen(said(ProbeOutcome.UNAVAILABLE, "draining")), G.SETTLING, "is draining"),
        (OLD, seen(said(ProbeOutcome.UNAVAILABLE, "x")), G.SETTLING, "is starting"),
        (OLD, seen(None), G.HUNG, "does not say whether"),
        (OLD, seen(said(ProbeOutcome.SILENT)), G.HUNG, "does not say whether"),
        (OLD, seen(members=said(ProbeOutcome.DENIED)), G.WRONG, REFUSED),
        (OLD, seen(members=None), G.HUNG, "says it is ready and does not answer us"),
        (OLD, seen(members=said(ProbeOutcome.SILENT)), G.HUNG, "does not answer us"),
        (OLD, seen(), G.READY, ""),
        (STARTING, None, G.SETTLING, "The gateway is starting."),
        (STARTING, seen(health=said(ProbeOutcome.REFUSED)), G.SETTLING, "is starting"),
        (ENDED, None, G.DOWN, "process 7 ended as it started; its log says why"),
        (HELD_UP, None, G.HUNG, "process 7 is stopped: it does not get ready"),
        (OVERDUE, None, G.HUNG, "process 7 does not get ready"),
    ],
)
def test_a_gateway(
    process: ProcessFacts, evidence: GatewayEvidence | None, state: G, reason: str
) -> None:
    judged = gateway(process, evidence, NOW)
    assert judged[0] is state
    assert (reason in judged[1]) if reason else not judged[1]


@pytest.mark.parametrize(
    ("process", "state"),
    [(NONE, G.ABSENT), (DEAD, G.DOWN), (ZOMBIE, G.DOWN), (STOPPED, G.HUNG), (OLD, G.READY)],
)
def test_a_host(process: ProcessFacts, state: G) -> None:
    judged, reason = host(process, NOW)
    assert judged is state
    assert ("no message moves" in reason) is (state is not G.READY)


@pytest.mark.parametrize(
    ("process", "state", "reason"),
    [
        (STARTING, G.SETTLING, "The host is starting."),
        (ENDED, G.DOWN, "Host process 7 ended as it started; its log says why."),
        (HELD_UP, G.HUNG, "Host process 7 is stopped: it does not get ready."),
        (OVERDUE, G.HUNG, "Host process 7 does not get ready; its log may say why."),
    ],
)
def test_a_host_that_starts(process: ProcessFacts, state: G, reason: str) -> None:
    assert host(process, NOW) == (state, reason)


QUIET = AgentEvidence(OLD, NOW - SILENCE_S)


def agent(process: ProcessFacts = OLD, **more: object) -> AgentEvidence:
    return replace(QUIET, process=process, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("evidence", "state", "activity", "reason"),
    [
        (agent(folder=False, gave_up=True), S.SETTLING, A.NONE, "Its folder is being created."),
        (
            agent(gave_up=True, crashes=3, last_crash="boom"),
            S.BROKEN,
            A.NONE,
            "Crashes at every start (3 times): boom.",
        ),
        (
            agent(NONE, crashes=1, last_crash="boom"),
            S.SETTLING,
            A.NONE,
            "Crashed at start, the host tries again: boom.",
        ),
        (agent(NONE), S.ASLEEP, A.NONE, "Not started."),
        (agent(NONE, due=1), S.DOWN, A.NONE, "Not started; 1 message waits."),
        (agent(NONE, due=2), S.DOWN, A.NONE, "Not started; 2 messages wait."),
        (agent(DEAD), S.DOWN, A.NONE, "Process 7 has died."),
        (agent(ZOMBIE, due=1), S.DOWN, A.NONE, "Process 7 has died; 1 message waits."),
        (agent(STOPPED), S.STUCK, A.NONE, "Process 7 is stopped: no progress."),
        (agent(crashes=2), S.READY, A.IDLE, ""),
        (agent(heartbeat_at=NOW - SILENCE_S - 1), S.STUCK, A.NONE, "no sign of life"),
        (agent(heartbeat_at=None), S.STUCK, A.NONE, "no sign of life"),
        (agent(BEGINNER, heartbeat_at=None), S.SETTLING, A.NONE, "The agent is starting."),
        (agent(BEGINNER, heartbeat_at=1.0), S.SETTLING, A.NONE, "The agent is starting."),
        (
            agent(BEGINNER, heartbeat_at=NOW - SILENCE_S - 1),
            *(S.STUCK, A.NONE, "Process 7 is alive and gives no sign of life."),
        ),
        (agent(STARTING), S.SETTLING, A.NONE, "The agent is starting."),
        (agent(STARTING, heartbeat_at=None, due=3), S.SETTLING, A.NONE, "The agent is starting."),
        (
            agent(STARTING, gave_up=True, crashes=3, last_crash="boom"),
            *(S.BROKEN, A.NONE, "Crashes at every start (3 times): boom."),
        ),
        (agent(ENDED), S.DOWN, A.NONE, "Process 7 ended as it started."),
        (agent(ENDED, due=1), S.DOWN, A.NONE, "ended as it started; 1 message waits."),
        (agent(HELD_UP), S.STUCK, A.NONE, "Process 7 is stopped: no progress."),
        (agent(OVERDUE), S.STUCK, A.NONE, "Process 7 is alive and gives no sign of life."),
        (agent(replace(OLD, started_at=None), heartbeat_at=None), S.STUCK, A.NONE, "no sign"),
        (agent(YOUNG), S.READY, A.IDLE, ""),
        (agent(heartbeat_at=NOW + 60), S.READY, A.IDLE, ""),
        (agent(tool="Read"), S.READY, A.WORKING, ""),
        (agent(claims=1), S.READY, A.WORKING, ""),
        (agent(due=20), S.READY, A.IDLE, ""),
        (agent(due=21), S.READY, A.IDLE, "Backlog of 21 messages, it drains by itself."),
    ],
)
def test_an_agent(evidence: AgentEvidence, state: S, activity: A, reason: str) -> None:
    judged = sandbox(evidence, NOW)
    assert judged[:2] == (state, activity)
    assert (reason in judged[2]) if reason else not judged[2]


FRONT: StateReason = (G.READY, "")
WELL = (S.READY, A.IDLE, "fine")


@pytest.mark.parametrize(
    ("front", "traffic", "state", "kind", "reason"),
    [
        (FRONT, FRONT, S.READY, V.READY, "agent"),
        ((G.WRONG, REFUSED), FRONT, S.DOWN, V.TERMINAL, REFUSED),
        ((G.WRONG, "foreign"), (G.DOWN, "host"), S.DOWN, V.TERMINAL, "foreign"),
        *(
            ((one, "front"), (G.DOWN, "host"), S.READY, V.REPAIRABLE, "front")
            for one in (G.DOWN, G.HUNG, G.ABSENT)
        ),
        *(
            (FRONT, (one, "host"), S.DOWN, V.REPAIRABLE, "host")
            for one in (G.DOWN, G.HUNG, G.ABSENT)
        ),
        *(
            ((G.SETTLING, "front"), FRONT, one, V.REPAIRABLE, "agent")
            for one in (S.ASLEEP, S.DOWN, S.STUCK, S.BROKEN)
        ),
        ((G.SETTLING, "front"), (G.SETTLING, "host"), S.READY, V.SETTLING, "front"),
        (FRONT, (G.SETTLING, "host"), S.READY, V.SETTLING, "host"),
        (FRONT, FRONT, S.SETTLING, V.SETTLING, "agent"),
        (FRONT, FRONT, S.UNKNOWN, V.READY, "agent"),
    ],
)
def test_what_an_attempt_may_do(
    front: StateReason, traffic: StateReason, state: S, kind: V, reason: str
) -> None:
    judged = verdict(front, traffic, (state, A.NONE, "agent"))
    assert (judged.kind, judged.reason) == (kind, reason)
    assert judged.wakeable is (kind is V.REPAIRABLE)
    assert (judged.advice == REFUSED_ADVICE) is (reason == REFUSED)
    assert bool(judged.advice) is (kind is V.TERMINAL)
