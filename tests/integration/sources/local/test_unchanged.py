"""A world in which nothing changes is looked at and not read; what changes is read at once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from services.models import SandboxId
from services.queues import reader
from services.queues.kept import KeptFiles
from services.queues.reader import QueueReader, SurveyRequest
from services.queues.readonly import OpenFile
from services.sources.local import probes
from services.sources.local.host_queue import HostQueue
from services.sources.local.layout import ProcessRecord, World
from services.sources.local.queue_files import INBOUND, create_outbound
from services.sources.local.traffic import InboundMessage
from tests.support.clock import FakeClock

CHAT = InboundMessage("", "chat", "hello", "web", "p1")
NAMES = ("one", "two", "three", "four")


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path / "local")
    world.create()
    for name in NAMES:
        world.sandbox(name).mkdir()
        HostQueue(world.sandbox(name), Random(1)).prepare(1000.0)
        create_outbound(world.sandbox(name))
    return world


def insert(world: World, name: str, at: float) -> None:
    """One more message, written at that instant: the clock of a file system is coarse."""
    HostQueue(world.sandbox(name), Random(1)).insert([CHAT], 1000.0)
    os.utime(world.sandbox(name) / INBOUND, (at, at))


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """What SQLite is asked, by the first word, and how often a thread is asked to."""
    asked: Counter[str] = Counter()
    execute: Callable[..., object] = OpenFile.execute

    def counted(self: OpenFile, sql: str, parameters: object = (), /) -> object:
        asked[sql.split(maxsplit=1)[0]] += 1
        return execute(self, sql, parameters)

    monkeypatch.setattr(OpenFile, "execute", counted)
    monkeypatch.setattr(reader, "_MOMENT_S", 3600.0)  # however slow the machine is
    hop = QueueReader.surveys

    async def hopped(self: QueueReader, wanted: list[SurveyRequest]) -> object:
        asked["hop"] += 1
        return await hop(self, wanted)

    monkeypatch.setattr(QueueReader, "surveys", hopped)
    yield asked


async def look(world: World, summaries: probes.QueueSummaries) -> list[int]:
    """The messages that are due, by sandbox."""
    wanted = [
        probes.AgentRequest(SandboxId("local", name), probes.process(world, f"agent-{name}"))
        for name in NAMES
    ]
    return [seen.due for seen, _ in await probes.agents(world, summaries, wanted)]


async def test_nothing_is_asked_of_files_that_did_not_change(
    world: World, statements: Counter[str]
) -> None:
    clock, kept = FakeClock(2_000_000_000.0), KeptFiles()
    summaries = probes.QueueSummaries(clock, kept)
    first = await look(world, summaries)
    assert statements["SELECT"] > 0 and statements["hop"] == 1
    for _ in range(2):
        statements.clear()
        for _ in range(4):
            await clock.advance(1.0)
            assert await look(world, summaries) == first
        assert statements == {}
        # Once in a while they are read all the same, in one hop and without being opened anew.
        await clock.advance(1.0)
        await look(world, summaries)
        assert statements["hop"] == 1 and statements["SELECT"] > 0
        assert statements["PRAGMA"] == 0
    kept.close()


async def test_what_changes_is_seen_at_the_next_look_and_the_others_are_left_alone(
    world: World, statements: Counter[str]
) -> None:
    clock, kept = FakeClock(2_000_000_000.0), KeptFiles()
    summaries = probes.QueueSummaries(clock, kept)
    first = await look(world, summaries)
    await clock.advance(1.0)
    insert(world, "two", 1001.0)
    statements.clear()
    found = await look(world, summaries)
    assert found == [first[0], first[1] + 1, first[2], first[3]]
    alone = statements["SELECT"]
    for name in NAMES:
        insert(world, name, 1002.0)
    await clock.advance(1.0)
    statements.clear()
    assert await look(world, summaries) == [first[0] + 1, first[1] + 2, first[2] + 1, first[3] + 1]
    assert statements["hop"] == 1
    assert alone <= statements["SELECT"] / 2
    kept.close()


def test_records_are_read_where_they_changed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock(2_000_000_000.0)
    records = probes.WorldRecords(world, clock)
    read: list[str] = []
    really = World.read_record

    def counted(self: World, role: str) -> ProcessRecord | None:
        read.append(role)
        return really(self, role)

    monkeypatch.setattr(World, "read_record", counted)
    assert records.read("host") is None
    first = ProcessRecord("host", 7, 1000.0)
    world.write_record(first)
    assert [records.read("host") for _ in range(3)] == [first] * 3
    assert read == ["host"] * 2
    second = ProcessRecord("host", 8, 2000.0)
    world.write_record(second)
    assert records.read("host") == second
    world.record("host").unlink()
    assert records.read("host") is None
    assert records.names() == records.names() == tuple(sorted(NAMES))
    world.sandbox("zero").mkdir()
    assert records.names() == tuple(sorted((*NAMES, "zero")))


def test_a_file_that_was_written_this_instant_is_read_again(world: World) -> None:
    """Two writings within one tick of the file system's clock look alike."""
    record = ProcessRecord("host", 7, 1000.0)
    world.write_record(record)
    clock = FakeClock(world.record("host").stat().st_mtime)
    records = probes.WorldRecords(world, clock)
    assert records.read("host") == record
    stamp = world.record("host").stat().st_mtime_ns
    path = world.record("host")
    path.write_text(path.read_text("utf-8").replace("7", "9", 1), "utf-8")
    os.utime(path, ns=(stamp, stamp))
    found = records.read("host")
    assert found is not None and found.pid == 9
