"""An embedded world with real processes, for tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from services.clock import SystemClock
from services.models import SandboxId
from services.queues.reader import QueueReader
from services.sources.local import process_records, spawn
from services.sources.local.layout import ProcessRecord, World
from services.sources.local.leases import Lease
from services.sources.local.queue_files import create_inbound, create_outbound
from services.sources.local.world import end_all
from tests.support.waiting import eventually_sync

PATIENCE_S = 60.0


@contextmanager
def needed_world(root: Path) -> Iterator[World]:
    """A world of one sandbox `one`, needed until the end; every process of it is then ended."""
    mask = os.umask(0o077)
    made = World(root)
    made.create()
    made.work("one").mkdir(parents=True)
    create_inbound(made.sandbox("one"))
    create_outbound(made.sandbox("one"))
    os.umask(mask)
    lease = Lease(made)
    try:
        yield made
    finally:
        lease.close()
        assert end_all(made)
        until(no_children)


def living_children(word: str = "") -> set[psutil.Process]:
    """Children of this process that still run, with this word in their command line.

    Other tests' servers are children too, and some of them end meanwhile.
    """
    found = set()
    for one in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            living = one.status() != psutil.STATUS_ZOMBIE
            if living and (not word or any(word in part for part in one.cmdline())):
                found.add(one)
    return found


def child_names() -> list[str]:
    """Names of the living children of this process."""
    found = []
    for one in living_children():
        with suppress(psutil.NoSuchProcess):
            found.append(one.name())
    return found


def no_children() -> bool:
    """Whether every process this one started has been collected."""
    process_records.reap()
    return not process_records._children


def until(holds: Callable[[], object]) -> None:
    """Wait for something to hold; for how long is a guard, not a measure."""
    eventually_sync(holds, limit=PATIENCE_S)


def over(record: ProcessRecord) -> Callable[[], bool]:
    """Whether a recorded process is gone, to wait for."""
    return lambda: process_records.alive(record).over


def started(world: World, role: str) -> ProcessRecord:
    """Start a process and wait for its own record."""
    pid = spawn.start(world, role)

    def recorded() -> bool:
        record = world.read_record(role)
        return record is not None and record.pid == pid

    until(recorded)
    record = world.read_record(role)
    assert record is not None
    return record


def ended(pid: int) -> int:
    """Wait for a child of ours; its exit code."""
    until(lambda: process_records.exit_code(pid) is not None)
    code = process_records.exit_code(pid)
    assert code is not None
    return code


async def counts(world: World, name: str = "one") -> tuple[dict[str, int], dict[str, int]]:
    """Inbound and outbound counts by label, looked up afresh."""
    reader = QueueReader(SystemClock())
    snapshot = await reader.snapshot(SandboxId("local", name), world.sandbox(name), 20, alive=True)
    return dict(snapshot.inbound), dict(snapshot.outbound)
