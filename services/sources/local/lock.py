"""Who owns a sandbox folder: `agent.lock` and the marks of starts that failed."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from enum import Enum
from pathlib import Path

from services.sources.local.crashes import CRASHES, GAVE_UP, crash_lines
from services.sources.local.layout import ProcessRecord, read_record_file, write_private
from services.sources.local.process_records import alive

LOCK = "agent.lock"
_CRASHES_KEPT = 40


class LockResult(Enum):
    """What came of trying to own a folder."""

    TAKEN = "taken"
    HELD = "held by a live process"
    STALE = "left by a dead process"


def holder(folder: Path) -> ProcessRecord | None:
    """Whom the lock names; None where there is no lock or it names nobody."""
    return read_record_file(folder / LOCK)


def acquire(folder: Path, mine: ProcessRecord) -> LockResult:
    """Try to own the folder; a lock is complete from the instant it is there."""
    path = folder / LOCK
    draft = folder / f".{LOCK}.{mine.pid}"
    write_private(draft, json.dumps(asdict(mine)))
    try:
        os.link(draft, path)
    except FileExistsError:
        owner = holder(folder)
        held = owner is not None and not alive(owner).over
        return LockResult.HELD if held else LockResult.STALE
    finally:
        draft.unlink(missing_ok=True)
    return LockResult.TAKEN


def release(folder: Path, mine: ProcessRecord) -> None:
    """Give up the folder, if it is ours."""
    if holder(folder) == mine:
        (folder / LOCK).unlink(missing_ok=True)


def break_stale(folder: Path) -> bool:
    """Remove a lock whose owner is dead; whether there was one. For the operator's wake alone."""
    path = folder / LOCK
    owner = holder(folder)
    if not path.exists() or (owner is not None and not alive(owner).over):
        return False
    aside = folder / f".{LOCK}.stale.{os.getpid()}"
    try:
        path.rename(aside)
    except FileNotFoundError:
        return False
    taken = read_record_file(aside)
    if taken is not None and taken != owner and not alive(taken).over:
        # A new owner came in between: it keeps its lock.
        try:
            os.link(aside, path)
        except FileExistsError:
            pass
        aside.unlink(missing_ok=True)
        return False
    aside.unlink(missing_ok=True)
    return True


def record_crash(folder: Path, why: str) -> None:
    """Append a line to `crashes.jsonl`, keeping the newest forty."""
    path = folder / CRASHES
    line = json.dumps({"at": time.time(), "pid": os.getpid(), "why": why[:400]})
    lines = crash_lines(path)[-_CRASHES_KEPT + 1 :]
    write_private(path, "\n".join([*lines, line]) + "\n")


def give_up(folder: Path, count: int, why: str) -> None:
    """Say that no more restarts will be tried, in `gave-up.json`."""
    text = json.dumps({"at": time.time(), "crashes": count, "why": why[:400]})
    write_private(folder / GAVE_UP, text)
