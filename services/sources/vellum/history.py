"""What looks of one panel remember of an assistant: early deaths, refusals, who answers.

See upstream/vellum: Waiting.
"""

from __future__ import annotations

from collections import deque
from dataclasses import field, replace

from services.clock import Clock
from services.lazy_dataclass import dataclass
from services.process.identity import ProcessId
from services.sources.vellum.evidence import AssistantEvidence
from services.sources.vellum.http_probe import HttpOutcome
from services.sources.vellum.limits import (
    CRASHES,
    CRASHES_WITHIN_S,
    EARLY_S,
    REFUSALS,
    REFUSED_S,
    WATCH_S,
)
from services.sources.vellum.pid_files import PidFile

_Start = tuple[int | None, float | None]
"""One start of a gateway: its pid and when that was recorded."""


@dataclass(slots=True)
class _Memory:
    ended: set[_Start] = field(default_factory=set)
    early: deque[float] = field(default_factory=lambda: deque(maxlen=50))
    """When early deaths were noticed, by the monotonic clock."""
    before: _Start | None = None
    """What was recorded before the wake that is verified now."""
    woken: bool = False
    refused: int = 0
    refused_at: float = 0.0
    key_refusal: str = ""
    key_files: tuple[float | None, ...] = ()
    answering: ProcessId | None = None
    answering_at: float | None = None


class StartHistory:
    """The memory of every assistant of one source."""

    def __init__(self, clock: Clock, watch_s: float | None = None) -> None:
        self._clock = clock
        self._watch_s = watch_s
        self._known: dict[str, _Memory] = {}

    def woken(self, assistant: str, before: PidFile) -> None:
        """A wake of ours began; `before` is the gateway's pid file then."""
        memory = self._known.setdefault(assistant, _Memory())
        memory.before, memory.woken = (before.pid, before.written_at), True
        memory.refused, memory.answering, memory.answering_at = 0, None, None

    def lacks_key(self, assistant: str, said: str, key_files: tuple[float | None, ...]) -> None:
        """A wake was refused over the signing key, whose files were written then."""
        memory = self._known.setdefault(assistant, _Memory())
        memory.key_refusal, memory.key_files = said, key_files

    def key_refusal(self, assistant: str, key_files: tuple[float | None, ...]) -> str:
        """What was said of the key, where its files are still those of then."""
        memory = self._known.get(assistant)
        if memory is None or memory.key_files != key_files:
            return ""
        return memory.key_refusal

    def early_deaths(self, assistant: str) -> int:
        """How many starts of the last while ended soon."""
        memory = self._known.get(assistant)
        return 0 if memory is None else len(memory.early)

    def note(self, assistant: str, seen: AssistantEvidence) -> AssistantEvidence:
        """Take in one look; what it means together with those before."""
        memory = self._known.setdefault(assistant, _Memory())
        now = self._clock.monotonic()
        self._note_death(memory, seen, now)
        if _answers(seen):
            memory.key_refusal = ""
        return replace(
            seen,
            key_refusal=seen.key_refusal and memory.key_refusal,
            early_deaths=len(memory.early),
            over=self._nothing_left(memory, seen, now),
            watched_s=self._watched(memory, seen, now),
        )

    def _note_death(self, memory: _Memory, seen: AssistantEvidence, now: float) -> None:
        gateway = seen.gateway
        while memory.early and now - memory.early[0] > CRASHES_WITHIN_S:
            memory.early.popleft()
        if gateway.process is not None and gateway.process.age_s() > EARLY_S and _answers(seen):
            memory.early.clear()
        start = (gateway.pid, gateway.written_at)
        if gateway.state.over and gateway.written_at is not None and start not in memory.ended:
            memory.ended = {start}
            if seen.now - gateway.written_at <= EARLY_S:
                memory.early.append(now)

    def _nothing_left(self, memory: _Memory, seen: AssistantEvidence, now: float) -> bool:
        """Whether what a wake started has ended, so that there is nothing to wait for."""
        refused = seen.health is not None and seen.health.answer is HttpOutcome.REFUSED
        if not refused or seen.gateway.alive or seen.starter is not None:
            memory.refused = 0
            return False
        if not memory.refused:
            memory.refused_at = now
        memory.refused += 1
        if not memory.woken:
            return False
        start = (seen.gateway.pid, seen.gateway.written_at)
        if seen.gateway.state.over and start != memory.before:
            return True
        return memory.refused >= REFUSALS and now - memory.refused_at >= REFUSED_S

    def _watched(self, memory: _Memory, seen: AssistantEvidence, now: float) -> float | None:
        """Seconds of answers by one process since a wake; None where that is enough or not so."""
        if not memory.woken:
            return None
        if not _answers(seen):
            memory.answering_at = None
            return None
        process = seen.listener.process
        if memory.answering_at is None or process != memory.answering:
            memory.answering, memory.answering_at = process, now
        watched = now - memory.answering_at
        if watched < (WATCH_S if self._watch_s is None else self._watch_s):
            return watched
        memory.woken = False
        return None


def crash_looping(seen: AssistantEvidence) -> bool:
    """Whether each of the last starts ended soon."""
    return seen.early_deaths >= CRASHES and not seen.gateway.alive


def _answers(seen: AssistantEvidence) -> bool:
    ready = seen.ready
    return ready is not None and ready.answer is HttpOutcome.ANSWERED and ready.status == 200
