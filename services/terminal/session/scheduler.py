"""Parse scheduler of a panel: one time budget for all shells (upstream/terminal: Parse budget)."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Protocol

BUDGET_S = 0.002
"""Parsing this long, then giving way."""
CHUNK_BYTES = 16 * 1024
_SLICE_S = 0.001
_SMALLEST_CHUNK = 512
_FRAME_S = 1 / 60
_FLOOD_FRAME_S = 1 / 30
_FLOOD_BYTES = 64 * 1024
_LONGEST_FRAME_S = 0.012
"""A flooded shell is painted this long after its frame began, parsed to its end or not."""
_TURNS = 10


async def give_way() -> None:
    """Let the loop take some turns.

    A key and a picture pass through as many tasks, each of which takes a turn to wake: with a
    slice of work between every two of them they would be late by ten.
    """
    for _ in range(_TURNS):
        await asyncio.sleep(0)


class ScheduledShell(Protocol):
    """What the scheduler needs of a shell."""

    @property
    def waiting(self) -> int:
        """Bytes that can be parsed now."""

    @property
    def skipping(self) -> bool:
        """Whether it is being flooded and drops the middle."""

    @property
    def answering(self) -> bool:
        """Whether a key was typed so lately that its echo is being waited for."""

    def catch_up(self) -> None:
        """In a flood, drop what is too old to be drawn; never raises."""

    def parse(self, limit: int) -> None:
        """Feed `limit` bytes at most; never raises."""

    def paint(self) -> None:
        """Show what was parsed; never raises."""


class _ShellSlot:
    """Scheduling state of one shell."""

    __slots__ = ("began_at", "chunk", "dirty", "left", "painted_at", "served_at", "shell")

    def __init__(self, shell: ScheduledShell) -> None:
        self.shell = shell
        self.chunk = 4096
        self.painted_at = 0.0
        self.began_at: float | None = None
        """When the frame of a flood began that is being parsed."""
        self.left = 0
        """Bytes of it that are still to be parsed."""
        self.served_at = 0.0
        self.dirty = False

    def due_at(self) -> float:
        """When it may be painted again."""
        flooded = self.shell.skipping or self.shell.waiting > _FLOOD_BYTES
        rarely = flooded and not self.shell.answering
        return self.painted_at + (_FLOOD_FRAME_S if rarely else _FRAME_S)

    def ready(self, now: float) -> bool:
        """Whether there is something to parse; a flood is parsed a frame at a time."""
        if not self.shell.skipping:
            self.began_at = None
        elif self.began_at is None and now >= self.due_at():
            self.shell.catch_up()
            self.began_at, self.left = now, self.shell.waiting
        return self.shell.waiting > 0 and not self.throttled()

    def throttled(self) -> bool:
        """Whether a flood waits for its next frame, or for this one to be painted."""
        return self.shell.skipping and (self.began_at is None or self.left <= 0)

    def frame_incomplete(self, now: float) -> bool:
        """Whether the frame of a flood is better painted a little later."""
        return (
            self.began_at is not None
            and self.left > 0
            and self.shell.waiting > 0
            and now - self.began_at < _LONGEST_FRAME_S
        )

    def parse(self) -> None:
        """One slice; the next one's size is what this parser does in `_SLICE_S`."""
        before = self.shell.waiting
        started = perf_counter()
        self.shell.parse(min(self.chunk, CHUNK_BYTES))
        spent = perf_counter() - started
        done = before - self.shell.waiting
        if done >= self.chunk or spent > _SLICE_S:
            wanted = int(done * _SLICE_S / max(spent, 1e-6))
            self.chunk = min(max(wanted, _SMALLEST_CHUNK), CHUNK_BYTES)
        self.left -= done
        self.served_at = started + spent
        self.dirty = True

    def paint(self) -> None:
        """Show it."""
        self.dirty = False
        self.began_at = None
        self.painted_at = perf_counter()
        self.shell.paint()


class ParseScheduler:
    """Parses shells round-robin and paints each at most 60 times a second, 30 in a flood."""

    def __init__(self) -> None:
        self._slots: dict[ScheduledShell, _ShellSlot] = {}
        self._work = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def add(self, shell: ScheduledShell) -> None:
        """Serve a shell from now on; needs a running loop."""
        self._slots[shell] = _ShellSlot(shell)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="terminal scheduler")

    async def remove(self, shell: ScheduledShell) -> None:
        """Serve it no more; with the last one the pump stops."""
        self._slots.pop(shell, None)
        if self._slots or self._task is None:
            return
        task, self._task = self._task, None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def wake(self) -> None:
        """There is something to parse."""
        self._work.set()

    async def _run(self) -> None:
        while True:
            self._work.clear()
            self._parse()
            delay = self._paint()
            await give_way()
            if delay is None:
                await self._work.wait()
            elif delay > 0:
                await self._wait_for_work(delay)

    async def _wait_for_work(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._work.wait()
        except TimeoutError:
            pass

    def _parse(self) -> None:
        """Until the budget is used: answers before floods, then who has waited longest."""
        deadline = perf_counter() + BUDGET_S
        ready = sorted(
            self._ready(), key=lambda slot: (slot.shell.waiting > CHUNK_BYTES, slot.served_at)
        )
        while ready:
            for slot in tuple(ready):
                slot.parse()
                if not slot.shell.waiting or slot.throttled():
                    ready.remove(slot)
                if perf_counter() >= deadline:
                    return

    def _ready(self) -> list[_ShellSlot]:
        now = perf_counter()
        return [slot for slot in self._slots.values() if slot.ready(now)]

    def _paint(self) -> float | None:
        """Paint what is due; seconds until there is something to do again, None for never."""
        now = perf_counter()
        delays: list[float] = []
        for slot in tuple(self._slots.values()):
            due = slot.due_at()
            if slot.dirty and now >= due and not slot.frame_incomplete(now):
                slot.paint()
            if slot.shell.waiting and not slot.throttled():
                delays.append(0.0)
            elif slot.dirty or slot.shell.waiting:
                delays.append(max(slot.due_at() - now, 0.001))
        return min(delays, default=None)
