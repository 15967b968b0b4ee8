"""Attempts, their steps, and events worth remembering."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from services.models.rows import SandboxId


class Verb(Enum):
    """The two things an operator can ask for; wake is contained in reconnect."""

    WAKE = "wake"
    RECONNECT = "reconnect"


class StepState(Enum):
    """Progress of one step of an attempt."""

    PENDING = "pending"
    RUNNING = "running"
    OK = "ok"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Step:
    """One visible step: check, select, start, wait, sandbox, forward, credential or connect.

    What the operator confirmed has steps of its own names.
    """

    name: str
    state: StepState
    started_at: float | None = None
    ended_at: float | None = None
    limit_s: float | None = None
    detail: str = ""
    critical: bool = False
    """Never interrupted: cancel is honoured after it ends (upstream/repair: Attempt machine)."""
    transient: bool = False  # Failed, and may pass by itself: verified, then connected again.


class AttemptState(Enum):
    """States of the attempt machine (upstream/repair: Attempt machine)."""

    IDLE = "idle"
    PROBE = "probe"
    CONNECT = "prime"
    WAKE = "wake"
    VERIFY = "verify"
    DRAIN = "drain"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether the attempt is over."""
        return self.value in ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One wake or reconnect of one frozen target, as it stands."""

    id: str
    sandbox: SandboxId
    verb: Verb
    state: AttemptState
    started_at: float
    steps: tuple[Step, ...] = ()
    ended_at: float | None = None
    original: str = ""
    """The first error: the headline. Written once."""
    last: str = ""  # the last error, only where it differs from the first
    wakes: int = 0
    connects: int = 0
    cancelling: bool = False
    summary: str = ""
    """How it ended, in a sentence: what was wrong, what was done."""
    advice: str = ""  # what to do next
    confirmable: str = ""
    act: str = ""
    """What the operator confirmed beforehand, as it is called; empty where nothing had to be."""


class Severity(Enum):
    """How an event reads in a timeline."""

    INFO = "info"
    BETTER = "better"
    WORSE = "worse"
    ACTION = "action"


@dataclass(frozen=True, slots=True)
class Event:
    """A transition or an operator action worth remembering."""

    at: float
    severity: Severity
    source: str
    subject: str
    """The native id of the sandbox or gateway; empty for the source itself."""
    kind: str  # sandbox, gateway, source, attempt, shell or panel
    text: str
    before: str = ""
    after: str = ""
