"""The limits a host kills and holds back by, each at its edge."""

from __future__ import annotations

import pytest

from services.queues.acks import AckTracker
from services.queues.due import DueFacts
from services.queues.facts import UNCLAIMED_RESPONSE_S, AgentFacts, agent_facts
from services.queues.stuck import (
    CEILING_MS,
    CLAIM_TOLERANCE_MS,
    WORKING_HEARTBEAT_S,
    ProcessingClaim,
    StuckAction,
    bash_timeout_ms,
    decide,
    decide_tracked,
    idle_reap_at,
    working,
)
from services.queues.timestamps import sqlite_utc

NOW = 1_795_194_300_000.0
LONG = 2.0 * CEILING_MS
OK, CEILING, CLAIM = StuckAction.OK, StuckAction.KILL_CEILING, StuckAction.KILL_CLAIM


def claim(age_ms: float) -> ProcessingClaim:
    return ProcessingClaim("m", sqlite_utc((NOW - age_ms) / 1000))


@pytest.mark.parametrize(
    ("beat", "bash", "claimed", "action"),
    [
        (None, None, None, OK),
        (CEILING_MS, None, None, OK),
        (CEILING_MS + 1, None, None, CEILING),
        (CEILING_MS + 1, LONG, None, OK),
        (LONG + 1, LONG, None, CEILING),
        (None, None, CLAIM_TOLERANCE_MS, OK),
        (None, None, CLAIM_TOLERANCE_MS + 1000, CLAIM),
        (None, LONG, CLAIM_TOLERANCE_MS + 1000, OK),
        (CLAIM_TOLERANCE_MS + 1000, None, CLAIM_TOLERANCE_MS + 1000, CLAIM),
        (CLAIM_TOLERANCE_MS + 999, None, CLAIM_TOLERANCE_MS + 1000, OK),
    ],
)
def test_when_an_agent_is_killed(
    beat: float | None, bash: float | None, claimed: float | None, action: StuckAction
) -> None:
    claims = () if claimed is None else (claim(claimed),)
    heard = None if beat is None else NOW - beat
    assert decide(NOW, heard, bash, claims).action is action
    # A host that has tracked it from the beginning of time decides the same of a heartbeat.
    if beat is not None:
        for durable in (False, True):
            tracked = decide_tracked(NOW, heard, bash, claims, 0.0, durable=durable)
            assert tracked.action is action


def test_the_first_claim_that_is_too_old_is_named_and_an_odd_one_passed_over() -> None:
    claims = (ProcessingClaim("odd", "soon"), claim(1000), claim(CLAIM_TOLERANCE_MS + 5000))
    judged = decide(NOW, None, None, claims)
    assert (judged.message_id, judged.age_ms) == ("m", CLAIM_TOLERANCE_MS + 5000)
    assert judged.limit_ms == CLAIM_TOLERANCE_MS


@pytest.mark.parametrize(
    ("tool", "declared", "known"),
    [
        ("Bash", 5, 5.0),
        ("Bash", 0.5, 0.5),
        ("Bash", True, None),
        ("Bash", "5", None),
        ("bash", 5, None),
        (None, 5, None),
    ],
)
def test_only_a_number_of_bash_stretches_a_limit(
    tool: object, declared: object, known: float | None
) -> None:
    assert bash_timeout_ms(tool, declared) == known


@pytest.mark.parametrize(
    ("beat", "tool", "claims", "busy"),
    [
        (None, "", (), False),
        (WORKING_HEARTBEAT_S, "", (), False),
        (WORKING_HEARTBEAT_S - 0.1, "", (), True),
        (-WORKING_HEARTBEAT_S, "", (), False),
        (None, "Read", (), True),
        (None, "", (claim(0),), True),
    ],
)
def test_who_works(
    beat: float | None, tool: str, claims: tuple[ProcessingClaim, ...], busy: bool
) -> None:
    heard = None if beat is None else NOW / 1000 - beat
    assert working(NOW / 1000, heard, tool, claims) is busy


def test_an_idle_agent_is_reaped_at_the_ceiling() -> None:
    assert idle_reap_at(0.0, None) == CEILING_MS / 1000
    assert idle_reap_at(0.0, LONG) == LONG / 1000


@pytest.mark.parametrize(
    ("age", "unclaimed"),
    [(None, False), (UNCLAIMED_RESPONSE_S, False), (UNCLAIMED_RESPONSE_S + 1, True)],
)
def test_an_answer_nobody_took(age: float | None, unclaimed: bool) -> None:
    oldest = None if age is None else sqlite_utc(NOW / 1000 - age)
    due = DueFacts(oldest_response=oldest)
    facts: AgentFacts = agent_facts(NOW / 1000, AckTracker(), None, due, None)
    assert facts.unclaimed_response is unclaimed
