"""Records of the board: source links, deltas, totals, and events of changed rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from services.models import (
    Activity,
    Event,
    Gateway,
    GatewayId,
    GatewayState,
    Sandbox,
    SandboxId,
    SandboxState,
    Severity,
)

RowId: TypeAlias = GatewayId | SandboxId
Identity = TypeVar("Identity", GatewayId, SandboxId)
Row = TypeVar("Row", Gateway, Sandbox)


@dataclass(frozen=True, slots=True)
class SourceLink:
    """How the panel stands with one source."""

    source: str
    connected: bool = False
    last_success_at: float | None = None
    failures: int = 0
    """How many polls failed in a row."""
    retry_at: float | None = None
    reason: str = ""
    """Why it is not connected."""
    latency_s: float | None = None


@dataclass(frozen=True, slots=True)
class BoardDelta:
    """What changed on the board, and nothing else."""

    gateways: tuple[Gateway, ...] = ()
    gateways_removed: tuple[GatewayId, ...] = ()
    sandboxes: tuple[Sandbox, ...] = ()
    sandboxes_removed: tuple[SandboxId, ...] = ()
    link: SourceLink | None = None
    events: tuple[Event, ...] = ()
    touched: tuple[RowId, ...] = ()
    """Rows of which only the age moved."""

    def __bool__(self) -> bool:
        return bool(
            self.gateways
            or self.gateways_removed
            or self.sandboxes
            or self.sandboxes_removed
            or self.link
            or self.events
            or self.touched
        )


def touched_rows(
    delta: BoardDelta, known: Mapping[Identity, Row], kind: type[Identity]
) -> tuple[Row, ...]:
    """The rows of one kind of which only the age moved, as the board now has them."""
    return tuple(known[key] for key in delta.touched if isinstance(key, kind) and key in known)


@dataclass(frozen=True, slots=True)
class Totals:
    """How many of what, for the header and for the exit code of `status`."""

    gateways: tuple[tuple[GatewayState, int], ...] = ()
    sandboxes: tuple[tuple[SandboxState, int], ...] = ()
    """States that occur, in the order of their enum."""
    stale: int = 0
    attention: int = 0
    """Rows that need the operator."""
    lost: int = 0
    """Sources that do not answer."""
    working: int = 0
    """Of the ready sandboxes."""


_GATEWAY_RANK = {
    GatewayState.READY: 0,
    GatewayState.SETTLING: 1,
    GatewayState.UNKNOWN: 2,
    GatewayState.HUNG: 3,
    GatewayState.DOWN: 4,
    GatewayState.WRONG: 5,
    GatewayState.ABSENT: 6,
}
_SANDBOX_RANK = {
    SandboxState.READY: 0,
    SandboxState.SETTLING: 1,
    SandboxState.UNKNOWN: 2,
    SandboxState.ASLEEP: 3,
    SandboxState.STUCK: 4,
    SandboxState.CUT_OFF: 5,
    SandboxState.DOWN: 5,
    SandboxState.BROKEN: 6,
    SandboxState.ABSENT: 7,
}


def rank(row: Gateway | Sandbox) -> int:
    """How bad a row is: 0 serves, or sleeps because there is nothing to do."""
    if isinstance(row, Gateway):
        return _GATEWAY_RANK[row.state]
    if row.state is SandboxState.ASLEEP and row.asleep_by_design:
        return 0
    return _SANDBOX_RANK[row.state]


def needs_attention(row: Gateway | Sandbox) -> bool:
    """Whether the operator should look: not for serving, settling or asleep by design."""
    return row.stale or rank(row) > 1


def is_working(row: Gateway | Sandbox) -> bool:
    """Whether it serves and is busy; gateways never are."""
    return (
        isinstance(row, Sandbox)
        and row.activity is Activity.WORKING
        and row.state is SandboxState.READY
    )


def changed_event(before: Gateway | Sandbox, after: Gateway | Sandbox, at: float) -> Event:
    """The event of a row that changed its state."""
    worse = rank(after) - rank(before)
    severity = Severity.INFO if not worse else Severity.WORSE if worse > 0 else Severity.BETTER
    why = f": {after.reason}" if after.reason else ""
    return Event(
        at=at,
        severity=severity,
        source=after.id.source,
        subject=after.id.native_id,
        kind="gateway" if isinstance(after, Gateway) else "sandbox",
        text=f"{after.name} is {after.state.value}{why}",
        before=before.state.value,
        after=after.state.value,
    )


def added_event(row: Gateway | Sandbox, at: float) -> Event:
    """The event of a row that a known source shows for the first time."""
    return Event(
        at=at,
        severity=Severity.WORSE if needs_attention(row) else Severity.INFO,
        source=row.id.source,
        subject=row.id.native_id,
        kind="gateway" if isinstance(row, Gateway) else "sandbox",
        text=f"{row.name} is new here: {row.state.value}",
        after=row.state.value,
    )


def removed_event(row: Gateway | Sandbox, at: float) -> Event:
    """The event of a row that its source no longer shows."""
    return Event(
        at=at,
        severity=Severity.INFO if row.state.value == "absent" else Severity.WORSE,
        source=row.id.source,
        subject=row.id.native_id,
        kind="gateway" if isinstance(row, Gateway) else "sandbox",
        text=f"{row.name} is no longer there",
        before=row.state.value,
    )
