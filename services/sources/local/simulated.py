"""Rows without a process, for a look at many: each says of itself that it is simulated.

Their states never change, so that no history is written of what did not happen; what the working
ones use changes every few seconds.
"""

from __future__ import annotations

from functools import cache

from services.files.bounded import read_bounded
from services.models import (
    Activity,
    Capability,
    GatewayId,
    Sandbox,
    SandboxId,
    SandboxState,
)
from services.sources.local.layout import SANDBOX_NAMES, World

MOST = 10_000
PREFIX = "simulated-"
REFUSAL = "it is simulated: there is no process behind it"
_SLOT_S = 5
_TOOLS = ("Bash", "WebFetch", "Read", "Grep", "Edit", "WebSearch")
_UNAVAILABLE = tuple((one, REFUSAL) for one in Capability)


def count(world: World) -> int:
    """How many rows are asked for, real ones included; 0 where none are."""
    try:
        asked = int(read_bounded(world.simulated, 16))
    except (OSError, ValueError):
        return 0
    return max(0, min(asked, MOST))


def rows(world: World, source: str, now: float) -> tuple[Sandbox, ...]:
    """The simulated rows beside the real ones, as of `now`."""
    wanted = count(world) - len(SANDBOX_NAMES)
    if wanted <= 0:
        return ()
    slot = int(now // _SLOT_S)
    return tuple(_row(source, number, slot, now) for number in range(wanted))


def _works(number: int) -> bool:
    return number % 3 == 0


@cache
def _kind(number: int) -> tuple[SandboxState, str]:
    """One in a hundred is in trouble, one in fifty asleep."""
    if number % 400 == 137:
        return SandboxState.DOWN, "simulated: a process that would have died"
    if number % 200 == 71:
        return SandboxState.STUCK, "simulated: a process that would be stopped"
    if number % 50 == 23:
        return SandboxState.ASLEEP, "simulated: nothing to do"
    return SandboxState.READY, "simulated"


def _row(source: str, number: int, slot: int, now: float) -> Sandbox:
    state, reason = _kind(number)
    working = state is SandboxState.READY and _works(number)
    activity = Activity.WORKING if working else Activity.IDLE
    name = f"{PREFIX}{number + 1:05d}"
    return Sandbox(
        SandboxId(source, name),
        name,
        state,
        reason,
        now,
        gateway=GatewayId(source, "gateway"),
        activity=activity if state is SandboxState.READY else Activity.NONE,
        tool=_TOOLS[(number // 3 + slot) % len(_TOOLS)] if working else "",
        evidence=(("simulated", "yes: there is no process behind this row"),),
        asleep_by_design=state is SandboxState.ASLEEP,
        unavailable=_UNAVAILABLE,
    )
