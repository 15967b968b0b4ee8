"""A session as a row of the board: its id, its name, its state and the evidence behind it; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import starmap

from services.lazy_dataclass import dataclass
from services.models import (
    Activity,
    Capability,
    Facts,
    GatewayId,
    Sandbox,
    SandboxId,
)
from services.queues.facts import Survey
from services.queues.timestamps import seconds
from services.sources.nanoclaw import coordination
from services.sources.nanoclaw.central_db import CentralSnapshot, PendingRequest, SessionRow
from services.sources.nanoclaw.containers import SessionKey
from services.sources.nanoclaw.engagement import place_of
from services.sources.nanoclaw.evidence import SessionEvidence, SessionJudgement
from services.sources.nanoclaw.running_judge import reaped_at, stale_tool
from services.sources.nanoclaw.tasks import resuming, runs
from services.sources.nanoclaw.usage import session_facts
from services.text.format import ago, clock_time, plural, span
from services.text.sanitize import sanitize

_SERIES_SHOWN = 12
_WAITING_SHOWN = 8
NO_CONTAINER = "no container of it runs"
_ID, _PART, _THREAD = 120, 40, 6


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """What a session's row is made of."""

    id: SandboxId
    host: GatewayId
    evidence: SessionEvidence
    judged: SessionJudgement
    survey: Survey
    waiting: tuple[PendingRequest, ...] = ()
    dropped: int = 0
    """Messages of unknown senders dropped in its chat."""
    runtime_problem: str = ""
    group_id: str = ""


def to_row(record: SessionRecord, central: CentralSnapshot, now: float) -> Sandbox:
    """The row as of now; `now` is seconds since the epoch."""
    judged, seen, usage = record.judged, record.evidence, record.survey.usage
    stale = seen.files.stale and not seen.files.unread
    return Sandbox(
        record.id,
        display_name(central, seen.row, record.id.native_id),
        judged.state,
        judged.reason,
        seen.files.observed_at if stale else now,
        gateway=record.host,
        activity=judged.activity,
        tool=judged.tool if judged.activity is Activity.WORKING else "",
        evidence=evidence(record, central, now),
        inbound=record.survey.inbound,
        outbound=record.survey.outbound,
        asleep_by_design=judged.by_design and not seen.human,
        unavailable=unavailable(record),
        stale=stale,
        needs=needs(record),
        until=judged.until,
        needs_me=seen.human,
        cost_usd=None if usage is None else usage.total.cost_usd,
    )


def needs(record: SessionRecord) -> tuple[GatewayId, ...]:
    """Its way in: a running session is reached through the container runtime alone."""
    way = GatewayId(record.id.source, "containers")
    return () if record.evidence.container is None else (way,)


def unavailable(record: SessionRecord) -> tuple[tuple[Capability, str], ...]:
    """What cannot be done to it now, each with the reason."""
    if record.evidence.container is not None:
        return ()
    return _no_shell(record.runtime_problem or NO_CONTAINER)


@lru_cache(maxsize=16)
def _no_shell(reason: str) -> tuple[tuple[Capability, str], ...]:
    return ((Capability.SHELL, reason), (Capability.EXEC, reason))


# Thousands of sessions at rest say the same: one pair for all of them.
@lru_cache(maxsize=1024)
def _shared(name: str, value: str) -> tuple[str, str]:
    return name, value


def evidence(record: SessionRecord, central: CentralSnapshot, now: float) -> Facts:
    """Ordered facts, ready to show."""
    rows = [*_waits(record), *_task(record, now), ("session", record.id.native_id)]
    rows += starmap(_shared, (*_identity(record, central), *_life(record, now)))
    rows += starmap(_shared, _work(record, now))
    if record.evidence.row is not None and record.evidence.row.thread:
        rows.append(("thread", sanitize(record.evidence.row.thread, 80)))
    if record.evidence.files.problem and record.evidence.folder:
        rows.append(("files", record.evidence.files.problem))
    if record.evidence.trouble is not None:
        trouble = record.evidence.trouble
        rows.append(("error log", f"{ago(now - trouble.at)}: {trouble.why}"))
    if record.dropped:
        rows.append(("dropped senders", f"{plural(record.dropped, 'message')} in its chat"))
    if record.evidence.row is not None:
        orders = central.orders.sessions.get(record.evidence.row.id)
        rows += () if orders is None else coordination.session_facts(orders, now)
    config = central.models.get(record.group_id)
    if config:
        rows.append(("model", sanitize(config, 80)))
    rows += session_facts(record.survey.usage)
    return tuple(rows)


