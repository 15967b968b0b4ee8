"""What an attempt may do about a session: pure (upstream/nanoclaw: Ways to act)."""

from __future__ import annotations

from services.models import GatewayState, SandboxState
from services.sources.nanoclaw.engagement import NudgePlan
from services.sources.nanoclaw.evidence import SessionJudgement
from services.sources.protocol.verdict import Verdict, VerdictKind

NUDGE = "nudge"
STOP = "stop its container"
SOON_S = 240.0
"""A session that starts by itself within this time is waited for."""


def verdict(
    host: tuple[GatewayState, str],
    judged: SessionJudgement,
    plan: NudgePlan,
    service: str,
    now: float,
    *,
    adopts: bool | None = None,
) -> Verdict:
    """Judge one session; a host starts its own sessions, so nothing here is ever wakeable by us."""
    state, reason = judged.state, judged.reason
    if state is SandboxState.READY:
        return Verdict(VerdictKind.READY, reason)
    if state is SandboxState.UNKNOWN:
        return Verdict(VerdictKind.UNKNOWN, reason)
    if state is SandboxState.STUCK:
        return Verdict(
            VerdictKind.REPAIRABLE,
            reason,
            advice="Its container can be stopped from the palette; the host then starts a new "
            "one for what is due.",
            confirmable=STOP,
        )
    if (trouble := _host_trouble(host, service, adopts)) is not None:
        return trouble
    if state is SandboxState.SETTLING:
        return Verdict(VerdictKind.SETTLING, reason)
    if judged.failing:
        return Verdict(
            VerdictKind.TERMINAL,
            reason,
            advice="The host tries again at every sweep, once a minute; its error log says why "
            "it cannot. A group without a container config gets one when the host is restarted.",
        )
    if judged.starts_at is not None and judged.starts_at - now <= SOON_S:
        return Verdict(VerdictKind.SETTLING, reason)
    return _asleep(reason, plan)


def _asleep(reason: str, plan: NudgePlan) -> Verdict:
    if plan.refusal:
        return Verdict(
            VerdictKind.TERMINAL,
            reason,
            advice=f"It starts with its next message. It cannot be nudged: {plan.refusal}.",
        )
    return Verdict(
        VerdictKind.REPAIRABLE,
        reason,
        advice=f"It starts with its next message. A nudge posts one in {plan.place}: it is in "
        "the palette and asks first.",
        confirmable=NUDGE,
    )


def _host_trouble(
    host: tuple[GatewayState, str], service: str, adopts: bool | None
) -> Verdict | None:
    state, reason = host
    match state:
        case GatewayState.READY:
            return None
        case GatewayState.SETTLING | GatewayState.HUNG:
            return Verdict(VerdictKind.SETTLING, reason)
        case GatewayState.DOWN | GatewayState.ABSENT:
            return Verdict(
                VerdictKind.TERMINAL,
                reason,
                advice=f"Start the host: `systemctl --user start {service}` or `launchctl "
                f"kickstart gui/$UID/com.{service}`. This panel does not: a start "
                + (
                    "stops the containers it does not know."
                    if adopts
                    else "stops every container of the install."
                ),
            )
    return Verdict(
        VerdictKind.TERMINAL, reason, advice="Run the panel as the user the host runs as."
    )
