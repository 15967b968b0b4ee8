"""What became of the processes of the embedded world that left records; signals none."""

from __future__ import annotations

import os
import subprocess
import threading
import time

from services.process.identity import Liveness, ProcessId, program, started_as
from services.sources.local.layout import ProcessRecord

AGENT = "agent-"
_WORLD = "--world"
"""What the command line of each of them has."""
_CODES_KEPT = 64
REAP_S = 0.05
"""Those who look at many processes in one go collect children once."""

_children: dict[int, subprocess.Popen[bytes]] = {}
_codes: dict[int, int] = {}
_children_lock = threading.Lock()
_reaped_at = 0.0


def keep_child(child: subprocess.Popen[bytes]) -> None:
    """Collect this child of ours when it has ended, so that it is no zombie."""
    with _children_lock:
        _children[child.pid] = child


def reap() -> None:
    """Collect those of our children that have ended, so none lingers as a zombie."""
    global _reaped_at  # noqa: PLW0603
    _reaped_at = time.monotonic()
    with _children_lock:
        for pid, child in list(_children.items()):
            code = child.poll()
            if code is not None:
                del _children[pid]
                _codes.pop(pid, None)
                _codes[pid] = code
        while len(_codes) > _CODES_KEPT:
            del _codes[next(iter(_codes))]


def exit_code(pid: int) -> int | None:
    """How our newest child of that pid ended; None while it runs, or where it was not ours."""
    reap()
    with _children_lock:
        return None if pid in _children else _codes.get(pid)


def describe(role: str, port: int | None = None, socket: str = "") -> ProcessRecord:
    """The record of the calling process."""
    me = ProcessId.capture()
    if me is None:
        return ProcessRecord(role, os.getpid(), time.time(), port, socket=socket)
    return record_of(me, role, port, socket)


def record_of(
    process: ProcessId, role: str, port: int | None = None, socket: str = ""
) -> ProcessRecord:
    """The record of a process that plays, or is to play, this role."""
    begun = process.started_at()
    return ProcessRecord(
        role, process.pid, begun, port, process.start_ticks, process.boot_id, socket
    )


def identify(record: ProcessRecord) -> ProcessId | None:
    """The living process a record names; of an old record as far as that can be told."""
    process = record.process
    if process is None and started_as(record.pid, record.created):
        process = ProcessId.capture(record.pid)
        # One process in a hundred shares the part of a second: it has to serve a world, too.
        found = program(record.pid)
        if found is None or _WORLD not in found.argv:
            return None
    return process


def alive(record: ProcessRecord) -> Liveness:
    """What became of the process a record names; never raises."""
    if time.monotonic() - _reaped_at > REAP_S:
        reap()
    process = identify(record)
    found = Liveness.DEAD if process is None else process.liveness()
    if found.over and record.pid in _children:
        reap()  # also where nobody looks again
    return found


def started_at(record: ProcessRecord) -> float:
    """When it began, in seconds of the present wall clock."""
    return record.created if record.process is None else record.process.started_at()
