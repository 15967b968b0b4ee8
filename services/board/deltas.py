"""Records of the board: source links, deltas, totals, ranks, and events of changed rows."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

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

SERVES, SETTLES, UNCERTAIN, TROUBLE = range(4)

RANKS: dict[GatewayState | SandboxState, int] = {
    GatewayState.READY: SERVES,
    GatewayState.SETTLING: SETTLES,
    GatewayState.UNKNOWN: UNCERTAIN,
    GatewayState.HUNG: TROUBLE,
    GatewayState.DOWN: TROUBLE,
    GatewayState.WRONG: TROUBLE,
    GatewayState.ABSENT: TROUBLE,
    SandboxState.READY: SERVES,
    SandboxState.SETTLING: SETTLES,
    SandboxState.UNKNOWN: UNCERTAIN,
    SandboxState.ASLEEP: TROUBLE,
    SandboxState.STUCK: TROUBLE,
    SandboxState.CUT_OFF: TROUBLE,
    SandboxState.DOWN: TROUBLE,
    SandboxState.BROKEN: TROUBLE,
    SandboxState.ABSENT: TROUBLE,
}
"""Every state once. Sleep that nothing shows to be by design is trouble."""


class SourceLink(NamedTuple):
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
    failing_since: float | None = None
    """When the first of the polls failed that have failed in a row."""


_NONE: Mapping[Any, Any] = MappingProxyType({})


class BoardDelta(NamedTuple):
    """What changed on the board, and nothing else."""

    gateways: tuple[Gateway, ...] = ()
    gateways_removed: tuple[GatewayId, ...] = ()
    sandboxes: tuple[Sandbox, ...] = ()
    sandboxes_removed: tuple[SandboxId, ...] = ()
    link: SourceLink | None = None
    events: tuple[Event, ...] = ()
    touched_gateways: Mapping[GatewayId, Gateway] = _NONE
    touched_sandboxes: Mapping[SandboxId, Sandbox] = _NONE
    """Rows of which only the age moved."""
    staleness: frozenset[str | GatewayId] = frozenset()
    """Sources and ways in that ceased to be current, or are again: `Board.staleness` differs."""

    def __bool__(self) -> bool:
        return bool(
            self.gateways
            or self.gateways_removed
            or self.sandboxes
            or self.sandboxes_removed
            or self.link
            or self.events
            or self.touched_gateways
            or self.touched_sandboxes
            or self.staleness
        )


class Totals(NamedTuple):
    """How many of what, for the header and for the exit code of `status`."""

    gateways: tuple[tuple[GatewayState, int], ...] = ()
    sandboxes: tuple[tuple[SandboxState, int], ...] = ()
    """States that occur, in the order of their enum; stale rows are not among them."""
    stale: int = 0
    stale_gateways: int = 0
    """Of the stale rows."""
    attention: int = 0
    """Rows that need the operator."""
    lost: int = 0
    """Sources that do not answer."""
    working: int = 0
    """Of the ready sandboxes."""
    unknown_lists: int = 0
    """Lists of sandboxes that could not be had, of sources that answer."""
    needs_me: int = 0
    """Sandboxes in which something waits for a person."""

    @property
    def stale_sandboxes(self) -> int:
        """Of the stale rows, those of sandboxes."""
        return self.stale - self.stale_gateways


def rank(row: Gateway | Sandbox) -> int:
    """How bad a row is; equal ranks are neither better nor worse."""
    if isinstance(row, Sandbox) and row.state is SandboxState.ASLEEP and row.asleep_by_design:
        return SERVES
    return RANKS[row.state]


def needs_attention(row: Gateway | Sandbox) -> bool:
    """Whether the operator should look: not for serving, settling or asleep by design.

    What waits for a person always needs it.
    """
    return row.stale or waits_for_person(row) or rank(row) > SETTLES


def waits_for_person(row: Gateway | Sandbox) -> bool:
    """Whether something in it waits for a person; gateways never do."""
    return isinstance(row, Sandbox) and bool(row.needs_me)


def is_working(row: Gateway | Sandbox) -> bool:
    """Whether it serves and is busy; gateways never are."""
    return (
        isinstance(row, Sandbox)
        and row.activity is Activity.WORKING
        and row.state is SandboxState.READY
        and not row.stale
    )


def changed_event(before: Gateway | Sandbox, after: Gateway | Sandbox, at: float) -> Event:
    """The event of a row that changed its state."""
    worse = rank(after) - rank(before)
    if before.state is SandboxState.ASLEEP and after.state is SandboxState.SETTLING:
        worse = min(worse, 0)  # waking is no trouble, whatever it slept for
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
        before_at=before.observed_at,
        told_at=after.told_at if isinstance(after, Sandbox) else None,
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
        before_at=row.observed_at,
    )


def link_event(at: float, source: str, text: str, before: str, after: str) -> Event:
    """The event of a source that was lost, or that answers again."""
    return Event(
        at=at,
        severity=Severity.BETTER if after == "connected" else Severity.WORSE,
        source=source,
        subject="",
        kind="source",
        text=text,
        before=before,
        after=after,
    )
