"""The words of the attempt machine: its events, its effects and its state."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from services.models import AttemptState, Verb, Verdict


class Effect(Enum):
    """What the runner does after a transition."""

    LOOK = "look"
    """Probe for the next verdict."""
    WAKE = "wake"
    """Take the gateway's turn, then start the one wake, or what was agreed to."""
    PRIME = "prime"
    """Start the link steps."""
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
    WATCH = "watch"
    """Observe until the turn comes."""
    PUBLISH = "publish"
    """The link stands."""
    SHOW = "show"
    """One more probe, for display."""


class Failure(Enum):
    """What a failed link step means."""

    TRANSIENT = "transient"
    REPAIRABLE = "repairable"
    """By a wake of this source."""
    TERMINAL = "terminal"


@dataclass(frozen=True, slots=True)
class Agreed:
    """What the operator agreed to beforehand: it takes the place of the wake."""

    name: str
    rests: bool = False
    """Its own end is the end: nothing is verified, and no verdict forbids it."""


@dataclass(frozen=True, slots=True)
class Pressed:
    """The operator asked."""

    verb: Verb
    agreed: Agreed | None = None
    """For this, by name, instead of a wake."""


@dataclass(frozen=True, slots=True)
class Ticked:
    """A background look happened."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A probe of this attempt came back."""

    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Linked:
    """Every link step is done."""


@dataclass(frozen=True, slots=True)
class LinkFailed:
    """A link step failed."""

    reason: str
    failure: Failure
    verdict: Verdict | None = None
    """What the step itself said of it."""


@dataclass(frozen=True, slots=True)
class Woken:
    """The wake ended well, which proves nothing yet."""

    said: str = ""
    """What an agreed act says was done."""


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
class CancelAsked:
    """The operator wants it to stop."""


@dataclass(frozen=True, slots=True)
class Gone:
    """What was drained has ended; `reason` where it failed."""

    reason: str = ""
    said: str = ""


@dataclass(frozen=True, slots=True)
class Critical:
    """A step that must not be interrupted began or ended."""

    running: bool


@dataclass(frozen=True, slots=True)
class Held:
    """Another repair owns the gateway: nothing was started."""


@dataclass(frozen=True, slots=True)
class TurnCame:
    """The gateway is free, and kept so until the next verdict."""


RepairEvent: TypeAlias = (
    Pressed
    | Ticked
    | Judged
    | Linked
    | LinkFailed
    | Woken
    | WakeFailed
    | Deadline
    | CancelAsked
    | Gone
    | Critical
    | Held
    | TurnCame
)


@dataclass(frozen=True, slots=True)
class Progress:
    """One attempt as the table sees it."""

    verb: Verb = Verb.WAKE
    phase: AttemptState = AttemptState.IDLE
    original: str = ""
    """The first error; written once."""
    last: str = ""
    """The last error, where it differs."""
    seen: str = ""
    """The latest verdict while verifying."""
    wakes: int = 0
    primes: int = 0
    cancelling: bool = False
    critical: bool = False
    killed: bool = False
    settling: bool = False
    """Verifying may take the settling limit."""
    waiting: bool = False
    """Another repair owns the gateway."""
    abandoned: bool = False
    """Something of ours was left running."""
    agreed: Agreed | None = None
    said: str = ""
    """What the agreed act says was done."""
    advice: str = ""
    confirmable: str = ""
    told: bool = False
    """Advice and confirmable come from a link step: a later probe cannot know better."""
