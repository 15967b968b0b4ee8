"""A session as a row of the board: its name, its state and the evidence behind it; pure."""

from __future__ import annotations

from dataclasses import dataclass

from services.models import (
    Activity,
    Capability,
    Facts,
    GatewayId,
    Sandbox,
    SandboxId,
)
from services.queues.facts import Survey
from services.queues.stuck import idle_reap_at
from services.sources.nanoclaw.central_db import Central, Waiting
from services.sources.nanoclaw.engagement import place_of
from services.sources.nanoclaw.judge import Evidence, Judgement, stale_tool
from services.sources.nanoclaw.names import display_name
from services.text.format import ago, left, plural
from services.text.sanitize import plain

_SERIES_SHOWN = 12
_WAITING_SHOWN = 8
NO_CONTAINER = "no container of it runs"


@dataclass(frozen=True, slots=True)
class Subject:
    """What is drawn."""

    id: SandboxId
    host: GatewayId
    evidence: Evidence
    judged: Judgement
    survey: Survey
    waiting: tuple[Waiting, ...] = ()
    dropped: int = 0
    """Messages of unknown senders dropped in its chat."""
    runtime_problem: str = ""
    group_id: str = ""


def portray(subject: Subject, central: Central, now: float) -> Sandbox:
    """The row as of now; `now` is seconds since the epoch."""
    judged, seen = subject.judged, subject.evidence
    stale = seen.files.stale and not seen.files.unread
    return Sandbox(
        subject.id,
        display_name(central, seen.row, subject.id.native_id),
        judged.state,
        judged.reason,
        seen.files.observed_at if stale else now,
        gateway=subject.host,
        activity=judged.activity,
        tool=judged.tool if judged.activity is Activity.WORKING else "",
        evidence=evidence(subject, central, now),
        inbound=subject.survey.inbound,
        outbound=subject.survey.outbound,
        asleep_by_design=judged.by_design,
        unavailable=unavailable(subject),
        stale=stale,
    )


def unavailable(subject: Subject) -> tuple[tuple[Capability, str], ...]:
    """What cannot be done to it now, each with the reason."""
    if subject.evidence.container is not None:
        return ()
    reason = subject.runtime_problem or NO_CONTAINER
    return ((Capability.SHELL, reason), (Capability.EXEC, reason))


def evidence(subject: Subject, central: Central, now: float) -> Facts:
    """Ordered facts, ready to show."""
    rows = [*_identity(subject, central), *_life(subject, now), *_work(subject, now)]
    if subject.evidence.files.problem and subject.evidence.folder:
        rows.append(("files", subject.evidence.files.problem))
    if subject.evidence.trouble is not None:
        trouble = subject.evidence.trouble
        rows.append(("error log", f"{ago(now - trouble.at)}: {trouble.why}"))
    for one in subject.waiting[:_WAITING_SHOWN]:
        rows.append((f"waiting {one.what}", plain(one.title, 120)))
    if subject.dropped:
        rows.append(("dropped senders", f"{plural(subject.dropped, 'message')} in its chat"))
    rows += _series(subject.survey, now)
    return tuple(rows)


def _identity(subject: Subject, central: Central) -> Facts:
    row = subject.evidence.row
    rows = [("session", subject.id.native_id), ("group", plain(subject.group_id, 120))]
    if row is not None and row.chat is not None and row.chat in central.chats:
        rows.append(("chat", place_of(central.chats[row.chat])))
    if row is not None and row.thread:
        rows.append(("thread", plain(row.thread, 80)))
    return tuple(rows)


def _life(subject: Subject, now: float) -> Facts:
    seen = subject.evidence
    row, files, container = seen.row, seen.files, seen.container
    rows = [("row", "none" if row is None else f"{_said(row.status)}, {_said(row.container)}")]
    if subject.runtime_problem:
        rows.append(("container", f"unknown: {plain(subject.runtime_problem, 160)}"))
    elif container is None:
        rows.append(("container", "none"))
    else:
        up = "" if container.started_at is None else f", up {left(now - container.started_at)}"
        rows.append(("container", f"{container.name}{up}"))
    beat = files.heartbeat_at
    rows.append(("heartbeat", "never" if beat is None else ago(now - beat)))
    if disagreement := _disagreement(seen):
        rows.append(("disagreement", disagreement))
    if container is not None and beat is not None and not files.claims:
        rows.append(("idle reap", f"in {left(idle_reap_at(beat, files.bash_ms) - now)}"))
    started = None if container is None else container.started_at
    if files.tool:
        stale = " (left over from an earlier container)" if stale_tool(files, started) else ""
        limit = files.tool_timeout_ms
        declared = "" if limit is None else f", declared {left(limit / 1000)}"
        rows.append(("tool", f"{files.tool}{declared}{stale}"))
    return tuple(rows)


def _disagreement(seen: Evidence) -> str:
    row = seen.row
    if row is None or not seen.runtime:
        return ""
    if row.container == "running" and seen.container is None:
        return "the row says running, and no container has this session's mount"
    if row.container == "stopped" and seen.container is not None:
        return "the row says stopped, and a container has this session's mount"
    return ""


def _work(subject: Subject, now: float) -> Facts:
    files = subject.evidence.files
    rows = [("due (the host's count)", str(files.due))]
    if files.claims:
        since = "" if files.claimed_at is None else f", since {ago(now - files.claimed_at)}"
        rows.append(("claims", f"{len(files.claims)}{since}"))
    if files.next_at is not None:
        when = f"in {left(files.next_at - now)}"
        rows.append(
            ("next due", f"{when}, after {files.next_tries} resets" if files.next_tries else when)
        )
    if files.starved:
        rows.append(("starved", "a due message has too many newer ones in front"))
    if files.unclaimed_response:
        rows.append(("unclaimed response", "wakes this session for nothing at every sweep"))
    if not subject.evidence.configured:
        rows.append(("container config", "none: it cannot start until the host was restarted"))
    return tuple(rows)


def _series(survey: Survey, now: float) -> Facts:
    rows: list[tuple[str, str]] = []
    for one in survey.series[:_SERIES_SHOWN]:
        when = "never" if one.next_at is None else f"in {left(one.next_at - now)}"
        if one.next_at is not None and one.next_at <= now:
            when = "due"
        if one.paused:
            when = "paused"
        cron = f", {one.recurrence}" if one.recurrence else ""
        rows.append((f"task {one.id}", f"{when}{cron}: {plain(one.text, 100)}"))
    if len(survey.series) > _SERIES_SHOWN:
        rows.append(("tasks", f"{len(survey.series) - _SERIES_SHOWN} more"))
    return tuple(rows)


def _said(word: str) -> str:
    return plain(word, 30) or "nothing"
