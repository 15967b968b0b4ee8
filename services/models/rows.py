"""Sources, gateways and sandboxes, as last seen."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from operator import attrgetter
from typing import Generic, Literal, NamedTuple, TypeAlias, TypeVar

from services.models.events import Event

Facts: TypeAlias = tuple[tuple[str, str], ...]
"""Ordered (name, value) pairs: the evidence behind a state, ready to show."""
BY_HAND = "by hand"
"""The name of a fact that holds a command for the operator's own terminal: text to copy."""

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
    """By design, and something positive says so."""
    DOWN = "down"
    """Ended though it is wanted."""
    SETTLING = "settling"
    READY = "ready"
    STUCK = "stuck"
    BROKEN = "broken"
    CUT_OFF = "cut off"
    """Shown only, by the board: what it needs does not serve. No source says this."""


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
    """`local`, `nanoclaw`, `openclaw`, `openshell`, `vellum`, `pods`, `terminal`."""
    label: str
    address: str
    """Where it lives: a path or a URL without credentials."""
    capabilities: frozenset[Capability] = frozenset()
    unavailable: tuple[tuple[Capability, str], ...] = ()
    """What it cannot do, each with the reason to show."""


# Keys of every index: a tuple is hashed and compared without a call into Python. The last field
# keeps a sandbox and a gateway of one name apart.
class SandboxId(NamedTuple):
    """The name of one sandbox everywhere: a row number never names anything."""

    source: str
    native_id: str
    kind: Literal["sandbox"] = "sandbox"

    def __str__(self) -> str:
        return f"{self.source}/{self.native_id}"


class GatewayId(NamedTuple):
    """The name of one gateway everywhere."""

    source: str
    native_id: str
    kind: Literal["gateway"] = "gateway"

    def __str__(self) -> str:
        return f"{self.source}/{self.native_id}"


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
    since: float | None = None
    """When it entered its state, where that is known."""
    until: float | None = None
    """When what is said of it lapses by the clock alone, and has to be judged anew."""
    missing_since: float | None = None
    """Since when it is not in its source's last list; one more list without it removes it."""


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
    needs: tuple[GatewayId, ...] = ()
    """Its way in: what it cannot be reached without, and nothing else."""
    own_state: SandboxState | None = None
    """What its source says of it, where the board shows another state; None: `state`."""
    since: float | None = None
    """When it entered its state, where that is known."""
    until: float | None = None
    """When what is said of it lapses by the clock alone, and has to be judged anew."""
    told_at: float | None = None
    """When it came to its own state by the system's own word; of one row always by one clock."""
    needs_me: str = ""
    """What in it waits for a person, in a short sentence; empty: nothing."""
    missing_since: float | None = None
    """Since when it is not in its source's last list; one more list without it removes it."""
    aliases: tuple[str, ...] = ()
    """Other names by which it is found: of what belongs to it, such as its pod."""
    stock: bool = False
    """Kept in a pool for whoever comes: nobody's yet, counted and shown apart."""
    cost_usd: float | None = None
    """What it has cost so far, as its provider reports it; None: it is not reported."""


_FIELDS = tuple(one.name for one in fields(Sandbox))
_VALUES = attrgetter(*_FIELDS)
_PUT = tuple(Sandbox.__dict__[name].__set__ for name in _FIELDS)
_PUT_OBSERVED_AT = _PUT[_FIELDS.index("observed_at")]
_PUT_SINCE = _PUT[_FIELDS.index("since")]
_PUT_STALE = _PUT[_FIELDS.index("stale")]


def seen_again(row: Sandbox, at: float) -> Sandbox:
    """The same as confirmed at another instant."""
    copy = _copy(row)
    _PUT_OBSERVED_AT(copy, at)
    return copy


def in_state_since(row: Sandbox, since: float | None) -> Sandbox:
    """The same with another instant at which it entered its state."""
    copy = _copy(row)
    _PUT_SINCE(copy, since)
    return copy


def as_stale(row: Sandbox) -> Sandbox:
    """The same, as no longer current."""
    copy = _copy(row)
    _PUT_STALE(copy, True)
    return copy


# `dataclasses.replace` takes three times as long, for ten thousand rows at each look.
def _copy(row: Sandbox) -> Sandbox:
    copy = object.__new__(Sandbox)
    for put, value in zip(_PUT, _VALUES(row), strict=True):
        put(copy, value)
    return copy


@dataclass(frozen=True, slots=True)
class Staleness:
    """Of what nothing current is known: whole sources, and ways in. A fact of theirs, not of rows.

    What is shown of a sandbox is stale where its row says so, or where one of these holds it.
    """

    sources: frozenset[str] = frozenset()
    ways: frozenset[GatewayId] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.sources or self.ways)

    def holds(self, source: str, needs: tuple[GatewayId, ...]) -> bool:
        """Whether the sandboxes of a source that need these ways in are stale."""
        return source in self.sources or (bool(needs) and not self.ways.isdisjoint(needs))

    def shown(self, row: Sandbox) -> Sandbox:
        """A sandbox as it is shown."""
        return as_stale(row) if not row.stale and self.holds(row.id.source, row.needs) else row


R = TypeVar("R", Gateway, Sandbox)


# Without slots: a frozen, slotted generic cannot be made by its parametrised name.
@dataclass(frozen=True)
class Known(Generic[R]):
    """A list that was had: all there is, as of an instant. It may be empty."""

    rows: tuple[R, ...]
    at: float


@dataclass(frozen=True)
class Unknown(Generic[R]):
    """A list that could not be had: nothing may be concluded from what is not in it."""

    reason: str
    """Why, in a sentence."""
    last_known: Known[R] | None = None
    coming: bool = False
    """Whether it is being read: what comes next was there all the time."""


@dataclass(frozen=True, slots=True)
class UnknownWord:
    """A word of another system that this panel has no meaning for."""

    source: str
    place: str
    """Where it stood, such as `pod phase`."""
    word: str


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything one probe of a source learned."""

    source: str
    observed_at: float
    gateways: tuple[Gateway, ...] = ()
    sandboxes: tuple[Sandbox, ...] = ()
    unknown: tuple[tuple[GatewayId | None, Unknown[Sandbox]], ...] = ()
    """Lists of sandboxes that could not be had: one gateway's, or the whole source's (None).

    What was behind it stays on the board, stale.
    """
    deleted: frozenset[GatewayId | SandboxId] = frozenset()
    """What the system itself told to be gone: it leaves at once."""
    unknown_words: tuple[UnknownWord, ...] = ()
    events: tuple[Event, ...] = ()
    """What the system tells of its own past; each with the instant it gives."""
    interval_s: float = 0.0
    """The longest from look to look where others look for this source; 0: as it is polled."""
