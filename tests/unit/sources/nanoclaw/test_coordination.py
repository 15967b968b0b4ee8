"""What hosts write down for each other, and what of a series only the host tells."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.models import Direction, InLabel, Message
from services.queues.timestamps import seconds, sqlite_utc
from services.sources.nanoclaw.coordination import (
    Coordination,
    DeliveryRetry,
    HostLease,
    SessionOrders,
    host_facts,
    read,
    session_facts,
)
from services.sources.nanoclaw.tasks import LINES, last_result
from services.sources.nanoclaw.tasks import host_facts as task_facts
from services.text.format import clock_time

NOW = 1_795_194_300.0
SOON = sqlite_utc(NOW + 60)


def test_tables_become_one_value() -> None:
    told = read(
        {
            "session_claims": [
                {"session_id": "a", "stop_intent": "stop"},
                {"session_id": "b", "stop_intent": None},
            ],
            "delivery_attempts": [
                {"session_id": "a", "attempts": 2, "next_attempt_at": SOON, "last_error": "x"},
                {"session_id": "a", "attempts": "many", "next_attempt_at": "soon"},
            ],
            "wake_signals": [
                {"session_id": "c", "created_at": SOON, "reason": "mail", "consumed_at": None},
                {"session_id": "d", "created_at": SOON, "consumed_at": SOON},
            ],
            "host_instances": [
                {"started_at": SOON, "lease_expires_at": SOON, "stopped_at": None},
                {"started_at": SOON, "stopped_at": SOON},
            ],
        }
    )
    retries = (DeliveryRetry(2, NOW + 60, "x"), DeliveryRetry(0, None, ""))
    assert told.sessions == {
        "a": SessionOrders("stop", retries),
        "c": SessionOrders(signals=((NOW + 60, "mail"),)),
    }
    assert told.hosts == (HostLease(NOW + 60, NOW + 60),)
    assert read({}) == Coordination()


@pytest.mark.parametrize(
    ("orders", "facts"),
    [
        (SessionOrders(), ()),
        (SessionOrders("stop"), (("host's order", "stop ordered"),)),
        (SessionOrders("dance"), (("host's order", "dance"),)),
        (
            SessionOrders(retries=(DeliveryRetry(1, None, ""),)),
            (("delivery retried", "1 attempt"),),
        ),
        (
            SessionOrders(retries=(DeliveryRetry(2, NOW - 5, "no chat"),)),
            (("delivery retried", "2 attempts, next in 0 s: no chat"),),
        ),
        (
            SessionOrders(retries=(DeliveryRetry(2, None, ""),) * 3),
            (("delivery retried", "2 attempts"),) * 3,
        ),
        (
            SessionOrders(retries=(DeliveryRetry(2, None, ""),) * 5),
            (*((("delivery retried", "2 attempts"),) * 3), ("deliveries retried", "2 more")),
        ),
        (
            SessionOrders(signals=((None, ""), (NOW, "mail"))),
            (("wake asked for", "no reason given"), ("wake asked for", "0 s ago: mail")),
        ),
    ],
)
def test_what_is_written_down_for_a_session(
    orders: SessionOrders, facts: tuple[tuple[str, str], ...]
) -> None:
    assert session_facts(orders, NOW) == facts


HELD, LAPSED, ENDLESS = HostLease(0.0, NOW + 60), HostLease(0.0, NOW), HostLease(0.0, None)


@pytest.mark.parametrize(
    ("hosts", "up", "said"),
    [
        ((), True, None),
        ((HELD,), True, "held for 60 s more"),
        (
            (HELD, LAPSED),
            False,
            "held for 60 s more, and its socket is dead: it died just now, or is blocked",
        ),
        ((HELD, HELD), True, "2 hosts hold a lease: two on one database"),
        ((LAPSED,), False, "ran out 0 s ago"),
        ((LAPSED, ENDLESS), True, "ran out 0 s ago, and yet a host answers"),
        ((ENDLESS,), False, "has no end"),
    ],
)
def test_a_lease_is_a_second_witness(
    hosts: tuple[HostLease, ...], up: bool, said: str | None
) -> None:
    facts = dict(host_facts(Coordination(hosts), up=up, now=NOW))
    assert list(facts.values()) == ([] if said is None else [said])
    assert ("disagreement" in facts) is (hosts == (HELD, HELD))


SERIES = {"series_id": "t", "status": "pending"}
WHEN = clock_time(NOW + 60, with_date=True)


@pytest.mark.parametrize(
    ("listed", "task", "name", "said"),
    [
        (None, None, "next run", "not told"),
        ([], {}, "next run", "none"),
        ([{**SERIES, "series_id": "other"}, 7], {}, "next run", "none"),
        ([{**SERIES, "status": "paused"}], {}, "next run", "none while it is paused"),
        ([SERIES], {}, "next run", "not told"),
        ([{**SERIES, "next_run": SOON}, {**SERIES, "status": "paused"}], {}, "next run", WHEN),
        (
            [{**SERIES, "next_run": sqlite_utc(NOW + 90)}, {**SERIES, "next_run": SOON}],
            {},
            "next run",
            WHEN,
        ),
        (
            [{**SERIES, "status": "paused", "next_run": SOON}, SERIES],
            {},
            "next run",
            "not told",
        ),
        ([SERIES], {}, "last run", None),
        (
            [{**SERIES, "last_run": SOON}, {**SERIES, "last_run": sqlite_utc(NOW)}],
            {},
            "last run",
            WHEN,
        ),
        ([], {"completed_runs": 3, "failed_runs": 0}, "runs", "3 completed, 0 failed"),
        ([], {"completed_runs": 3}, "runs", "not told"),
        ([], {"failed_runs": 3}, "runs", "not told"),
        ([], {}, "script", "not told"),
        ([], {"has_script": 0}, "script", "none"),
        ([], {"has_script": 1}, "script", "yes, it runs before the agent"),
        ([], {}, "run log", "not told"),
        ([], {"recent_log": []}, "run log", "empty"),
        ([], {"recent_log": ["a", 7, ""]}, "run log", "a"),
    ],
)
def test_what_a_host_tells_of_a_series(
    listed: object, task: object, name: str, said: str | None
) -> None:
    assert dict(task_facts("t", listed, task)).get(name) == said


def test_only_the_newest_lines_of_a_log_are_told() -> None:
    lines = [f"line {n}" for n in range(LINES + 5)]
    facts = task_facts("t", [], {"recent_log": lines})
    assert [value for name, value in facts[-LINES:]] == lines[-LINES:]
    assert [name for name, _ in facts[-LINES:]] == ["run log", *[""] * (LINES - 1)]


RUN = Message(Direction.IN, "m", 1, InLabel.DUE, "task", None, "", 0)
BAD, DONE = replace(RUN, label=InLabel.FAILED), replace(RUN, label=InLabel.COMPLETED)


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], None),
        ([RUN], None),
        ([replace(BAD, kind="chat")], None),
        ([replace(BAD, direction=Direction.OUT)], None),
        ([BAD], "failed, as its queue says"),
        ([replace(BAD, seq=2), DONE, replace(DONE, seq=None)], "failed, as its queue says"),
        ([replace(BAD, since=seconds(SOON))], f"failed, {WHEN}, as its queue says"),
    ],
)
def test_how_the_newest_run_ended(messages: list[Message], said: str | None) -> None:
    assert dict(last_result(messages)).get("last result") == said
