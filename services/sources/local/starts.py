"""Starts under way in the embedded world: who was started and has not left its own record yet.

Whoever makes a process notes it; the process takes the note away once it has left its record, or
has told otherwise why it ends. So a note of a dead process is a start that failed.
"""

from __future__ import annotations

import os
from contextlib import suppress

from services.process.identity import Liveness, ProcessId
from services.sources.local.layout import ProcessRecord, World, read_record_file, write_record_file
from services.sources.local.process_records import alive, record_of, started_at

LONGEST_START_S = 30.0
"""A process that does not serve after this long hangs, on a slow machine too."""


def note(world: World, role: str, pid: int) -> None:
    """A child of ours is to play this role."""
    process = ProcessId.capture(pid)
    if process is None:
        return
    made = record_of(process, role)
    # Where nothing can be written it leaves no record of its own either.
    with suppress(OSError):
        write_record_file(world.starts / role, made)
        own = world.read_record(role)
        if own is not None and own.process == process:
            forget(world, made)


def read(world: World, role: str) -> ProcessRecord | None:
    """Who was started last for a role, if it left no record of its own."""
    return read_record_file(world.starts / role)


def everyone(world: World) -> tuple[ProcessRecord, ...]:
    """All that were started and left no record of their own, dead ones too."""
    found = (read_record_file(path) for path in sorted(world.starts.glob("*")))
    return tuple(one for one in found if one is not None)


def forget(world: World, one: ProcessRecord) -> None:
    """Its start is over."""
    if read(world, one.role) == one:
        (world.starts / one.role).unlink(missing_ok=True)


def leave(world: World, role: str) -> None:
    """The calling process has left its own record, or needs none."""
    noted = read(world, role)
    if noted is not None and noted.pid == os.getpid():
        forget(world, noted)


def is_young(started: float | None, now: float) -> bool:
    """Whether what began then may still be starting."""
    return started is not None and now - started < LONGEST_START_S


def under_way(world: World, role: str, now: float) -> bool:
    """Whether a role is being started: it runs, serves nothing yet, and not for too long."""
    own = world.read_record(role)
    if own is not None and not alive(own).over:
        return False
    one = read(world, role)
    return one is not None and alive(one) is Liveness.RUNNING and is_young(started_at(one), now)
