"""Gathers what there is to see of the embedded world: processes, probes, queue files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from services.clock import Clock
from services.models import SandboxId
from services.process.identity import Liveness
from services.queues.facts import AgentFacts, Survey
from services.queues.file_marks import SETTLED_S, changed_at, file_mark
from services.queues.kept import KeptFiles
from services.queues.reader import HEARTBEAT, QueueReader, SurveyRequest
from services.queues.session import INBOUND, OUTBOUND
from services.sources.local import crashes, process_records, starts
from services.sources.local.gateway_probe import GatewayEvidence, probe_gateway
from services.sources.local.judge import AgentEvidence, ProcessFacts
from services.sources.local.layout import ProcessRecord, World

LONGEST_REST_S = 5.0
"""Files that look unchanged are read again after this long: messages become due by themselves."""

_Stats: TypeAlias = tuple[int | None, ...]


def process(world: World, role: str) -> ProcessFacts:
    """A role's process; pid None where no record says who plays it."""
    return role_process(world, world.read_record, role)[1]


def role_process(
    world: World, read: Callable[[str], ProcessRecord | None], role: str
) -> tuple[ProcessRecord | None, ProcessFacts]:
    """A role's own record and its process: of what left no record yet, who was started."""
    record = read(role)
    facts = process_of(record)
    if record is not None and not facts.liveness.over:
        return record, facts
    noted = starts.read(world, role)
    if noted is None:
        # Its note went just now, because its record came: that one was read before.
        record = read(role)
        return record, process_of(record)
    begun = process_of(noted, starting=True)
    newer = record is None or process_records.started_at(record) < (begun.started_at or 0.0)
    return record, begun if newer or not begun.liveness.over else facts


def process_of(record: ProcessRecord | None, *, starting: bool = False) -> ProcessFacts:
    """The process of a record that was just read."""
    if record is None:
        return ProcessFacts(None, Liveness.DEAD)
    started = process_records.started_at(record)
    return ProcessFacts(record.pid, process_records.alive(record), started, starting)


def heartbeat(world: World, name: str) -> float | None:
    """When an agent last moved its heartbeat; None where there is none."""
    try:
        return os.stat(f"{world.sandbox(name)}/{HEARTBEAT}").st_mtime  # noqa: PTH116  each look
    except OSError:
        return None


async def gateway(
    world: World, facts: ProcessFacts, record: ProcessRecord | None = None
) -> GatewayEvidence | None:
    """What its probes say; None where it has no socket yet or its process cannot answer.

    `record` where it was just read.
    """
    record = record or world.read_record("gateway")
    if record is None or not record.socket or facts.liveness is not Liveness.RUNNING:
        return None
    return await probe_gateway(world, record)


@dataclass(frozen=True, slots=True)
class AgentRequest:
    """One sandbox to be looked at, and its process as this look found it."""

    sandbox: SandboxId
    facts: ProcessFacts


async def agents(
    world: World, summaries: QueueSummaries, wanted: Sequence[AgentRequest]
) -> list[tuple[AgentEvidence, Survey]]:
    """Everything known of sandboxes, and what their queue files say, from one visit to them."""
    folders = [world.sandbox(one.sandbox.native_id) for one in wanted]
    alive = [not one.facts.liveness.over for one in wanted]
    surveys = await summaries.surveys(list(zip(folders, alive, strict=True)))
    return [
        (_evidence(world, folder, one, summaries.heartbeats, survey.facts), survey)
        for one, folder, survey in zip(wanted, folders, surveys, strict=True)
    ]


def _evidence(
    world: World, folder: Path, one: AgentRequest, heartbeats: Heartbeats, files: AgentFacts
) -> AgentEvidence:
    name, facts = one.sandbox.native_id, one.facts
    # Dead or alive: what failed before the last good start is over.
    failed = [
        crash
        for crash in crashes.read_crashes(folder)
        if facts.started_at is None or crash.at > facts.started_at
    ]
    return AgentEvidence(
        process=facts,
        heartbeat_at=heartbeats.latest(name, heartbeat(world, name)),
        tool=files.tool,
        claims=len(files.claims),
        due=files.due,
        crashes=len(failed),
        last_crash=failed[-1].why if failed else "",
        gave_up=(folder / crashes.GAVE_UP).exists(),
        folder=(folder / INBOUND).exists(),
    )


