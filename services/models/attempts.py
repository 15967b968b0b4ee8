"""Attempts and their steps."""

from __future__ import annotations

from enum import Enum

from services.lazy_dataclass import dataclass
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
    best_effort: bool = False
    """Its failure does not fail the attempt; the conclusion says it."""
    outcome: str = ""
    """What it did or could not do, as a clause of the conclusion; empty for nothing to add."""


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
class Confirmed:
    """An action the operator confirmed beforehand; it replaces the wake."""

    name: str
    skips_verify: bool = False
    """Its own end is the end: nothing is verified, and no verdict forbids it."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One wake or reconnect of one frozen target: what the machine transforms and panes show.

    What is told of it has `ended_at` set with its last state, `summary` and `advice`; until then
    an attempt that only lets go is told in the state before.
    """

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
    seen: str = ""
    """The latest verdict while verifying."""
    wakes: int = 0
    connects: int = 0
    cancelling: bool = False
    critical: bool = False
    """A step runs that must not be interrupted."""
    overdue: bool = False
    """What was asked to end has not in its grace."""
    settling: bool = False
    """Verifying may take the settling limit: the latest probe found no fault."""
    waiting: bool = False
    """Another repair owns the gateway."""
    abandoned: bool = False
    """Something of ours was left running."""
    confirmed: Confirmed | None = None
    done_text: str = ""
    """What the confirmed action says was done."""
    summary: str = ""
    """How it ended, in a sentence: what was wrong, what was done."""
    advice: str = ""  # what to do next
    confirmable: str = ""
    name: str = ""
    """What the operator saw its sandbox called when it was asked for; empty: its id."""
    advice_from_step: bool = False
    """Advice and confirmable come from a connect step: a later probe cannot know better."""

    @property
    def act(self) -> str:
        """What the operator confirmed beforehand, as it is called; empty for nothing."""
        return "" if self.confirmed is None else self.confirmed.name
