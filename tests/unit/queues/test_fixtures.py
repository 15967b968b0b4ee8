"""The queue reader on files that upstream itself wrote: every label, old shapes, dead writers."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.errors import NotFoundError, UnavailableError
from services.models import Direction, InLabel, Message, OutLabel, QueueSnapshot, SandboxId
from services.queues.facts import verdict
from services.queues.reader import QueueReader
from services.queues.readonly import open_readonly
from services.queues.stuck import StuckAction
from tests.support.clock import FakeClock

FIXTURES = Path(__file__).parents[2] / "fixtures" / "nanoclaw"
ALPHA = "states/data/v2-sessions/ag-fixture-alpha"
NOW = 1_795_194_300.0  # 2026-11-20T17:05:00Z
HALF_PAST = 1_795_195_800.0
ONE = SandboxId("nanoclaw", "one")

INBOUND = {
    "in-02-completed-synced": InLabel.COMPLETED,
    "in-04-ack-completed-not-synced": InLabel.UNSYNCED,
    "in-06-processing": InLabel.PROCESSING,
    "in-08-due": InLabel.DUE,
    "in-10-context-only": InLabel.CONTEXT,
    "in-12-future-once": InLabel.SCHEDULED,
    "in-14-recurring-original": InLabel.COMPLETED,
    "in-16-recurring-next": InLabel.SCHEDULED,
    "in-18-paused": InLabel.PAUSED,
    "in-20-backoff": InLabel.BACKOFF,
    "in-22-failed": InLabel.FAILED,
    "in-24-question-response": InLabel.WAITING,
    "in-26-webhook": InLabel.DUE,
    "in-28-agent": InLabel.DUE,
    "in-30-on-wake": InLabel.HELD,
    "in-32-cancelled": InLabel.CANCELLED,
    "in-34-bad-process-after": InLabel.NEVER_DUE,
    "in-36-offset-past": InLabel.DUE,
    "in-38-offset-future": InLabel.SCHEDULED,
    "in-40-attachment": InLabel.DUE,
    "in-42-not-json": InLabel.UNSYNCED,
}
OUTBOUND = {
    "out-delivered": OutLabel.DELIVERED,
    "out-delivered-noid": OutLabel.DELIVERED,
    "out-failed": OutLabel.FAILED,
    "out-undelivered": OutLabel.UNDELIVERED,
    "out-edit": OutLabel.UNDELIVERED,
    "out-reaction": OutLabel.UNDELIVERED,
    "out-card": OutLabel.UNDELIVERED,
    "out-file": OutLabel.UNDELIVERED,
    "out-deferred-sqlite": OutLabel.DEFERRED,
    "out-deferred-iso-trap": OutLabel.DEFERRED,
    "out-system-schedule": OutLabel.APPLIED,
    "out-ask": OutLabel.DELIVERED,
    "out-agent": OutLabel.ROUTED,
}


def copied(tmp_path: Path, place: str) -> Path:
    folder = tmp_path / "session"
    shutil.copytree(FIXTURES / place, folder)
    return folder


def by_id(snapshot: QueueSnapshot) -> dict[str, Message]:
    return {message.id: message for message in snapshot.messages}


async def read(
    folder: Path, *, now: float = NOW, window: int = 100, alive: bool | None = True
) -> QueueSnapshot:
    return await QueueReader(FakeClock(now)).snapshot(ONE, folder, window, alive=alive)


async def test_every_row_has_the_label_it_was_made_for(tmp_path: Path) -> None:
    snapshot = await read(copied(tmp_path, f"{ALPHA}/sess-fx-mixed"))
    labels: dict[str, InLabel | OutLabel] = {m.id: m.label for m in snapshot.messages}
    assert labels == {**INBOUND, **OUTBOUND}
    assert snapshot.problem == ""
    assert not snapshot.stale
    assert dict(snapshot.inbound) == Counter(label.value for label in INBOUND.values())
    assert dict(snapshot.outbound) == Counter(label.value for label in OUTBOUND.values())


async def test_counts_cover_every_row_where_the_page_is_short(tmp_path: Path) -> None:
    folder = copied(tmp_path, f"{ALPHA}/sess-fx-mixed")
    snapshot = await read(folder, window=2)
    assert [m.id for m in snapshot.messages if m.direction is Direction.IN] == [
        "in-40-attachment",
        "in-42-not-json",
    ]
    assert [m.id for m in snapshot.messages if m.direction is Direction.OUT] == [
        "out-file",
        "out-agent",
    ]
    assert sum(count for _, count in snapshot.inbound) == len(INBOUND)
    assert sum(count for _, count in snapshot.outbound) == len(OUTBOUND)
    assert dict(snapshot.inbound)["cancelled"] == 1


async def test_a_day_later_the_iso_deferral_is_over(tmp_path: Path) -> None:
    folder = copied(tmp_path, f"{ALPHA}/sess-fx-mixed")
    tomorrow = by_id(await read(folder, now=NOW + 86_400))
    assert tomorrow["out-deferred-iso-trap"].label is OutLabel.UNDELIVERED
    assert tomorrow["out-deferred-sqlite"].label is OutLabel.DEFERRED


async def test_what_a_message_carries_beside_its_label(tmp_path: Path) -> None:
    messages = by_id(await read(copied(tmp_path, f"{ALPHA}/sess-fx-mixed")))
    claimed = messages["in-06-processing"]
    assert claimed.since == 1_795_194_141.0
    assert messages["in-20-backoff"].tries == 2
    assert messages["in-20-backoff"].due_at == 2_110_554_140.0
    assert messages["in-38-offset-future"].due_at == 4_098_843_000.0
    assert messages["in-08-due"].due_at is None
    assert messages["in-40-attachment"].text == "photo [cat.png]"
    assert messages["in-42-not-json"].text == "plain text, not JSON"
    assert messages["in-28-agent"].channel == "agent"
    assert messages["out-undelivered"].reply_to == "in-04-ack-completed-not-synced"
    assert messages["out-delivered"].since == 1_795_194_141.0
    assert messages["out-ask"].text == "ask_question: Ship it?"
    assert messages["out-deferred-sqlite"].due_at == 4_070_908_800.0


async def test_without_its_agent_a_claim_is_an_orphan(tmp_path: Path) -> None:
    folder = copied(tmp_path, f"{ALPHA}/sess-fx-orphan-claim")
    assert dict((await read(folder, alive=False)).inbound) == {"orphan claim": 1}
    assert dict((await read(folder, alive=True)).inbound) == {"processing": 1}


async def test_context_alone_is_never_due(tmp_path: Path) -> None:
    folder = copied(tmp_path, f"{ALPHA}/sess-fx-accumulate")
    assert dict((await read(folder)).inbound) == {"context only": 3}
    assert (await QueueReader(FakeClock(NOW)).survey(folder, alive=None)).facts.due == 0


@pytest.mark.parametrize("shape", ["first-split", "mid-april"])
async def test_old_shapes_are_read(tmp_path: Path, shape: str) -> None:
    folder = copied(tmp_path, f"legacy/{shape}")
    snapshot = await read(folder)
    assert {m.id: m.label for m in snapshot.messages} == {
        "old-2": InLabel.COMPLETED,
        "old-4": InLabel.DUE,
        "old-out-3": OutLabel.UNCONFIRMED if shape == "first-split" else OutLabel.DELIVERED,
    }
    assert snapshot.problem == ""
    facts = (await QueueReader(FakeClock(NOW)).survey(folder, alive=None)).facts
    assert (facts.due, facts.tool, facts.claims, facts.problem) == (1, "", (), "")


EXPECTED = [
    ("3f0b2c1e-5a77-4f0d-9c55-0d2b7f6a9b10/sess-fx-nowake", 1),
    ("ag-fixture-alpha/sess-fx-accumulate", 0),
    ("ag-fixture-alpha/sess-fx-claimed", 1),
    ("ag-fixture-alpha/sess-fx-empty", 0),
    ("ag-fixture-alpha/sess-fx-mixed", 10),
    ("ag-fixture-alpha/sess-fx-orphan-claim", 1),
]


@pytest.mark.parametrize(("place", "due"), EXPECTED)
async def test_the_facts_are_those_the_host_computed(tmp_path: Path, place: str, due: int) -> None:
    import json

    recorded: dict[str, Any] = json.loads((FIXTURES / "expected.json").read_text("utf-8"))
    expected = recorded["sessions"][f"states/{place}"]
    folder = copied(tmp_path, f"states/data/v2-sessions/{place}")
    (folder / ".heartbeat").unlink(missing_ok=True)
    facts = (await QueueReader(FakeClock(HALF_PAST)).survey(folder, alive=None)).facts
    assert facts.due == expected["countDueMessages"] == due
    assert [
        {"message_id": c.message_id, "status_changed": c.status_changed} for c in facts.claims
    ] == expected["claims"]
    state = expected["container_state"] or {}
    assert facts.tool == (state.get("current_tool") or "")
    assert facts.tool_timeout_ms == state.get("tool_declared_timeout_ms")
    stuck = verdict(facts, HALF_PAST)
    assert stuck.action.value == expected["stuck_at_1730_no_heartbeat"]["action"]
    if stuck.action is StuckAction.KILL_CLAIM:
        assert stuck.message_id == expected["stuck_at_1730_no_heartbeat"]["messageId"]
        assert stuck.age_ms == expected["stuck_at_1730_no_heartbeat"]["claimAgeMs"]
        assert stuck.limit_ms == expected["stuck_at_1730_no_heartbeat"]["toleranceMs"]


async def test_a_heartbeat_after_the_claim_protects(tmp_path: Path) -> None:
    folder = copied(tmp_path, f"{ALPHA}/sess-fx-claimed")
    facts = (await QueueReader(FakeClock(NOW)).survey(folder, alive=None)).facts
    before = replace(facts, heartbeat_at=1_795_194_140.0)
    assert verdict(before, NOW).action is StuckAction.KILL_CLAIM
    after = replace(facts, heartbeat_at=1_795_194_142.0)
    assert verdict(after, NOW).action is StuckAction.OK


def fingerprint(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


async def test_a_hundred_polls_change_no_file(tmp_path: Path) -> None:
    folder = copied(tmp_path, f"{ALPHA}/sess-fx-mixed")
    before = fingerprint(folder)
    clock = FakeClock(NOW)
    reader = QueueReader(clock)
    for _ in range(100):
        snapshot = await reader.snapshot(ONE, folder, 50, alive=True)
        facts = (await reader.survey(folder, alive=None)).facts
        assert len(snapshot.messages) == len(INBOUND) + len(OUTBOUND)
        assert facts.due == 10
        await clock.advance(1.0)
    await reader.content(folder, Direction.IN, "in-08-due")
    assert fingerprint(folder) == before


async def test_a_writer_that_died_is_named_and_its_journal_left_alone(tmp_path: Path) -> None:
    folder = copied(tmp_path, "hot-journal")
    shutil.copy2(FIXTURES / ALPHA / "sess-fx-empty" / "inbound.db", folder / "inbound.db")
    before = fingerprint(folder)
    reader = QueueReader(FakeClock(NOW))
    problems = [(await reader.snapshot(ONE, folder, 50, alive=True)).problem for _ in range(4)]
    assert all("writer died mid-commit" in problem for problem in problems)
    assert problems[0].startswith("not read yet")
    assert problems[3].startswith("outbound.db: writer died mid-commit; heals when")
    facts = [(await reader.survey(folder, alive=None)).facts for _ in range(4)][-1]
    assert "writer died mid-commit" in facts.problem
    assert facts.stale
    with pytest.raises(UnavailableError, match="writer died"):
        await reader.content(folder, Direction.OUT, "any")
    assert fingerprint(folder) == before


async def test_the_last_good_snapshot_outlives_a_dead_writer(tmp_path: Path) -> None:
    folder = copied(tmp_path, f"{ALPHA}/sess-fx-mixed")
    clock = FakeClock(NOW)
    reader = QueueReader(clock)
    good = await reader.snapshot(ONE, folder, 50, alive=True)
    for name in ("outbound.db", "outbound.db-journal"):
        shutil.copy2(FIXTURES / "hot-journal" / name, folder / name)
    polls = []
    for _ in range(3):
        await clock.advance(1.0)
        polls.append(await reader.snapshot(ONE, folder, 50, alive=True))
    assert polls[0] == polls[1] == good
    assert polls[2].stale
    assert polls[2].messages == good.messages
    assert polls[2].observed_at == good.observed_at
    assert "writer died" in polls[2].problem


def test_what_still_lies_in_a_wal_is_read(tmp_path: Path) -> None:
    folder = copied(tmp_path, "wal-left")
    with open_readonly(folder / "v2.db") as db:
        rows = db.fetch(
            "SELECT id, container_status FROM sessions WHERE id IN (?, ?)",
            ("sess-fx-mixed", "sess-fx-claimed"),
        )
    assert {row[0]: row[1] for row in rows} == {
        "sess-fx-mixed": "stopped",
        "sess-fx-claimed": "stopped",
    }


async def test_contents_are_found_by_the_id_that_was_shown(tmp_path: Path) -> None:
    folder = copied(tmp_path, f"{ALPHA}/sess-fx-mixed")
    reader = QueueReader(FakeClock(NOW))
    content = await reader.content(folder, Direction.IN, "in-40-attachment")
    assert '"localPath":"inbox/in-40-attachment/cat.png"' in content
    assert "done (edited)" in await reader.content(folder, Direction.OUT, "out-edit")
    with pytest.raises(NotFoundError):
        await reader.content(folder, Direction.OUT, "in-40-attachment")
    with pytest.raises(UnavailableError):
        await reader.content(tmp_path / "nowhere", Direction.IN, "x")
