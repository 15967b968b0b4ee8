"""From what a gateway tells over its connection to states: rows of the gateway, agents, sessions.

See upstream/openclaw: States.
"""

from __future__ import annotations

from services.agents.openclaw.evidence import ConnectionState, OpenClawEvidence
from services.agents.openclaw.judgement import OpenClawJudgement
from services.agents.openclaw.told import CronJob, SessionInfo, Told
from services.models import Activity, GatewayState, SandboxState
from services.text.format import span
from services.text.sanitize import end_sentence

CHANNEL_S = 150.0
"""A channel may be without its connection for so long."""


def not_read(seen: OpenClawEvidence) -> OpenClawJudgement | None:
    """It runs and does not let us read: whether its channels and agents are well is not known."""
    heard = seen.heard
    if heard.connection not in (ConnectionState.REFUSED, ConnectionState.OTHER_PROTOCOL):
        return None
    return OpenClawJudgement(
        "does not let us read",
        GatewayState.READY,
        SandboxState.UNKNOWN,
        heard.problem,
        heard.advice,
    )


def channel_down(seen: OpenClawEvidence) -> OpenClawJudgement | None:
    """A channel that is wanted and does not work, whatever `ready` says."""
    late = [(one, since) for one, since in seen.heard.down if since > CHANNEL_S]
    if not seen.heard.reading or not late:
        return None
    one, since = late[0]
    state = "connected" if one.connected is False else "running"
    cause = one.error or ("it has been starting ever since" if one.starting_s else "")
    why = f"{one.name} has not been {state} for {span(since)}{f': {cause}' if cause else ''}"
    if len(late) > 1:
        why += f"; down too: {', '.join(other.name for other, _ in late[1:4])}"
    return OpenClawJudgement(
        "channel down",
        GatewayState.READY,
        SandboxState.STUCK,
        end_sentence(why),
        "See `openclaw channels status`.",
    )


def degraded(seen: OpenClawEvidence) -> OpenClawJudgement | None:
    told = seen.heard.told
    summary = told.summary
    broken = () if told.health is None else told.health.broken_plugins
    parts = tuple(dict.fromkeys((*(() if summary is None else summary.degraded), *broken)))
    if not seen.heard.reading:
        return None
    if summary is not None and summary.model_degraded:
        why = "Its models do not work as configured."
        advice = "See `openclaw models status`."
    elif parts:
        why, advice = f"Parts of it do not work: {', '.join(parts[:6])}.", ""
    else:
        return None
    return OpenClawJudgement("degraded", GatewayState.READY, SandboxState.STUCK, why, advice)


def channel_patience(seen: OpenClawEvidence) -> float | None:
    """When the next channel will have been down for too long; None where none is."""
    waits = [CHANNEL_S - since for _, since in seen.heard.down if since <= CHANNEL_S]
    return seen.now + min(waits) + 0.1 if waits and seen.heard.reading else None


def judge_agent(told: Told, agent: str) -> tuple[SandboxState, Activity, str, str]:
    """State, activity and reason of one agent behind a ready gateway, and what needs a person.

    Its newest run decides; what runs now is newer than any. Runs of jobs are known by their jobs.
    """
    sessions = [one for one in told.sessions or () if one.agent == agent]
    jobs = [one for one in told.jobs or () if one.agent == agent and one.enabled]
    lost = next((one for one in jobs if one.undelivered), None)
    needs = "" if lost is None else f"“{lost.name}” was not delivered"
    if lost is not None and lost.delivery_error:
        needs += f": {lost.delivery_error}"
    working = [one for one in sessions if one.working]
    if working:
        return SandboxState.READY, Activity.WORKING, f"Runs in {working[0].name}.", needs
    ends: list[tuple[float, SessionInfo | CronJob]] = [
        (one.updated_at or 0.0, one) for one in sessions if one.kind != "cron"
    ]
    ends += [(one.last_at, one) for one in jobs if one.last_at is not None]
    newest = max(ends, key=lambda pair: pair[0], default=None)
    if newest is None or not newest[1].failed:
        return SandboxState.READY, Activity.IDLE, "", needs
    last = newest[1]
    whose = f"Its job “{last.name}”" if isinstance(last, CronJob) else "Its last run"
    why = f"{whose} failed: {last.error or last.status}"
    return SandboxState.STUCK, Activity.NONE, end_sentence(why), needs


def judge_session(one: SessionInfo) -> tuple[SandboxState, Activity, str]:
    """State, activity and reason of one session behind a ready gateway."""
    if one.working:
        return SandboxState.READY, Activity.WORKING, ""
    if one.failed:
        why = end_sentence(f"Its last run failed: {one.error or one.status}")
        return SandboxState.STUCK, Activity.NONE, why
    return SandboxState.READY, Activity.IDLE, ""
