"""Events, effects and state of the attempt machine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from services.models import AttemptState, Verb
from services.sources.protocol.verdict import Verdict


class Effect(Enum):
    """What the runner does after a transition."""

    PROBE = "look"
    """Probe for the next verdict."""
    WAKE = "wake"
    """Acquire the gateway's lock, then start the one wake, or what was confirmed."""
    CONNECT = "prime"
    """Start the connect steps."""
    STOP = "stop"
    """End what runs: the wake's child gets its signal, a partial link is undone."""
    LET_FINISH = "let finish"
    """Let the critical step end, then end what runs."""
    KILL = "kill"
    """The wake's child did not end in its grace."""
    ABANDON = "abandon"
    """Stop waiting for what does not end; a critical step is left alone."""
    EXTEND = "extend"
    """Verifying may take the settling limit."""
    AWAIT_LOCK = "watch"
    """Probe until the lock is free."""
    PUBLISH = "publish"
    """The link stands."""
    FINAL_PROBE = "show"
    """One more probe, for display."""


class FailureKind(Enum):
    """What a failed connect step means."""

    TRANSIENT = "transient"
    REPAIRABLE = "repairable"
    """By a wake of this source."""
    TERMINAL = "terminal"


@dataclass(frozen=True, slots=True)
class Confirmed:
    """An action the operator confirmed beforehand; it replaces the wake."""

    name: str
    skips_verify: bool = False
    """Its own end is the end: nothing is verified, and no verdict forbids it."""


@dataclass(frozen=True, slots=True)
class Requested:
    """The operator requested a wake or a reconnect."""

    verb: Verb
    confirmed: Confirmed | None = None
    """For this, by name, instead of a wake."""


@dataclass(frozen=True, slots=True)
class PollTicked:
    """A background poll ran."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """A probe of this attempt came back."""

    verdict: Verdict


@dataclass(frozen=True, slots=True)
class ConnectOk:
    """Every connect step succeeded."""


@dataclass(frozen=True, slots=True)
class ConnectFailed:
    """A connect step failed."""

    reason: str
    failure: FailureKind
    verdict: Verdict | None = None
    """What the step itself said of it."""


@dataclass(frozen=True, slots=True)
class WakeOk:
    """The wake ended well, which proves nothing yet."""

    done_text: str = ""
    """What a confirmed action says was done."""


@dataclass(frozen=True, slots=True)
class WakeFailed:
    """The wake could not run, or failed."""

    reason: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Deadline:
    """The state's limit is up."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """The operator requested cancellation."""


@dataclass(frozen=True, slots=True)
class Drained:
    """What was drained has ended; `reason` where it failed."""

    reason: str = ""
    done_text: str = ""


@dataclass(frozen=True, slots=True)
class Critical:
    """A step that must not be interrupted began or ended."""

    running: bool


@dataclass(frozen=True, slots=True)
class LockBusy:
    """Another repair holds the lock of the gateway: nothing was started."""


@dataclass(frozen=True, slots=True)
class LockAcquired:
    """The lock of the gateway was acquired; it is kept until the next verdict."""


RepairEvent: TypeAlias = (
    Requested
    | PollTicked
    | ProbeResult
    | ConnectOk
    | ConnectFailed
    | WakeOk
    | WakeFailed
    | Deadline
    | CancelRequested
    | Drained
    | Critical
    | LockBusy
    | LockAcquired
)


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of one attempt in the transition table."""

    verb: Verb = Verb.WAKE
    phase: AttemptState = AttemptState.IDLE
    original: str = ""
    """The first error; written once."""
    last: str = ""
    """The last error, where it differs."""
    seen: str = ""
    """The latest verdict while verifying."""
    wakes: int = 0
    connects: int = 0
    cancelling: bool = False
    critical: bool = False
    killed: bool = False
    settling: bool = False
    """Verifying may take the settling limit."""
    waiting: bool = False
    """Another repair owns the gateway."""
    abandoned: bool = False
    """Something of ours was left running."""
    confirmed: Confirmed | None = None
    done_text: str = ""
    """What the confirmed action says was done."""
    advice: str = ""
    confirmable: str = ""
    advice_from_step: bool = False
    """Advice and confirmable come from a connect step: a later probe cannot know better."""
