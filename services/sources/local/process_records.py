"""What became of the processes of the embedded world that left records; signals none."""

from __future__ import annotations

import os
import subprocess
import threading

from services.process.identity import Liveness
from services.sources.local.layout import ProcessRecord

AGENT = "agent-"
SAME_START_S = 1.0
_CODES_KEPT = 64

_children: dict[int, subprocess.Popen[bytes]] = {}
_codes: dict[int, int] = {}
_children_lock = threading.Lock()


def keep_child(child: subprocess.Popen[bytes]) -> None:
    """Collect this child of ours when it has ended, so that it is no zombie."""
    with _children_lock:
        _children[child.pid] = child


def reap() -> None:
    """Collect those of our children that have ended, so none lingers as a zombie."""
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


def describe(role: str, port: int | None = None) -> ProcessRecord:
    """The record of the calling process."""
    import psutil

    return ProcessRecord(role, os.getpid(), psutil.Process().create_time(), port)


def alive(record: ProcessRecord) -> Liveness:
    """What became of the process a record names; never raises."""
    import psutil

    reap()
    try:
        process = psutil.Process(record.pid)
        if abs(process.create_time() - record.created) > SAME_START_S:
            return Liveness.DEAD
        status = process.status()
    except (psutil.Error, ValueError, OverflowError):
        return Liveness.DEAD
    if status == psutil.STATUS_ZOMBIE:
        return Liveness.ZOMBIE
    if status in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP):
        return Liveness.STOPPED
    return Liveness.DEAD if status == psutil.STATUS_DEAD else Liveness.RUNNING
