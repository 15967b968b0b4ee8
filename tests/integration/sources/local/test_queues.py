"""An embedded agent and its host on one sandbox's files, in this process, with time at will."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from random import Random

import pytest

from services.models import SandboxId
from services.queues.reader import QueueReader
from services.sources.local.agent import Agent
from services.sources.local.agent_queue import AgentQueue
from services.sources.local.flood import Flood, flood_file, request_flood
from services.sources.local.host_queue import (
    KEPT_ROWS,
    MAX_TRIES,
    HostQueue,
    PendingDelivery,
    action,
)
from services.sources.local.layout import World
from services.sources.local.queue_files import iso_text, sqlite_text
from services.sources.local.traffic import InboundMessage, from_agent
from services.sources.local.work import OutboundReply, Task
from tests.support.clock import FakeClock

NOW = 1_795_194_300.0
CHAT = InboundMessage("", "chat", '{"text": "hello"}', "telegram", "telegram:42")


class Fixed(Random):
    """A source of randomness that always draws the same number."""

    drawn = 0.5

    def random(self) -> float:
        return self.drawn


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "world")
    made.create()
    made.work("one").mkdir(parents=True)
    return made


@pytest.fixture
def folder(world: World) -> Path:
    return world.sandbox("one")


@pytest.fixture
def host_queue(folder: Path) -> HostQueue:
    made = HostQueue(folder, Fixed())
    made.prepare(NOW)
    db = sqlite3.connect(folder / "inbound.db")
    db.execute("DELETE FROM messages_in")
    db.commit()
    db.close()
    return made


def ask(folder: Path, file: str, sql: str, *args: object) -> list[tuple[object, ...]]:
    db = sqlite3.connect(f"{(folder / file).as_uri()}?mode=ro", uri=True)
    rows = db.execute(sql, args).fetchall()
    db.close()
    return rows


def inbound(folder: Path, sql: str) -> list[tuple[object, ...]]:
    return ask(folder, "inbound.db", sql)


def outbound(folder: Path, sql: str) -> list[tuple[object, ...]]:
    return ask(folder, "outbound.db", sql)


async def labels(folder: Path, now: float) -> tuple[dict[str, int], dict[str, int]]:
    reader = QueueReader(FakeClock(now))
    snapshot = await reader.snapshot(SandboxId("local", "one"), folder, 50, alive=True)
    assert snapshot.problem == ""
    return dict(snapshot.inbound), dict(snapshot.outbound)


async def test_a_new_sandbox_is_whole_and_prepared_once(folder: Path) -> None:
    for at in (NOW, NOW + 5):
        HostQueue(folder, Random(1)).prepare(at)
        counts, _ = await labels(folder, NOW)
        assert counts == {"paused": 1, "scheduled": 1, "held for next start": 1}


def test_half_made_files_are_completed(folder: Path) -> None:
    (folder / "inbound.db").touch()
    db = sqlite3.connect(folder / "outbound.db")
    db.execute("CREATE TABLE session_state (key TEXT PRIMARY KEY, value TEXT, updated_at TEXT)")
    db.commit()
    db.close()
    HostQueue(folder, Random(1)).prepare(NOW)
    assert outbound(folder, "SELECT count(*) FROM messages_out") == [(0,)]
    assert inbound(folder, "SELECT count(*) FROM delivered") == [(0,)]


async def test_a_message_goes_all_the_way(
    world: World, folder: Path, host_queue: HostQueue
) -> None:
    agent = Agent(world, "one", Fixed())
    agent.begin()
    assert agent.step(NOW) > 0
    host_queue.insert([CHAT], NOW)
    assert (await labels(folder, NOW))[0] == {"due": 1}
    agent.step(NOW + 1)
    assert (await labels(folder, NOW + 1))[0] == {"processing": 1}
    facts = (await QueueReader(FakeClock(NOW)).survey(folder, alive=None)).facts
    assert facts.tool
    assert len(facts.claims) == 1
    at = NOW + 1
    while (await labels(folder, at))[0] == {"processing": 1}:
        at += 0.25
        assert at < NOW + 10
        agent.step(at)
    assert await labels(folder, at) == ({"completed, not yet synced": 1}, {"undelivered": 1})
    assert (await QueueReader(FakeClock(NOW)).survey(folder, alive=None)).facts.tool == ""
    host_queue.deliver(at)
    host_queue.sweep(at, suspended=False)
    assert await labels(folder, at) == ({"completed": 1}, {"delivered": 1})
    [(reply_to, seq)] = outbound(folder, "SELECT in_reply_to, seq FROM messages_out")
    assert inbound(folder, "SELECT id FROM messages_in") == [(reply_to,)]
    assert isinstance(seq, int)
    assert seq % 2 == 1


async def test_a_batch_that_fails_climbs_the_ladder_to_its_end(
    world: World, folder: Path, host_queue: HostQueue
) -> None:
    rng = Fixed()
    rng.drawn = 0.0
    agent = Agent(world, "one", rng)
    agent.begin()
    host_queue.insert([CHAT], NOW)
    at, waits, seen = NOW, [], set[str]()
    for _ in range(2000):
        at += 0.25
        agent.step(at)
        before = inbound(folder, "SELECT tries FROM messages_in")[0][0]
        host_queue.sweep(at, suspended=False)
        [(tries, after)] = inbound(folder, "SELECT tries, process_after FROM messages_in")
        if tries != before:
            waits.append((tries, after, sqlite_text(at + 2 ** (int(str(tries)) - 1))))
        now_in, _ = await labels(folder, at)
        seen |= set(now_in)
        if now_in == {"failed": 1}:
            break
    assert [tries for tries, _, _ in waits] == list(range(1, MAX_TRIES + 1))
    assert all(after == expected for _, after, expected in waits)
    assert seen == {"processing", "backoff", "due", "failed"}
    assert outbound(folder, "SELECT count(*) FROM processing_ack") == [(0,)]
    assert outbound(folder, "SELECT count(*) FROM messages_out") == [(0,)]


async def test_a_suspended_agent_keeps_its_claims(folder: Path, host_queue: HostQueue) -> None:
    host_queue.insert([CHAT], NOW)
    assert len(AgentQueue(folder).claim(NOW)) == 1
    host_queue.sweep(NOW + 500, suspended=True)
    assert (await labels(folder, NOW + 500))[0] == {"processing": 1}
    host_queue.sweep(NOW + 500, suspended=False)
    assert (await labels(folder, NOW + 500))[0] == {"backoff": 1}


async def test_a_successor_takes_over_what_a_dead_agent_held(
    world: World, folder: Path, host_queue: HostQueue
) -> None:
    host_queue.insert([CHAT], NOW)
    AgentQueue(folder).claim(NOW)
    Agent(world, "one", Random(1)).begin()
    assert (await labels(folder, NOW))[0] == {"due": 1}


def test_what_is_taken_and_what_is_left(folder: Path, host_queue: HostQueue) -> None:
    host_queue.insert(
        [
            InboundMessage("", "chat", "context", "cli", "local", wakes=False),
            InboundMessage("task-", "task", "later", delay_s=60),
            InboundMessage("qr-", "system", '{"type": "question_response"}'),
            InboundMessage("restart-", "chat", "note", on_wake=True),
        ],
        NOW,
    )
    first = AgentQueue(folder)
    assert [task.content for task in first.claim(NOW)] == ["note", "context"]
    host_queue.insert([InboundMessage("restart-", "chat", "too late", on_wake=True)], NOW)
    assert first.claim(NOW + 1) == ()
    assert outbound(folder, "SELECT count(*) FROM processing_ack") == [(2,)]
    assert first.claim(NOW + 5) == ()
    assert outbound(folder, "SELECT status, count(*) FROM processing_ack GROUP BY 1") == [
        ("completed", 1),
        ("processing", 2),
    ]
    assert [task.content for task in AgentQueue(folder).claim(NOW + 61)] == ["later", "too late"]


def test_a_flood_starves_nobody(folder: Path, host_queue: HostQueue) -> None:
    host_queue.insert([CHAT], NOW)
    noise = InboundMessage("", "chat", "noise", "cli", "local", wakes=False)
    host_queue.insert([noise] * 30, NOW)
    taken = AgentQueue(folder).claim(NOW)
    assert len(taken) == 10
    assert taken[0].content == CHAT.content


async def test_a_series_recurs_and_leaves_its_past_behind(
    folder: Path, host_queue: HostQueue
) -> None:
    digest = InboundMessage("task-", "task", "digest", "cli", "local", 1.0, recurrence="* * * * *")
    host_queue.insert([digest], NOW)
    agent_queue = AgentQueue(folder)
    taken = agent_queue.claim(NOW + 2)
    agent_queue.answer(taken, (), NOW + 2)
    host_queue.sweep(NOW + 2, suspended=False)
    rows = inbound(
        folder, "SELECT id, series_id, status, recurrence, process_after FROM messages_in"
    )
    first, second = sorted(rows, key=lambda row: str(row[2]))
    assert (first[2], first[3]) == ("completed", None)
    assert (second[1], second[2], second[3]) == (first[0], "pending", "* * * * *")
    assert second[4] == iso_text((NOW // 60 + 1) * 60)
    assert (await labels(folder, NOW + 2))[0] == {"completed": 1, "scheduled": 1}


def reply(kind: str, channel: str, **fields: object) -> OutboundReply:
    return OutboundReply(
        kind, json.dumps(fields), "m", channel, "two" if channel == "agent" else "x:1"
    )


async def test_deliveries_end_in_every_way(folder: Path, host_queue: HostQueue) -> None:
    rng = Fixed()
    box = HostQueue(folder, rng)
    agent_queue = AgentQueue(folder)
    agent_queue.drop_claims()
    batch = (Task("m", "chat", "{}"),)
    agent_queue.answer(
        batch,
        (
            reply("chat", "telegram", text="a"),
            reply("chat", "telegram", operation="reaction", emoji="heart"),
            reply("system", "telegram", action="schedule_task", prompt="again", inSeconds=15),
            reply("chat", "agent", text="please"),
            reply("chat-sdk", "cli", type="ask_question", questionId="q-7"),
            OutboundReply("chat", "{}", "m", "telegram", "x:1", delay_s=30),
        ),
        NOW,
    )
    sent = box.deliver(NOW)
    assert [action(item) for item in sent] == ["", "", "schedule_task", "", "ask_question"]
    assert (await labels(folder, NOW))[1] == {
        "applied": 1,
        "routed to agent": 1,
        "delivered": 2,
        "unconfirmed": 1,
        "deferred": 1,
    }
    assert box.deliver(NOW + 1) == ()
    rng.drawn = 0.0
    assert [len(box.deliver(NOW + wait)) for wait in (31, 32, 33)] == [0, 0, 0]
    assert (await labels(folder, NOW + 33))[1]["failed"] == 1
    box.schedule(sent[2], NOW)
    box.answer(sent[4], NOW)
    box.insert([from_agent(sent[3].content, "two")], NOW)
    assert inbound(folder, "SELECT kind, channel_type FROM messages_in ORDER BY seq") == [
        ("task", "cli"),
        ("system", None),
        ("chat", "agent"),
    ]
    assert (await labels(folder, NOW))[0] == {"scheduled": 1, "waiting response": 1, "due": 1}


def test_content_that_is_no_object_asks_for_nothing() -> None:
    for content in ("[]", "nonsense", "", '"x"'):
        assert action(PendingDelivery("o", "system", "", "", content)) == ""


async def test_files_stay_small_and_truthful(folder: Path, host_queue: HostQueue) -> None:
    keep = InboundMessage("task-", "task", "keep", status="paused")
    host_queue.insert([keep], NOW)
    agent_queue = AgentQueue(folder)
    at = NOW
    for _ in range(70):
        at += 1
        host_queue.insert([CHAT] * 10, at)
        taken = agent_queue.claim(at)
        agent_queue.answer(taken, tuple(reply("chat", "cli", text=t.id) for t in taken), at)
        host_queue.deliver(at)
        host_queue.sweep(at, suspended=False)
    for file, table in (
        ("inbound.db", "messages_in"),
        ("inbound.db", "delivered"),
        ("outbound.db", "messages_out"),
        ("outbound.db", "processing_ack"),
    ):
        [(count,)] = ask(folder, file, f"SELECT count(*) FROM {table}")
        assert isinstance(count, int)
        assert KEPT_ROWS / 2 < count <= 500, table
    counts_in, counts_out = await labels(folder, at)
    assert counts_in["paused"] == 1
    assert set(counts_in) == {"paused", "completed"}
    assert set(counts_out) == {"delivered"}


def test_a_flood_pours_two_hundred_a_second_and_ends(
    world: World, folder: Path, host_queue: HostQueue
) -> None:
    flood = Flood(world, "one", Random(1))
    request_flood(world, "one", NOW + 2.05)
    at = NOW
    while at < NOW + 2:
        flood.step(host_queue, at)
        at += 0.1
    poured = flood.active
    [(highest, count)] = inbound(folder, "SELECT max(seq), count(*) FROM messages_in")
    assert isinstance(highest, int)
    assert 340 <= highest / 2 <= 420
    assert isinstance(count, int)
    assert count <= KEPT_ROWS
    flood.step(host_queue, NOW + 2.1)
    assert (poured, flood.active) == (True, False)
    assert not flood_file(world).exists()


def test_a_flood_of_another_sandbox_is_not_ours(world: World, host_queue: HostQueue) -> None:
    request_flood(world, "two", NOW + 100)
    flood = Flood(world, "one", Random(1))
    flood.step(host_queue, NOW)
    assert not flood.active
    flood_file(world).write_text("{")
    flood.step(host_queue, NOW)
    assert not flood.active
