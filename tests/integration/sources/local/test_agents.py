"""Embedded agents as real processes: killed, refused, damaged, brought back."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.process.identity import Liveness
from services.sources.local import crashes, lock, process_records, spawn
from services.sources.local.host import AgentRestarts
from services.sources.local.host_queue import HostQueue
from services.sources.local.layout import ProcessRecord, World
from services.sources.local.traffic import InboundMessage
from tests.support.waiting import eventually
from tests.support.world_processes import (
    PATIENCE_S,
    counts,
    ended,
    needed_world,
    started,
    until,
)

ONE = "agent-one"
CHAT = InboundMessage("", "chat", '{"text": "hello"}', "cli", "local")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with needed_world(tmp_path / "world") as made:
        yield made


def killed(world: World) -> ProcessRecord:
    """An agent that came up and was killed."""
    record = started(world, ONE)
    os.kill(record.pid, signal.SIGKILL)
    assert ended(record.pid) == -signal.SIGKILL
    assert process_records.alive(record) is Liveness.DEAD
    return record


def test_a_killed_agent_leaves_a_lock_that_the_next_one_refuses(world: World) -> None:
    folder = world.sandbox("one")
    dead = killed(world)
    assert lock.holder(folder) == dead
    assert ended(spawn.start(world, ONE)) == 3
    [crash] = crashes.read_crashes(folder)
    assert crash.why == f"stale lock left by pid {dead.pid}"
    assert crash.pid != dead.pid
    lock.give_up(folder, 1, crash.why)
    assert lock.break_stale(folder)
    fresh = started(world, ONE)
    until(lambda: not (folder / crashes.GAVE_UP).exists())
    assert lock.holder(folder) == fresh


def test_a_second_agent_leaves_the_first_alone(world: World) -> None:
    first = started(world, ONE)
    assert ended(spawn.start(world, ONE)) == 0
    assert world.read_record(ONE) == first
    assert lock.holder(world.sandbox("one")) == first
    assert crashes.read_crashes(world.sandbox("one")) == ()


def test_an_agent_whose_file_is_damaged_says_so_and_leaves_no_lock(world: World) -> None:
    folder = world.sandbox("one")
    (folder / "outbound.db").write_bytes(b"this is no database at all" * 100)
    assert ended(spawn.start(world, ONE)) == 1
    [crash] = crashes.read_crashes(folder)
    assert "not a database" in crash.why
    assert not (folder / lock.LOCK).exists()
    assert world.read_record(ONE) is None


def test_a_crash_loop_is_given_up_and_ends_with_a_good_start(world: World) -> None:
    folder = world.sandbox("one")
    dead = killed(world)
    restarts = AgentRestarts(world)
    restarts.step(("one",), time.time())
    spawn.start(world, ONE)

    def crashed(times: int) -> Callable[[], bool]:
        return lambda: len(crashes.read_crashes(folder)) == times

    for tried, delay in enumerate((1.0, 2.0, 4.0), start=1):
        until(crashed(tried))
        last = crashes.read_crashes(folder)[-1].at
        children = len(process_records._children)
        restarts.step(("one",), last + delay - 0.1)
        assert len(process_records._children) <= children
        restarts.step(("one",), last + delay + 0.1)
    until(crashed(4))
    restarts.step(("one",), crashes.read_crashes(folder)[-1].at + 0.1)
    said = json.loads((folder / crashes.GAVE_UP).read_text())
    assert (said["crashes"], said["why"]) == (4, f"stale lock left by pid {dead.pid}")
    restarts.step(("one",), time.time() + 100)
    assert len(crashes.read_crashes(folder)) == 4
    assert lock.break_stale(folder)
    again = started(world, ONE)
    until(lambda: not (folder / crashes.GAVE_UP).exists())
    os.kill(again.pid, signal.SIGKILL)
    assert ended(again.pid) == -signal.SIGKILL
    restarts.step(("one",), time.time())
    restarts.step(("one",), time.time() + 10)
    assert len(crashes.read_crashes(folder)) == 4, "a killed agent is not a crashed one"
    lock.record_crash(folder, "again")
    restarts.step(("one",), time.time())
    assert not (folder / crashes.GAVE_UP).exists(), "a good start gives the restarts back"


async def test_killed_at_any_point_an_agent_goes_on_where_it_was(world: World) -> None:
    folder = world.sandbox("one")
    box = HostQueue(folder, random.Random(1))
    rng = random.Random(11)
    for _ in range(8):
        box.insert([CHAT], time.time())
        pid = spawn.start(world, ONE)
        time.sleep(rng.uniform(0.0, 0.4))  # any moment of its work, and it tells none
        os.kill(pid, signal.SIGKILL)
        ended(pid)
        lock.break_stale(folder)
    started(world, ONE)
    came, went = await counts(world)

    async def done() -> bool:
        nonlocal came, went
        box.sweep(time.time(), suspended=False)
        came, went = await counts(world)
        return bool(went) and set(came) <= {"completed", "completed, not yet synced"}

    await eventually(done, limit=PATIENCE_S, what=lambda: (came, went))
    assert sum(came.values()) == 8
    assert crashes.read_crashes(folder) == ()


def test_an_agent_whose_world_nobody_needs_leaves(tmp_path: Path) -> None:
    world = World(tmp_path / "other")
    world.create()
    assert ended(spawn.start(world, ONE)) == 0
    assert world.read_record(ONE) is None
    assert not (world.sandbox("one") / lock.LOCK).exists()
