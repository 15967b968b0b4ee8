"""Judges a session: pure functions of evidence, no looking, no acting.

See upstream/nanoclaw: Container and host state.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from services.models import SandboxState
from services.queues.facts import AgentFacts
from services.queues.stuck import CEILING_MS, SWEEP_S
from services.queues.timestamps import seconds
from services.sources.nanoclaw.evidence import (
    SessionEvidence,
    SessionJudgement,
    mention_human,
    start_fails,
)
from services.sources.nanoclaw.host_log import StartFailure
from services.sources.nanoclaw.running_judge import TRIES, judge_alive, judge_running
from services.text.format import ago, plural, sentence, span
from services.text.sanitize import sanitize

_STATUSES = ("active", "closed", "")
_CONTAINERS = ("stopped", "running", "idle", "")
CONTAINER_GONE_S = CEILING_MS / 1000 + 3 * SWEEP_S
FAILING_S = 2 * SWEEP_S + 5


def judge(seen: SessionEvidence, now: float) -> SessionJudgement:
    """The first of these that holds: files that cannot be read, a container, none."""
    seen = replace(seen, files=_as_of(seen.files, now))
    files = seen.files
    if files.unread and files.stale:
        return SessionJudgement(SandboxState.UNKNOWN, sentence(files.problem))
    if seen.container is not None:
        return judge_running(seen, seen.container, now)
    if not seen.runtime and not (seen.row is not None and seen.row.status == "closed"):
        return _runtime_unknown(seen, now)
    return _stopped(seen, now)


def _as_of(files: AgentFacts, now: float) -> AgentFacts:
    """The facts at an instant: what was held back until one that has passed is due."""
    if files.next_at is None or files.next_at > now:
        return files
    since = min(files.next_at, files.waiting_since or files.next_at)
    return replace(
        files, waiting=files.waiting + 1, due=files.due + 1, waiting_since=since, next_at=None
    )


def _runtime_unknown(seen: SessionEvidence, now: float) -> SessionJudgement:
    said = seen.row.container if seen.row is not None else "unknown"
    beat = seen.files.heartbeat_at
    if said in ("running", "idle") and beat is not None and now - beat > CONTAINER_GONE_S:
        return SessionJudgement(
            SandboxState.UNKNOWN,
            f"Container state unknown: its row says {said}, and its last heartbeat was "
            f"{ago(now - beat)}, longer than an idle container lives.",
        )
    began = seen.host_started_at
    if said in ("running", "idle") and beat is not None and began is not None and beat < began:
        adopts = seen.generation.adopts
        if adopts is not True:
            ended = "stopped every container" if adopts is False else "may have stopped it"
            return SessionJudgement(
                SandboxState.UNKNOWN,
                f"Container state unknown: its last heartbeat, {ago(now - beat)}, is older than "
                f"the host's start, which {ended}.",
            )
    if said in ("running", "idle") and beat is not None:
        judged = judge_alive(seen, now, None)
        return SessionJudgement(
            judged.state,
            f"Container state unknown, by its heartbeat: {judged.reason or 'working.'}",
            activity=judged.activity,
            tool=judged.tool,
        )
    if said in ("running", "idle"):
        return SessionJudgement(
            SandboxState.UNKNOWN, f"Container state unknown: its row says {said}, no heartbeat."
        )
    if seen.row is not None and said != "stopped":
        told = _unknown_word(said) if said else "nothing of it"
        return SessionJudgement(
            SandboxState.UNKNOWN, f"Container state unknown: its row says {told}."
        )
    judged = _stopped(seen, now)
    return SessionJudgement(
        judged.state,
        f"Container state unknown, by its row: {judged.reason}",
        by_design=judged.by_design,
        failing=judged.failing,
        starts_at=judged.starts_at,
        steady=judged.steady,
        until=judged.until,
    )


def _stopped(seen: SessionEvidence, now: float) -> SessionJudgement:
    files, row = seen.files, seen.row
    if not seen.folder and seen.mailbox:
        said = "nothing" if row is None else sanitize(row.container, 40) or "nothing"
        return SessionJudgement(
            SandboxState.UNKNOWN,
            f"Its messages are in a kind of mailbox this panel cannot read ({seen.mailbox}); "
            f"its row says {said}.",
        )
    if not seen.folder:
        stale = row is not None and row.container not in ("stopped", "")
        reason = "No files: it has a row in the central DB and no folder."
        return _asleep(f"{reason} {_stale_row(seen)}" if stale else reason, steady=True)
    if row is None and seen.central:
        return _asleep("No row in the central DB: its folder is left over.", steady=True)
    if row is not None and row.status == "closed":
        return _asleep("Closed: nothing is delivered and nothing starts it.", steady=True)
    if row is not None and row.status not in _STATUSES:
        return SessionJudgement(
            SandboxState.UNKNOWN,
            f"No container runs; its row calls the session {_unknown_word(row.status)}.",
        )
    if seen.held:
        return SessionJudgement(
            SandboxState.SETTLING,
            mention_human(
                seen, "Its row says running and no container is listed: it starts or ends."
            ),
        )
    note = _row_note(seen)
    if files.unread:
        return _asleep(f"Stopped; {files.problem}. {note}")
    if files.problem:
        note = f"{note} {sentence(files.problem)}".strip()
    if files.waiting > 0:
        return _wanted(seen, note, now)
    if files.next_at is not None and files.next_at > now:
        return SessionJudgement(
            SandboxState.ASLEEP,
            mention_human(seen, f"{_next(files, now)} {note}"),
            by_design=not files.next_tries,
            starts_at=files.next_at,
            until=files.next_at,
        )
    if seen.context:
        return _asleep(
            mention_human(
                seen,
                f"Accumulates only: {plural(seen.context, 'context message')}, none of which "
                f"wakes it. {note}",
            ),
            steady=True,
        )
    if seen.paused:
        return _asleep(mention_human(seen, f"{seen.paused} {note}"), steady=True)
    waits = "Stopped." if seen.human else "Stopped, nothing waits."
    return _asleep(mention_human(seen, f"{waits} {note}"), steady=True)


def _row_note(seen: SessionEvidence) -> str:
    """What is to say of its row beside a list of containers that has none of it."""
    said = "stopped" if seen.row is None else seen.row.container
    if said == "running":
        return _stale_row(seen)
    return "" if said in _CONTAINERS else f"Its row says {_unknown_word(said)}."


def _unknown_word(word: str) -> str:
    return f"{sanitize(word, 40)!r}, a word this panel does not know"


def _stale_row(seen: SessionEvidence) -> str:
    """What a row that says running means where nothing runs; a restart only with its evidence."""
    row, began = seen.row, seen.host_started_at
    signs = (seen.files.heartbeat_at, seconds(row.last_active) if row is not None else None)
    last = max((at for at in signs if at is not None), default=None)
    if began is not None and last is not None and began > last:
        return "Its row still says running: the host was restarted."
    return "Its row still says running."


def _wanted(seen: SessionEvidence, note: str, now: float) -> SessionJudgement:
    """Stopped with due messages: the host's next sweep should start it."""
    files = seen.files
    waits = f"{plural(files.waiting, 'message')} due"
    if seen.host_up is False:
        return SessionJudgement(
            SandboxState.ASLEEP, f"{waits}, and no host is up to start it. {note}".strip()
        )
    since = _missed_since(seen)
    overdue = 0.0 if since is None else max(0.0, now - since)
    if not seen.configured:
        return SessionJudgement(
            SandboxState.BROKEN,
            f"{waits}, and it cannot start: its group has no container config. {note}".strip(),
            failing=True,
        )
    if (trouble := _current_trouble(seen)) is not None:
        return start_fails(seen, trouble, note)
    if overdue <= FAILING_S or seen.host_up is None:
        badge = " An unclaimed response wakes this session." if files.unclaimed_response else ""
        wait = max(0.0, SWEEP_S - overdue % SWEEP_S)
        when = f"within {span(max(wait, 1.0))}" if seen.host_up else "within a minute, if it is up"
        return SessionJudgement(
            SandboxState.SETTLING,
            f"{waits}: the host's sweep starts it {when}.{badge} {note}".strip(),
        )
    why = "nothing in the error log says why"
    if files.unclaimed_response:
        why = f"an unclaimed response wakes it for nothing; {why}"
    return SessionJudgement(
        SandboxState.BROKEN,
        f"Wake failing: {waits} for {span(overdue)} and it does not start: {why}. {note}".strip(),
        failing=True,
    )


