"""What is known of one session, what it is judged to be, and words that several judges use."""

from __future__ import annotations

from services.lazy_dataclass import dataclass
from services.models import Activity, SandboxState
from services.queues.facts import AgentFacts
from services.sources.nanoclaw.central_db import SessionRow
from services.sources.nanoclaw.containers import AgentContainer
from services.sources.nanoclaw.generation import UNKNOWN_GENERATION, InstallGeneration
from services.sources.nanoclaw.host_log import StartFailure
from services.text.format import plural

_EVERY_TIME = 3
_LOST_S = 86_400.0


@dataclass(frozen=True, slots=True)
class SessionEvidence:
    """Everything known of one session; instants are seconds since the epoch."""

    row: SessionRow | None
    """None: the central DB has no such session."""
    files: AgentFacts
    """What its files say, heartbeat included."""
    folder: bool = True
    container: AgentContainer | None = None
    runtime: bool = True
    """Whether the container runtime said what runs."""
    host_up: bool | None = True
    """None: not known."""
    host_started_at: float | None = None
    central: bool = True
    """Whether the central DB or the host said which sessions there are."""
    configured: bool = True
    """Its group has a container config, without which nothing starts."""
    trouble: StartFailure | None = None
    context: int = 0
    """Messages that are context only."""
    human: str = ""
    """What of it waits for a human, in words."""
    held: bool = False
    """Its row and the list of containers disagree, and not yet in two looks."""
    generation: InstallGeneration = UNKNOWN_GENERATION
    tracked_at: float | None = None
    """Since when a host says it runs it."""
    doubled: bool = False
    """More than one agent container serves it."""
    watched_at: float | None = None
    """Since when its container has been seen here."""
    mailbox: str = ""
    """The kind of mailbox its messages are in, where this panel cannot read that kind."""
    paused: str = ""
    """Why its task is paused, in words; empty where it is not."""


@dataclass(frozen=True, slots=True)
class SessionJudgement:
    """What one session is seen to be."""

    state: SandboxState
    reason: str
    activity: Activity = Activity.NONE
    tool: str = ""
    by_design: bool = False
    """Asleep with nothing to do."""
    failing: bool = False
    """The host tries to start it and cannot."""
    starts_at: float | None = None
    """Asleep until then, when its next message is due."""
    steady: bool = False
    """Says the same until something changes: nothing in it depends on the clock."""
    until: float | None = None
    """When it lapses by the clock alone."""


def start_fails(seen: SessionEvidence, trouble: StartFailure, note: str) -> SessionJudgement:
    """Said at the first failure, and the same while the host tries again."""
    tries = trouble.since(seen.files.heartbeat_at)
    often = "Start fails every time" if tries >= _EVERY_TIME else "Start failed"
    waits = plural(seen.files.waiting, "message") + " due"
    return SessionJudgement(
        SandboxState.BROKEN,
        mention_human(seen, f"{often}: {trouble.why.rstrip('.')}. {waits}. {note}"),
        failing=True,
    )


def lost(files: AgentFacts, now: float) -> int:
    """Deliveries given up within a day."""
    return sum(1 for at in files.failed_at if now - at < _LOST_S)


def mention_human(seen: SessionEvidence, reason: str) -> str:
    return f"{seen.human} {reason}".strip() if seen.human else reason.strip()
