"""One order of trouble over all shown states: better and worse are ranks."""

from __future__ import annotations

from services.models import Gateway, GatewayState, Sandbox, SandboxState

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


def rank(row: Gateway | Sandbox) -> int:
    """How bad a row is; equal ranks are neither better nor worse."""
    if isinstance(row, Sandbox) and row.state is SandboxState.ASLEEP and row.asleep_by_design:
        return SERVES
    return RANKS[row.state]
