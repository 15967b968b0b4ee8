"""The vocabulary: frozen, slotted records and enums; no behaviour beyond derivation.

Instants are seconds since the Unix epoch (UTC, float), durations seconds. Words of another system
have passed `services.text.sanitize.plain`: a view may show them as they are, without markup.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

Facts: TypeAlias = tuple[tuple[str, str], ...]
"""Ordered (name, value) pairs: the evidence behind a state, ready to show."""

Counts: TypeAlias = tuple[tuple[str, int], ...]
"""Ordered (label, count) pairs; labels with no rows are left out."""


class Capability(Enum):
    """Something a source may be able to do for one of its sandboxes."""

    QUEUE = "queue"
    WAKE = "wake"
    RECONNECT = "reconnect"
    SHELL = "shell"
    EXEC = "exec"
    LOGS = "logs"


class GatewayState(Enum):
    """What a gateway is seen to be (upstream/repair: Observed states)."""

    UNKNOWN = "unknown"
    ABSENT = "absent"
    DOWN = "down"
    SETTLING = "settling"
    READY = "ready"
    HUNG = "hung"
    WRONG = "wrong"


class SandboxState(Enum):
    """What a sandbox is seen to be (upstream/repair: Observed states)."""

    UNKNOWN = "unknown"
    ABSENT = "absent"
    ASLEEP = "asleep"
    SETTLING = "settling"
    READY = "ready"
    STUCK = "stuck"
    BROKEN = "broken"


class Activity(Enum):
    """What a serving sandbox is doing; `NONE` where there is nothing to say."""

    NONE = ""
    IDLE = "idle"
    WORKING = "working"


@dataclass(frozen=True, slots=True)
class Source:
    """One configured system."""

    key: str
    """Unique in a profile; the `source` half of every identity."""
    kind: str
    """`local`, `nanoclaw`, `openshell`, `vellum`, `pods`."""
    label: str
    address: str
    """Where it lives: a path or a URL without credentials."""
    capabilities: frozenset[Capability] = frozenset()
    unavailable: tuple[tuple[Capability, str], ...] = ()
    """What it cannot do, each with the reason to show."""


@dataclass(frozen=True, slots=True, order=True)
class _Identity:
    source: str
    native_id: str

    def __str__(self) -> str:
        return f"{self.source}/{self.native_id}"


class SandboxId(_Identity):
    """The name of one sandbox everywhere: a row number never names anything."""

    __slots__ = ()


class GatewayId(_Identity):
    """The name of one gateway everywhere."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Gateway:
    """What fronts sandboxes, as last seen."""

    id: GatewayId
    name: str
    state: GatewayState
    reason: str
    """One sentence; empty when there is nothing to add to the state."""
    observed_at: float
    """When the state was last confirmed; a stale row keeps the instant it was true."""
    address: str = ""
    latency_s: float | None = None
    evidence: Facts = ()
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What an operator opens, as last seen."""

    id: SandboxId
    name: str
    state: SandboxState
    reason: str
    observed_at: float
    gateway: GatewayId | None = None
    activity: Activity = Activity.NONE
    tool: str = ""
    evidence: Facts = ()
    inbound: Counts = ()
    outbound: Counts = ()
    asleep_by_design: bool = False  # nothing to do: no attention needed
    unavailable: tuple[tuple[Capability, str], ...] = ()
    """What this one cannot do although its source can, each with the reason to show."""
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything one probe of a source learned."""

    source: str
    observed_at: float
    gateways: tuple[Gateway, ...] = ()
    sandboxes: tuple[Sandbox, ...] = ()


class Direction(Enum):
    """Which queue file a message lives in."""

    IN = "in"
    OUT = "out"


class InLabel(Enum):
    """What an inbound message is, derived (upstream/nanoclaw: Inbound labels)."""

    FAILED = "failed"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    UNSYNCED = "completed, not yet synced"
    PROCESSING = "processing"
    ORPHAN = "orphan claim"
    NEVER_DUE = "never due"
    BACKOFF = "backoff"
    SCHEDULED = "scheduled"
    WAITING = "waiting response"
    HELD = "held for next start"
    CONTEXT = "context only"
    DUE = "due"


class OutLabel(Enum):
    """What an outbound message is, derived (upstream/nanoclaw: Outbound labels)."""

    FAILED = "failed"
    APPLIED = "applied"
    ROUTED = "routed to agent"
    DELIVERED = "delivered"
    UNCONFIRMED = "unconfirmed"
    DEFERRED = "deferred"
    UNDELIVERED = "undelivered"


@dataclass(frozen=True, slots=True)
class Message:
    """One row of messages_in or messages_out."""

    direction: Direction
    id: str
    seq: int | None
    label: InLabel | OutLabel
    kind: str
    at: float | None
    """The row's timestamp, or None where it cannot be parsed."""
    text: str
    """A bounded, harmless preview of the content."""
    size: int
    """Length of the whole content in characters."""
    channel: str = ""
    reply_to: str | None = None
    tries: int = 0
    due_at: float | None = None  # scheduled, backoff, deferred
    since: float | None = None
    """When it entered its label, where the files say so."""


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """Counts by label and a page of messages, newest last, of one sandbox."""

    sandbox: SandboxId
    observed_at: float
    messages: tuple[Message, ...]
    """Both directions merged: by time, then inbound first, then seq.

    See upstream/nanoclaw: Order of messages.
    """
    inbound: Counts
    outbound: Counts
    problem: str = ""  # why it could not be refreshed: the rows are the last good ones
    stale: bool = False


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
    before_at: float | None = field(default=None, compare=False)
    """When the state before was last seen to hold; not kept."""
    told_at: float | None = field(default=None, compare=False)
    """When it happened in the system's own words, where it gives an instant."""


class ShellState(Enum):
    """States of one terminal session (upstream/terminal: Session states)."""

    RESOLVING = "resolving"
    CONNECTING = "connecting"
    OPEN = "open"
    ENDED = "ended"
    LOST = "lost"
    FAILED = "failed"
    DETACHED = "detached"

    @property
    def over(self) -> bool:
        """Whether the session has reached its one terminal state."""
        return self.value in ("ended", "lost", "failed", "detached")


class Retry(Enum):
    """Whether opening again can help (upstream/terminal: Why a session ends)."""

    AUTO = "auto"
    ASK = "ask"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Shell:
    """One terminal session, as it stands."""

    id: str
    sandbox: SandboxId
    state: ShellState
    started_at: float
    code: int | None = None
    """The exit code, only where a status arrived: never invented."""
    reason: str = ""
    retry: Retry = Retry.ASK
    title: str = ""
    skipping: bool = False
    skipped_bytes: int = 0
    input_blocked: bool = False  # the remote is not reading what was sent
    notice: str = ""
    """One line above the grid, such as whose machine this shell runs on."""


@dataclass(frozen=True, slots=True)
class LogStream:
    """One stream of one sandbox's log; the first a source names is the one shown unasked."""

    name: str
    """What `Observer.logs` and `wakedeck logs --stream` are given."""
    title: str  # harmless


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a log, harmless and without secrets."""

    text: str
    ours: bool = False  # said by the panel about the log, not by the log
