"""Queue summaries of every sandbox; files that look unchanged are not read again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from services.clock import Clock
from services.queues.facts import Survey
from services.queues.reader import QueueReader
from services.queues.session import INBOUND, OUTBOUND, SETTLED_S

LONGEST_REST_S = 5.0
"""Files that look unchanged are read again after this long: messages become due by themselves."""

_Stats = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class _CachedSurvey:
    stats: _Stats
    alive: bool
    read_at: float
    survey: Survey


class QueueSummaries:
    """Cached surveys by sandbox folder."""

    def __init__(self, clock: Clock) -> None:
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
