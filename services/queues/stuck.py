"""Whether a host of this system would kill an agent now, and what it would do next.

The decision is upstream's own, edge for edge (upstream/nanoclaw: Stuck agents). Times are
milliseconds where upstream's are, seconds elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from services.queues.timestamps import utc_ms

CEILING_MS = 1_800_000
CLAIM_TOLERANCE_MS = 60_000
SWEEP_S = 60.0
MAX_TRIES = 5
WORKING_HEARTBEAT_S = 6.0


class StuckAction(Enum):
    """What upstream's sweep would do with a running agent."""

    OK = "ok"
    KILL_CEILING = "kill-ceiling"
    """The heartbeat is too old: stuck, or merely idle where nothing is claimed."""
    KILL_CLAIM = "kill-claim"
    """A message was claimed and not a sign of life came since."""


@dataclass(frozen=True, slots=True)
class ProcessingClaim:
    """One processing_ack row in state `processing`."""

    message_id: str
    status_changed: str
    """As the file spells it."""


@dataclass(frozen=True, slots=True)
class StuckVerdict:
    """The decision and its evidence."""

    action: StuckAction
    message_id: str = ""
    age_ms: float = 0.0
    """Of the heartbeat or of the claim."""
    limit_ms: float = 0.0


def bash_timeout_ms(tool: object, declared_ms: object) -> float | None:
    """The timeout that stretches the limits: declared, a number, and of `Bash` exactly."""
    if tool != "Bash" or isinstance(declared_ms, bool):
        return None
    return float(declared_ms) if isinstance(declared_ms, int | float) else None


def decide(
    now_ms: float,
    heartbeat_ms: float | None,
    bash_ms: float | None,
    claims: Sequence[ProcessingClaim],
) -> StuckVerdict:
    """Judge one running agent; `claims` in table order, no heartbeat is None."""
    if heartbeat_ms is not None:
        age, limit = now_ms - heartbeat_ms, max(CEILING_MS, bash_ms or 0)
        if age > limit:
            return StuckVerdict(StuckAction.KILL_CEILING, "", age, limit)
    tolerance = max(CLAIM_TOLERANCE_MS, bash_ms or 0)
    for claim in claims:
        claimed = utc_ms(claim.status_changed)
        if claimed is None or now_ms - claimed <= tolerance:
            continue
        if heartbeat_ms is not None and heartbeat_ms > claimed:
            continue
        age = now_ms - claimed
        return StuckVerdict(StuckAction.KILL_CLAIM, claim.message_id, age, tolerance)
    return StuckVerdict(StuckAction.OK)


def decide_tracked(
    now_ms: float,
    heartbeat_ms: float | None,
    bash_ms: float | None,
    claims: Sequence[ProcessingClaim],
    tracked_ms: float,
    *,
    durable: bool,
) -> StuckVerdict:
    """As `decide`, by a host that counts from when it began to track the container.

    Without a heartbeat the ceiling counts from then. A `durable` host takes a heartbeat from
    before then for none, and counts older claims from then (upstream/nanoclaw: Generations).
    """
    beat = heartbeat_ms
    if durable and beat is not None and beat < tracked_ms:
        beat = None
    verdict = decide(now_ms, beat if beat is not None else tracked_ms, bash_ms, ())
    if verdict.action is not StuckAction.OK:
        return verdict
    tolerance = max(CLAIM_TOLERANCE_MS, bash_ms or 0)
    for claim in claims:
        claimed = utc_ms(claim.status_changed)
        if claimed is None:
            continue
        since = max(claimed, tracked_ms) if durable else claimed
        if now_ms - since <= tolerance or (beat is not None and beat > since):
            continue
        return StuckVerdict(StuckAction.KILL_CLAIM, claim.message_id, now_ms - since, tolerance)
    return StuckVerdict(StuckAction.OK)


def idle_reap_at(heartbeat_at: float, bash_ms: float | None) -> float:
    """When an agent that stays silent is ended, seconds since the epoch, sweep aside."""
    return heartbeat_at + max(CEILING_MS, bash_ms or 0) / 1000


def working(
    now: float, heartbeat_at: float | None, tool: str, claims: Sequence[ProcessingClaim]
) -> bool:
    """Busy: a claim, a tool, or a heartbeat younger than 6 s; never claims alone."""
    # One from a clock that was set back since lies ahead, and is no sign of life now.
    young = heartbeat_at is not None and abs(now - heartbeat_at) < WORKING_HEARTBEAT_S
    return bool(claims or tool or young)
