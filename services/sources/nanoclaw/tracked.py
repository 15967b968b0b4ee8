"""A session between two polls, and what one poll knows before it reads any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from operator import attrgetter

from services.lazy_dataclass import dataclass
from services.models import Sandbox
from services.queues.facts import AgentFacts, Survey
from services.sources.nanoclaw.central_client import CentralReading
from services.sources.nanoclaw.central_db import PendingRequest, SessionRow
from services.sources.nanoclaw.containers import Listing, SessionKey
from services.sources.nanoclaw.evidence import SessionJudgement
from services.sources.nanoclaw.folders import Stamp
from services.sources.nanoclaw.generation import UNKNOWN_GENERATION, InstallGeneration
from services.sources.nanoclaw.host_judge import HostEvidence
from services.sources.nanoclaw.host_log import StartFailure

_UNREAD = Survey(AgentFacts(0.0, unread=True, problem="not read yet"))


@dataclass(slots=True)
class TrackedSession:
    """One session between polls."""

    session_key: SessionKey
    native: str
    stamp: Stamp | None = None
    """As of the survey; None: read it again."""
    survey: Survey = _UNREAD
    surveyed_at: float = 0.0
    """Monotonic, as `whole_at`."""
    whole_at: float = 0.0
    """When both files were read, changed or not."""
    alive: bool | None = None
    row_is_current: bool = False
    """Its row says nothing about the time, and nothing it was drawn from has changed."""
    judged: SessionJudgement | None = None
    sandbox: Sandbox | None = None
    contradiction: str = ""
    """What of its row and of the list of containers says running, where they disagree."""
    contradicted_at: float = 0.0
    held: bool = False
    """Whether both were not yet looked at again since."""
    container: str = ""
    """Id of its container."""
    watched_at: float = 0.0
    """Since when that one has been seen."""


@dataclass(frozen=True, slots=True)
class PollContext:
    """What a poll knows before it reads any session."""

    host: HostEvidence
    listing: Listing
    seen: CentralReading
    stamps: Mapping[SessionKey, Stamp]
    rows: Mapping[SessionKey, SessionRow]
    troubles: Mapping[str, StartFailure]
    waiting: Mapping[str, tuple[PendingRequest, ...]]
    generation: InstallGeneration = UNKNOWN_GENERATION

    @property
    def host_started_at(self) -> float | None:
        """When the host has started its code, as far as anything tells."""
        breaker = self.host.breaker
        told = None if breaker is None else breaker.at
        return told if told is not None else self.seen.central.host_started_at


def shared_evidence(context: PollContext) -> tuple[object, ...]:
    """What the rows of all sessions are drawn from, beside their own."""
    central = context.seen.central
    return (
        context.listing.problem,
        context.listing.known,
        context.host.up,
        context.host.breaker,
        context.generation,
        context.seen.known,
        central.groups,
        central.chats,
        central.dropped,
        central.configured,
    )


def reconfirmed(drawn: Sandbox, now: float) -> Sandbox:
    """The same row, confirmed now; thousands of them a round, so without `replace`."""
    cells = [*_CELLS(drawn)]
    cells[_OBSERVED] = now
    return Sandbox(*cells)


_NAMES = [one.name for one in fields(Sandbox)]
_CELLS = attrgetter(*_NAMES)
_OBSERVED = _NAMES.index("observed_at")
