"""Gathers what there is to see of the embedded world: processes, probes, queue files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from services.clock import Clock
from services.models import SandboxId
from services.process.identity import Liveness
from services.queues.facts import Survey
from services.queues.file_marks import SETTLED_S
from services.queues.reader import HEARTBEAT, QueueReader
from services.queues.session import INBOUND, OUTBOUND
from services.sources.local import crashes, process_records
from services.sources.local.gateway_probe import GatewayEvidence, probe_gateway
from services.sources.local.judge import AgentEvidence, ProcessFacts
from services.sources.local.layout import World

LONGEST_REST_S = 5.0
"""Files that look unchanged are read again after this long: messages become due by themselves."""

_Stats: TypeAlias = tuple[tuple[int, int, int] | None, ...]


def process(world: World, role: str) -> ProcessFacts:
    """A role's process; pid None where no record says who plays it."""
    record = world.read_record(role)
    if record is None:
        return ProcessFacts(None, Liveness.DEAD)
    started = process_records.started_at(record)
    return ProcessFacts(record.pid, process_records.alive(record), started)


def heartbeat(world: World, name: str) -> float | None:
    """When an agent last moved its heartbeat; None where there is none."""
    try:
        return (world.sandbox(name) / HEARTBEAT).stat().st_mtime
    except OSError:
        return None


async def gateway(world: World, facts: ProcessFacts) -> GatewayEvidence | None:
    """What its probes say; None where it has no socket yet or its process cannot answer."""
    record = world.read_record("gateway")
    if record is None or not record.socket or facts.liveness is not Liveness.RUNNING:
        return None
    return await probe_gateway(world)


async def agent(
    world: World, summaries: QueueSummaries, sandbox: SandboxId
) -> tuple[AgentEvidence, Survey]:
    """Everything known of one sandbox, and what its queue files say, from one visit to them."""
    folder = world.sandbox(sandbox.native_id)
    facts = process(world, f"agent-{sandbox.native_id}")
    # Dead or alive: what failed before the last good start is over.
    failed = [
        crash
        for crash in crashes.read_crashes(folder)
        if facts.started_at is None or crash.at > facts.started_at
    ]
    survey = await summaries.survey(folder, alive=not facts.liveness.over)
    files = survey.facts
    seen = AgentEvidence(
        process=facts,
        heartbeat_at=summaries.heartbeats.latest(
            sandbox.native_id, heartbeat(world, sandbox.native_id)
        ),
        tool=files.tool,
        claims=len(files.claims),
        due=files.due,
        crashes=len(failed),
        last_crash=failed[-1].why if failed else "",
        gave_up=(folder / crashes.GAVE_UP).exists(),
        folder=(folder / INBOUND).exists(),
    )
    return seen, survey


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

    def __init__(self, clock: Clock) -> None:
        self.heartbeats = Heartbeats(clock)
        self._clock = clock
        self._reader = QueueReader(clock)
        self._seen: dict[Path, _CachedSurvey] = {}

    async def survey(self, folder: Path, *, alive: bool) -> Survey:
        """Facts and counts as they are now; never raises for a sick file."""
        stats, started = _stats(folder), self._clock.monotonic()
        last = self._seen.get(folder)
        if (
            last is not None
            and (stats, alive) == (last.stats, last.alive)
            and started - last.read_at < LONGEST_REST_S
        ):
            return last.survey
        survey = await self._reader.survey(folder, alive=alive)
        if not survey.facts.problem and _settled(stats, self._clock.now()):
            self._seen[folder] = _CachedSurvey(stats, alive, started, survey)
        else:
            self._seen.pop(folder, None)
        return survey


def _stats(folder: Path) -> _Stats:
    found: list[tuple[int, int, int] | None] = []
    for name in (INBOUND, OUTBOUND):
        try:
            stat = (folder / name).stat()
        except OSError:
            found.append(None)
        else:
            found.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(found)


def _settled(stats: _Stats, now: float) -> bool:
    """Whether a later change is sure to show in the modification times."""
    return all(stat is not None and now - stat[0] / 1e9 > SETTLED_S for stat in stats)
