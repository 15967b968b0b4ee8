"""What the panel's process holds, sampled at rest, and whether it keeps growing."""

from __future__ import annotations

import asyncio
import gc
import statistics
import threading
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import psutil

MEMORY_SHARE = 1.05
"""The last third may hold this much more memory than the middle one."""
MEMORY_SLACK_MB = 4.0
SETTLED = 9
"""Fewer samples than this say nothing of a trend in memory."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the process between two rounds, when nothing is under way."""

    at_s: float
    memory_mb: float
    descriptors: int
    tasks: int
    threads: int
    residents: int
    """Processes anywhere on this machine that work in the world's folder."""
    zombies: int
    """Children of the panel that ended and were not collected."""

    def __str__(self) -> str:
        values = zip((f.name for f in fields(self)), astuple(self), strict=True)
        return "  ".join(f"{name} {value:g}" for name, value in values)


def sample(at_s: float, world: Path) -> Sample:
    """Look now; what only waits for the garbage collector does not count."""
    gc.collect()
    process = psutil.Process()
    with process.oneshot():
        memory = process.memory_info().rss / 1e6
        descriptors = process.num_fds()
    return Sample(
        at_s=round(at_s, 1),
        memory_mb=round(memory, 1),
        descriptors=descriptors,
        tasks=len(asyncio.all_tasks()),
        threads=threading.active_count(),
        residents=len(residents(world)),
        zombies=sum(_is_zombie(one) for one in process.children()),
    )


def leaks(samples: Sequence[Sample], warm: int) -> list[str]:
    """What grew after the first `warm` samples, in sentences."""
    before, after = samples[:warm], samples[warm:]
    if not before or not after:
        return []
    found: list[str] = []
    for name, slack in (("descriptors", 2), ("tasks", 3), ("threads", 2), ("residents", 0)):
        first = max(getattr(one, name) for one in before)
        # Something may just be ending in any one sample: a leak is still there in all the last.
        last = min(getattr(one, name) for one in after[-3:])
        if last > first + slack:
            found.append(f"{name}: at most {first} at first, never under {last} at the end")
    if samples[-1].zombies:
        found.append(f"{samples[-1].zombies} ended processes were never collected")
    if len(after) >= SETTLED:
        third = len(after) // 3
        middle = statistics.median(one.memory_mb for one in after[third : 2 * third])
        last_mb = statistics.median(one.memory_mb for one in after[2 * third :])
        if last_mb > middle * MEMORY_SHARE + MEMORY_SLACK_MB:
            found.append(f"memory: {middle:.0f} MB in the middle, {last_mb:.0f} MB at the end")
    return found


def residents(world: Path) -> list[int]:
    """The ids of processes that work in the world's folder, whoever started them."""
    found: list[int] = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(world):
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
