"""The host's state from socket and crash record, and how long a start waits out its back-off."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.models import GatewayState
from services.sources.nanoclaw.client import NoAnswer
from services.sources.nanoclaw.host_judge import (
    BACKOFF_S,
    Breaker,
    HostEvidence,
    facts,
    judge,
    read_breaker,
    start_delay,
)

NOW = 1_795_194_300.0


def state(no_answer: NoAnswer | None, breaker: Breaker | None = None) -> tuple[GatewayState, str]:
    return judge(HostEvidence(no_answer=no_answer, breaker=breaker), NOW)


@pytest.mark.parametrize(
    ("no_answer", "expected", "said"),
    [
        (None, GatewayState.READY, ""),
        (NoAnswer.ABSENT, GatewayState.DOWN, "ended cleanly"),
        (NoAnswer.REFUSED, GatewayState.DOWN, "left its socket behind"),
        (NoAnswer.DENIED, GatewayState.WRONG, "another user"),
        (NoAnswer.NO_REPLY, GatewayState.HUNG, "does not answer"),
        (NoAnswer.CLOSED, GatewayState.HUNG, "closes"),
        (NoAnswer.MALFORMED, GatewayState.WRONG, "Something else"),
    ],
)
def test_each_answer_of_the_socket_has_its_label(
    no_answer: NoAnswer | None, expected: GatewayState, said: str
) -> None:
    seen, reason = state(no_answer)
    assert seen is expected
    assert said in reason


@pytest.mark.parametrize(
    ("attempt", "delay"), [*enumerate(BACKOFF_S, 1), (8, 900), (40, 900), (0, 0)]
)
def test_the_delay_grows_with_the_attempts(attempt: int, delay: int) -> None:
    assert start_delay(Breaker(attempt, NOW)) == delay


@pytest.mark.parametrize("no_answer", [NoAnswer.ABSENT, NoAnswer.REFUSED])
def test_a_start_that_waits_is_counted_down(no_answer: NoAnswer) -> None:
    seen, reason = state(no_answer, Breaker(5, NOW - 40))
    assert seen is GatewayState.SETTLING
    assert "start 5 waits out its back-off, 80 s left of 120 s" in reason


def test_a_start_without_a_delay_is_starting_and_then_crashed() -> None:
    assert state(NoAnswer.REFUSED, Breaker(1, NOW - 5))[0] is GatewayState.SETTLING
    seen, reason = state(NoAnswer.REFUSED, Breaker(4, NOW - 120))
    assert seen is GatewayState.DOWN
    assert "start 4 does not answer" in reason


def test_a_start_of_over_an_hour_ago_counts_no_more() -> None:
    seen, reason = state(NoAnswer.REFUSED, Breaker(6, NOW - 3601))
    assert seen is GatewayState.DOWN
    assert "without cleaning up" in reason


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"attempt": 3, "timestamp": "2026-11-20T17:05:00.000Z"}', Breaker(3, NOW)),
        ('{"attempt": 3, "timestamp": 1795194300000}', Breaker(3, NOW)),
        ('{"attempt": 3, "timestamp": "soon"}', Breaker(3, None)),
        ('{"attempt": true, "timestamp": 1}', None),
        ('{"attempt": "3"}', None),
        ("[]", None),
        ("{", None),
        ("", None),
        ("[" * 4000, None),
    ],
)
def test_the_crash_record_is_read_whatever_it_says(
    tmp_path: Path, text: str, expected: Breaker | None
) -> None:
    path = tmp_path / "circuit-breaker.json"
    path.write_text(text, "utf-8")
    assert read_breaker(path) == expected


def test_no_crash_record_is_none(tmp_path: Path) -> None:
    assert read_breaker(tmp_path / "none.json") is None


def test_disagreements_are_shown() -> None:
    silent = HostEvidence(no_answer=NoAnswer.ABSENT, log_at=NOW - 1)
    assert "written just now" in dict(facts(silent, NOW))["disagreement"]
    up = HostEvidence(no_answer=None)
    assert "no record of its start" in dict(facts(up, NOW))["disagreement"]
    assert json.dumps(facts(HostEvidence(breaker=Breaker(1, NOW)), NOW)).count("disagree") == 0