def _waits(record: SessionRecord) -> Facts:
    rows: list[tuple[str, str]] = []
    for one in record.waiting[:_WAITING_SHOWN]:
        parts = [sanitize(one.title, 120), sanitize(one.note, 120)]
        for word, told in (("asked", one.since), ("expires", one.until)):
            if (at := seconds(told)) is not None:
                parts.append(f"{word} {clock_time(at, with_date=True)}")
        rows.append((f"waiting {one.what}", "; ".join(part for part in parts if part)))
    return tuple(rows)


def _task(record: SessionRecord, now: float) -> Facts:
    row, survey = record.evidence.row, record.survey
    rows = list(_series(survey, now))
    if ran := runs(row, survey):
        rows.append(("runs in its queue", ran))
    if how := resuming(row, survey):
        rows.append(("to resume it", how))
    return tuple(rows)


def _identity(record: SessionRecord, central: CentralSnapshot) -> Facts:
    row = record.evidence.row
    rows = [("group", sanitize(record.group_id, 120))]
    if row is not None and row.chat is not None and row.chat in central.chats:
        rows.append(("chat", place_of(central.chats[row.chat])))
    return tuple(rows)


def _life(record: SessionRecord, now: float) -> Facts:
    seen = record.evidence
    row, files, container = seen.row, seen.files, seen.container
    rows = [("row", "none" if row is None else f"{_said(row.status)}, {_said(row.container)}")]
    if record.runtime_problem:
        rows.append(("container", f"unknown: {sanitize(record.runtime_problem, 160)}"))
    elif container is None:
        rows.append(("container", "none"))
    else:
        up = "" if container.started_at is None else f", up {span(now - container.started_at)}"
        word = "" if container.status == "running" else f", {container.status}"
        rows.append(("container", f"{container.name}{word}{up}"))
        if container.contradiction:
            rows.append(("disagreement", container.contradiction))
    beat = files.heartbeat_at
    rows.append(("heartbeat", "never" if beat is None else ago(now - beat)))
    if disagreement := _disagreement(seen):
        rows.append(("disagreement", disagreement))
    if container is not None and beat is not None and not files.claims:
        rows.append(("idle reap", f"in {span(reaped_at(seen, beat, container.started_at) - now)}"))
    started = None if container is None else container.started_at
    if files.tool:
        stale = " (left over from an earlier container)" if stale_tool(files, started) else ""
        limit = files.tool_timeout_ms
        declared = "" if limit is None else f", declared {span(limit / 1000)}"
        rows.append(("tool", f"{files.tool}{declared}{stale}"))
    return tuple(rows)


def _disagreement(seen: SessionEvidence) -> str:
    row = seen.row
    if row is None or not seen.runtime:
        return ""
    if row.container == "running" and seen.container is None:
        return "the row says running, and no container has this session's mount"
    if row.container == "stopped" and seen.container is not None:
        return "the row says stopped, and a container has this session's mount"
    return ""


