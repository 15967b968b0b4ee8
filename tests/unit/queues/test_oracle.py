"""The judgements of the queue readers against answers recorded from the host's own functions."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

from services.models import InLabel
from services.queues.fact_codes import code_sql, facts_of
from services.queues.labels import inbound_label, is_deferred
from services.queues.schema import FileSchema
from services.queues.stuck import (
    ProcessingClaim,
    StuckAction,
    StuckVerdict,
    bash_timeout_ms,
    decide,
    idle_reap_at,
    working,
)
from services.queues.timestamps import utc_ms

ORACLE: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "fixtures" / "nanoclaw" / "oracle.json").read_text("utf-8")
)
WHOLE = FileSchema({"messages_in": frozenset(("trigger", "on_wake"))})


def answer(verdict: StuckVerdict) -> list[object]:
    match verdict.action:
        case StuckAction.OK:
            return ["ok"]
        case StuckAction.KILL_CEILING:
            return ["kill-ceiling", verdict.age_ms, verdict.limit_ms]
        case StuckAction.KILL_CLAIM:
            return ["kill-claim", verdict.message_id, verdict.age_ms, verdict.limit_ms]


def test_every_stuck_decision_is_the_hosts_own() -> None:
    now = ORACLE["now_ms"]
    rows = ORACLE["stuck"]["rows"]
    seen: Counter[str] = Counter()
    recorded_at_now = 0
    for state, offset, claims, expected in rows:
        tool, declared = state or (None, None)
        bash = bash_timeout_ms(tool, declared)
        held = [ProcessingClaim(*claim) for claim in claims]
        verdict = decide(now, None if offset == 0 else now + offset, bash, held)
        if offset == 0 and answer(verdict) != expected:
            # The recording writes 0 for no heartbeat, and for one of this very instant too.
            verdict = decide(now, now, bash, held)
            recorded_at_now += 1
        assert answer(verdict) == expected, (state, offset, claims)
        seen[verdict.action.value] += 1
    assert len(rows) == 1416
    assert recorded_at_now == 54
    assert seen == {"ok": 861, "kill-ceiling": 390, "kill-claim": 165}


def test_every_timestamp_is_parsed_as_the_host_does() -> None:
    for text, expected in ORACLE["parse_sqlite_utc"]:
        assert utc_ms(text) == expected, text


def test_every_due_date_is_judged_as_the_host_does() -> None:
    db = sqlite3.connect(":memory:")
    db.execute(
        """CREATE TABLE messages_in (id INTEGER, status TEXT, "trigger" INTEGER, kind TEXT,
           process_after TEXT, tries INTEGER, on_wake INTEGER)"""
    )
    rows = ORACLE["due_inbound"]["rows"]
    for number, (status, trigger, process_after, _) in enumerate(rows):
        db.execute(
            "INSERT INTO messages_in VALUES (?, ?, ?, 'chat', ?, 0, 0)",
            (number, status, trigger, process_after),
        )
    codes = db.execute(
        f"SELECT {code_sql(WHOLE)} FROM messages_in ORDER BY id", {"now": "2026-11-20 17:00:00"}
    ).fetchall()
    db.close()
    for (status, trigger, process_after, due), (code,) in zip(rows, codes, strict=True):
        if status not in ("pending", "completed", "failed", "paused"):
            continue
        label = inbound_label(facts_of(code), alive=True)
        assert (label is InLabel.DUE) == due, (status, trigger, process_after, label)


def test_every_delivery_date_is_judged_as_the_host_does() -> None:
    for deliver_after, selected in ORACLE["due_outbound"]["rows"]:
        assert is_deferred(deliver_after, "2026-11-20 17:00:00") != selected, deliver_after


def test_a_declared_timeout_counts_for_bash_alone() -> None:
    assert bash_timeout_ms("Bash", 600_000) == 600_000
    for tool, declared in (("bash", 1), ("WebFetch", 1), ("Bash", None), ("Bash", "9"), (None, 1)):
        assert bash_timeout_ms(tool, declared) is None
    assert bash_timeout_ms("Bash", True) is None


def test_busy_is_never_derived_from_claims_alone() -> None:
    claim = ProcessingClaim("m", "2026-11-20 17:00:00")
    assert working(100.0, 94.5, "", ())
    assert not working(100.0, 94.0, "", ())
    assert not working(100.0, None, "", ())
    assert working(100.0, None, "Read", ())
    assert working(100.0, None, "", (claim,))


def test_an_idle_agent_is_reaped_half_an_hour_after_its_last_event() -> None:
    assert idle_reap_at(1000.0, None) == 2800.0
    assert idle_reap_at(1000.0, 7_200_000) == 8200.0
