"""Panels' leases on the embedded world: a kernel lock each, released when the panel dies."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from pathlib import Path

from services.files.private import open_private
from services.process.identity import ProcessId
from services.sources.local.layout import World


class Lease:
    """One panel's claim on a world; held until closed or until the process dies."""

    def __init__(self, world: World) -> None:
        """Take it. The world's folders must exist."""
        self._path = world.leases / f"{os.getpid()}.lease"
        temporary = world.leases / f".{os.getpid()}.new"
        self._handle: int | None = open_private(temporary, os.O_RDWR | os.O_CREAT)
        me = ProcessId.capture()
        if me is not None:
            # To be read by people: the lock alone decides.
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, json.dumps(me.fields()).encode(), 0)
        # Locked under a name nobody looks at, so no sweeper can take a lease for abandoned.
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        temporary.replace(self._path)

    def close(self) -> None:
        """Let go; idempotent."""
        if self._handle is None:
            return
        self._path.unlink(missing_ok=True)
        os.close(self._handle)
        self._handle = None


def _abandoned(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(handle)


def lease_count(world: World) -> int:
    """How many panels hold a lease on the world now; removes those of dead ones."""
    count = 0
    for path in world.leases.glob("*.lease"):
        if _abandoned(path):
            with suppress(OSError):
                path.unlink()
        else:
            count += 1
    return count


def is_needed(world: World) -> bool:
    """Whether the processes of the world should go on."""
    return world.keep.exists() or lease_count(world) > 0