class Heartbeats:
    """When agents gave their last sign of life, also where the wall clock is set between looks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[float, float, float]] = {}
        """By agent: the file's instant; the sign's and the look's, by the steady clock."""

    def latest(self, name: str, touched_at: float | None) -> float | None:
        """The sign's instant by the clock as it is set now (epoch); the file has `touched_at`."""
        if touched_at is None:
            return None
        now, steady = self._clock.now(), self._clock.monotonic()
        age = max(0.0, now - touched_at)
        last = self._seen.get(name)
        if last is None:
            sign = steady - age
        elif last[0] == touched_at:
            sign = last[1]
        else:
            sign = max(last[2], steady - age)
        self._seen[name] = (touched_at, sign, steady)
        return now - (steady - sign)


@dataclass(frozen=True, slots=True)
class _CachedSurvey:
    stats: _Stats
    alive: bool
    read_at: float
    survey: Survey


class QueueSummaries:
    """What was read of sandbox folders, kept from look to look."""

    def __init__(self, clock: Clock, kept: KeptFiles) -> None:
        self.heartbeats = Heartbeats(clock)
        self._clock = clock
        # Whoever takes rows away changes the file: one that looks unchanged need not be read.
        self._reader = QueueReader(clock, follow=True, kept=kept)
        self._seen: dict[Path, _CachedSurvey] = {}

    async def surveys(self, wanted: Sequence[tuple[Path, bool]]) -> list[Survey]:
        """Facts and counts of (folder, whether its agent lives) as they are now.

        Never raises for a sick file. What changed is read in one hop to a thread; what one moment
        was too short for, side by side.
        """
        found: dict[Path, Survey] = {}
        changed: list[tuple[SurveyRequest, _Stats, float]] = []
        for folder, alive in wanted:
            stats, started = _stats(folder), self._clock.monotonic()
            last = self._seen.get(folder)
            rested = last is not None and started - last.read_at < LONGEST_REST_S
            if last is not None and rested and (stats, alive) == (last.stats, last.alive):
                found[folder] = last.survey
            else:
                changed.append((SurveyRequest(folder, alive, whole=not rested), stats, started))
        at_once = await self._reader.surveys([one for one, _, _ in changed]) if changed else []
        left = changed[len(at_once) :]
        more = await asyncio.gather(*(self._reader.surveys([one]) for one, _, _ in left))
        read = (*at_once, *(survey for (survey,) in more))
        for (one, stats, started), survey in zip(changed, read, strict=True):
            folder = Path(one.folder)
            found[folder] = survey
            if not survey.facts.problem and _settled(stats, self._clock.now()):
                self._seen[folder] = _CachedSurvey(stats, bool(one.alive), started, survey)
            else:
                self._seen.pop(folder, None)
        return [found[folder] for folder, _ in wanted]


class WorldRecords:
    """The records and the sandboxes of a world, read where their files changed."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._world = world
        self._clock = clock
        self._records: dict[str, tuple[int, ProcessRecord | None]] = {}
        self._names: tuple[int, tuple[str, ...]] | None = None

    def read(self, role: str) -> ProcessRecord | None:
        """The record of a role; None where it is missing or not a whole record."""
        mark = self._mark(self._world.record(role))
        last = self._records.get(role)
        if last is not None and mark == last[0]:
            return last[1]
        record = self._world.read_record(role)
        if mark is None:
            self._records.pop(role, None)
        else:
            self._records[role] = mark, record
        return record

    def names(self) -> tuple[str, ...]:
        """The sandboxes that exist on disk, sorted."""
        mark = self._mark(self._world.sandboxes)
        if self._names is not None and mark == self._names[0]:
            return self._names[1]
        names = self._world.names()
        self._names = None if mark is None else (mark, names)
        return names

    def _mark(self, path: Path) -> int | None:
        """How it looks from outside; None where a later change might not show in that."""
        try:
            mark = file_mark(str(path))
        except OSError:
            return None
        return mark if self._clock.now() - changed_at(mark) > SETTLED_S else None


def _stats(folder: Path) -> _Stats:
    found: list[int | None] = []
    for name in (INBOUND, OUTBOUND):
        try:
            found.append(file_mark(f"{folder}/{name}"))
        except OSError:
            found.append(None)
    return tuple(found)


def _settled(stats: _Stats, now: float) -> bool:
    """Whether a later change is sure to show in the modification times."""
    return all(stat is not None and now - changed_at(stat) > SETTLED_S for stat in stats)