def _current_trouble(seen: SessionEvidence) -> StartFailure | None:
    """The failed start of what waits now, unless it gave a sign of life after it."""
    trouble, since, beat = seen.trouble, seen.files.waiting_since, seen.files.heartbeat_at
    if trouble is None or since is None or trouble.at < since - SWEEP_S:
        return None
    return None if beat is not None and beat > trouble.at else trouble


def _missed_since(seen: SessionEvidence) -> float | None:
    """From when on a sweep could have started it: due, host up, the last container gone quiet."""
    files = seen.files
    if files.waiting_since is None:
        return None
    signs = (files.waiting_since, files.heartbeat_at, files.claimed_at, seen.host_started_at)
    return max(at for at in signs if at is not None)


def _next(files: AgentFacts, now: float) -> str:
    wait = span((files.next_at or now) - now)
    if files.next_tries:
        attempt = min(files.next_tries + 1, TRIES)
        return f"Backs off: try {attempt} of {TRIES}, next in {wait}."
    return f"Stopped; the next message is due in {wait}."


# Thousands of sessions at rest are judged the same: one value for all of them.
@lru_cache(maxsize=256)
def _asleep(reason: str, *, steady: bool = False) -> SessionJudgement:
    return SessionJudgement(SandboxState.ASLEEP, reason.strip(), by_design=True, steady=steady)