def _work(record: SessionRecord, now: float) -> Facts:
    files = record.evidence.files
    rows = [("host's due count", str(files.due))]
    if files.claims:
        since = "" if files.claimed_at is None else f", since {ago(now - files.claimed_at)}"
        rows.append(("claims", f"{len(files.claims)}{since}"))
    if files.next_at is not None:
        when = f"in {span(files.next_at - now)}"
        rows.append(
            ("next due", f"{when}, after {files.next_tries} resets" if files.next_tries else when)
        )
    if files.starved:
        rows.append(("starved", "a due message has too many others in front"))
    if files.order_unknown:
        rows.append(("order of work", "unknown: nothing tells which rows its runner takes first"))
    if files.unclaimed_response:
        rows.append(("unclaimed response", "wakes this session for nothing at every sweep"))
    if not record.evidence.configured:
        rows.append(("container config", "none: it cannot start until the host was restarted"))
    return tuple(rows)


def _series(survey: Survey, now: float) -> Facts:
    rows: list[tuple[str, str]] = []
    for one in survey.series[:_SERIES_SHOWN]:
        when = "never" if one.next_at is None else f"in {span(one.next_at - now)}"
        if one.next_at is not None and one.next_at <= now:
            when = "due"
        if one.paused:
            when = "paused"
        cron = f", {one.recurrence}" if one.recurrence else ""
        rows.append((f"task {one.id}", f"{when}{cron}: {sanitize(one.text, 100)}"))
    if len(survey.series) > _SERIES_SHOWN:
        rows.append(("tasks", f"{len(survey.series) - _SERIES_SHOWN} more"))
    return tuple(rows)


def _said(word: str) -> str:
    return sanitize(word, 30) or "nothing"


def native_ids(session_keys: Iterable[SessionKey]) -> dict[SessionKey, str]:
    """One harmless id for each: the session's own, with its group's where two share it."""
    every = list(session_keys)
    spelled = {session_key: _same(session_key[1], _ID) for session_key in every}
    often = Counter(spelled.values())
    taken: dict[str, SessionKey] = {}
    found: dict[SessionKey, str] = {}
    for session_key in sorted(every):
        name = spelled[session_key]
        if often[name] > 1 or not name or name[0] in "- ":
            name = sanitize(f"{session_key[0]}/{session_key[1]}", 2 * _ID)
        number = 2
        unique = name
        while unique in taken:
            unique, number = f"{name}~{number}", number + 1
        taken[unique] = session_key
        found[session_key] = unique
    return found


def _same(name: str, limit: int) -> str:
    """Harmless; the very same text where it was."""
    shown = sanitize(name, limit)
    return name if shown == name else shown


def display_name(central: CentralSnapshot, row: SessionRow | None, native: str) -> str:
    """Group and chat, with the end of the thread's id; the id where the DB does not say."""
    if row is None:
        return native
    group = sanitize(central.groups.get(row.group, ""), _PART) or sanitize(row.group, _PART)
    if row.task:
        return f"{group} · task {sanitize(row.task, _PART)}"
    chat = central.chats.get(row.chat) if row.chat is not None else None
    if chat is None:
        return f"{group} · {native}"
    place = sanitize(chat.name, _PART) or sanitize(chat.platform, _PART)
    if row.thread:
        return f"{group} #{sanitize(row.thread, 80)[-_THREAD:]} · {place}"
    return f"{group} · {place}"


def human_wait(waiting: Sequence[PendingRequest], lost: int = 0) -> str:
    """What waits for a human, in a sentence; empty for nothing.

    `lost`: messages whose delivery was given up.
    """
    undelivered = f"{plural(lost, 'message')} not delivered." if lost else ""
    if not waiting:
        return undelivered
    first = waiting[0]
    said = {
        "question": "Asks a human",
        "approval": "Waits for an admin",
        "reason": "Rejected, waits for the reason",
        "sender": "Waits for an admin: unknown sender",
        "channel": "Waits for an admin: unknown chat",
    }[first.what]
    if title := sanitize(first.title, 60):
        said += f": “{title}”"
    if first.what == "reason" and (at := seconds(first.until)) is not None:
        said += f", until {clock_time(at, with_date=True)}"
    if note := sanitize(first.note, 100):
        said += f", {note}"
    more = f" and {len(waiting) - 1} more" if len(waiting) > 1 else ""
    return f"{said}{more}. {undelivered}".strip()
