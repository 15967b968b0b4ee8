"""The embedded host as a real process, with the agents it serves."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.clock import SystemClock
from services.models import SandboxId
from services.process.identity import Liveness
from services.queues.reader import QueueReader
from services.sources.local import lock, process_records, spawn
from services.sources.local.flood import request_flood
from services.sources.local.host import ROLE
from services.sources.local.layout import SANDBOX_NAMES, ProcessRecord, World
from services.sources.local.leases import Lease
from tests.support.waiting import eventually
from tests.support.world_processes import (
    PATIENCE_S,
    counts,
    ended,
    needed_world,
    over,
    started,
    until,
)

ONE = "agent-one"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with needed_world(tmp_path / "world") as made:
        yield made


async def test_an_agent_and_a_host_keep_messages_moving(world: World) -> None:
    folder = world.sandbox("one")
    for name in ("inbound.db", "outbound.db"):
        (folder / name).unlink()
    host = started(world, ROLE)
    agent = started(world, ONE)
    until((folder / "inbound.db").exists)
    assert process_records.alive(host) is process_records.alive(agent) is Liveness.RUNNING

    async def answered() -> bool:
        came, went = await counts(world)
        assert came.get("completed") and went, (came, went)
        return True

    await eventually(answered, limit=PATIENCE_S)
    beat = (folder / ".heartbeat").stat().st_mtime
    until(lambda: (folder / ".heartbeat").stat().st_mtime > beat)
    assert lock.holder(folder) == agent
    open_to_others = [str(p) for p in world.root.rglob("*") if p.stat().st_mode & 0o077]
    assert open_to_others == []
    for record in (agent, host):
        spawn.terminate(record)
        assert ended(record.pid) == 0
        assert world.read_record(record.role) is None
    assert not (folder / lock.LOCK).exists()
    said = world.log(ONE).read_text()
    assert f"one begins, process {agent.pid}" in said
    assert said.endswith("ends: asked to\n") and "Traceback" not in said
    assert world.log(ROLE).read_text() == ""


def test_a_second_host_leaves_the_first_alone(world: World) -> None:
    first = started(world, ROLE)
    assert ended(spawn.start(world, ROLE)) == 0
    assert world.read_record(ROLE) == first


def test_the_host_brings_a_crashed_agent_back(world: World) -> None:
    started(world, ROLE)
    killed = started(world, ONE)
    os.kill(killed.pid, signal.SIGKILL)
    until(over(killed))
    lock.break_stale(world.sandbox("one"))
    lock.record_crash(world.sandbox("one"), "something gave way")

    def back() -> bool:
        record = world.read_record(ONE)
        fresh = record is not None and record.pid != killed.pid
        return fresh and record is not None and process_records.alive(record) is Liveness.RUNNING

    until(back)


async def test_a_flood_is_poured_and_stays_bounded(world: World) -> None:
    started(world, ROLE)
    request_flood(world, "one", time.time() + 120)
    reader = QueueReader(SystemClock())
    highest = most = 0
    texts: set[str] = set()

    async def poured() -> bool:
        nonlocal highest, most
        snapshot = await reader.snapshot(
            SandboxId("local", "one"), world.sandbox("one"), 5, alive=False
        )
        highest = max([highest, *(message.seq or 0 for message in snapshot.messages)])
        most = max(most, sum(dict(snapshot.inbound).values()))
        texts.update(message.text[:6] for message in snapshot.messages)
        return highest >= 1000

    await eventually(poured, limit=PATIENCE_S, what=lambda: highest)
    assert most <= 500
    assert "flood " in texts


async def test_a_locked_sandbox_holds_up_no_other(world: World) -> None:
    world.work("two").mkdir(parents=True)
    holder = sqlite3.connect(world.sandbox("one") / "inbound.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        started(world, ROLE)
        until((world.sandbox("two") / "inbound.db").exists)

        async def counted() -> bool:
            return bool((await counts(world, "two"))[0])

        await eventually(counted, limit=PATIENCE_S)
    finally:
        holder.execute("ROLLBACK")
        holder.close()


def test_unneeded_everything_leaves_even_the_suspended(tmp_path: Path) -> None:
    world = World(tmp_path / "world")
    world.create()
    lease = Lease(world)
    roles = (ROLE, *(f"agent-{name}" for name in SANDBOX_NAMES))
    records = [started(world, role) for role in roles]
    until(lambda: len(world.names()) == len(SANDBOX_NAMES))
    # The mark a whole start leaves names the host again: it must not end itself by it.
    world.write_record(ProcessRecord("up", records[0].pid, records[0].created))
    os.kill(records[1].pid, signal.SIGSTOP)
    until(lambda: process_records.alive(records[1]) is Liveness.STOPPED)
    lease.close()
    for record in records:
        until(over(record))
    assert ended(records[0].pid) == 0
    assert sorted(path.name for path in (world.root / "run").iterdir()) == ["host.lock"]
    for name in SANDBOX_NAMES:
        assert not (world.sandbox(name) / lock.LOCK).exists()
