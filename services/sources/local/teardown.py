"""The end of an embedded world: every process of it, by record."""

from __future__ import annotations

import fcntl
import os
import time

from services.sources.local.layout import ProcessRecord, World
from services.sources.local.leases import is_needed
from services.sources.local.lock import break_stale
from services.sources.local.spawn import AGENT, end, terminate

GRACE_S = 2.0
UP = "up"
"""The mark of a whole start, which names the host a second time."""


def records(world: World) -> tuple[ProcessRecord, ...]:
    """Every process of the world that left a record, dead ones too."""
    try:
        roles = sorted(path.stem for path in (world.root / "run").glob("*.json"))
    except OSError:
        return ()
    found = (world.read_record(role) for role in roles)
    return tuple(record for record in found if record is not None)


def end_all(world: World, *, spare: tuple[str, ...] = (), grace_s: float = GRACE_S) -> bool:
    """End the processes of all roles but `spare`, and never the caller; whether all are gone.

    Their records go, and the locks of agents that could not clean up.
    Blocks for at most `grace_s` + 2 s and a little. A suspended process is killed.
    """
    spared = {os.getpid(), *(record.pid for record in records(world) if record.role in spare)}
    world.record(UP).unlink(missing_ok=True)
    ending = [record for record in records(world) if record.pid not in spared]
    for record in ending:
        terminate(record)
    deadline = time.monotonic() + grace_s
    gone = True
    for record in ending:
        ended = end(record, max(0.0, deadline - time.monotonic()))
        gone = gone and ended
        if ended and world.read_record(record.role) == record:
            world.record(record.role).unlink(missing_ok=True)
        if ended and record.role.startswith(AGENT):
            break_stale(world.sandbox(record.role.removeprefix(AGENT)))
    return gone


def end_if_unneeded(world: World, *, spare: tuple[str, ...] = ()) -> bool:
    """End the world if, with its lock held, still nobody needs it; whether it was ended.

    False also where somebody else is bringing it up or down just now.
    """
    handle = os.open(world.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return False
    try:
        if is_needed(world):
            return False
        end_all(world, spare=spare)
        return True
    finally:
        os.close(handle)
