"""Judges a session: pure functions of evidence, no looking, no acting.

See upstream/nanoclaw: Container and host state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.models import Activity, SandboxState
from services.queues.facts import AgentFacts, verdict
from services.queues.stuck import (
    CEILING_MS,
    MAX_TRIES,
    SWEEP_S,
    StuckAction,
    StuckVerdict,
    decide_tracked,
    idle_reap_at,
    working,
)
from services.queues.timestamps import seconds
from services.sources.nanoclaw.central_db import SessionRow
from services.sources.nanoclaw.containers import AgentContainer
from services.sources.nanoclaw.generation import UNKNOWN_GENERATION, Ceiling, Generation
from services.sources.nanoclaw.host_log import StartFailure
from services.text.format import ago, plural, sentence, span

START_S = 120.0
"""A container that gave no sign of life for longer was never active.

See upstream/nanoclaw: Container and host state.
"""
SPAWN_S = 15.0
"""A container runs before its row says so."""
CONTAINER_GONE_S = CEILING_MS / 1000 + 3 * SWEEP_S
FAILING_S = 2 * SWEEP_S + 5
TRIES = MAX_TRIES + 1


@dataclass(frozen=True, slots=True)
class SessionEvidence:
    """Everything known of one session; instants are seconds since the epoch."""

    row: SessionRow | None
    """None: the central DB has no such session."""
    files: AgentFacts
    """What its files say, heartbeat included."""
    folder: bool = True
    container: AgentContainer | None = None
    runtime: bool = True
    """Whether the container runtime said what runs."""
    host_up: bool | None = True
    """None: not known."""
    host_started_at: float | None = None
    central: bool = True
    """Whether the central DB or the host said which sessions there are."""
    configured: bool = True
    """Its group has a container config, without which nothing starts."""
    trouble: StartFailure | None = None
    context: int = 0
    """Messages that are context only."""
    human: str = ""
    """What of it waits for a human, in words."""
    held: bool = False
    """Its row and the list of containers disagree, and not yet in two looks."""
    generation: Generation = UNKNOWN_GENERATION
    tracked_at: float | None = None
    """Since when a host says it runs it."""
    doubled: bool = False
    """More than one agent container serves it."""
    watched_at: float | None = None
    """Since when its container has been seen here."""
    mailbox: str = ""
    """The kind of mailbox its messages are in, where this panel cannot read that kind."""
    paused: str = ""
    """Why its task is paused, in words; empty where it is not."""


@dataclass(frozen=True, slots=True)
class SessionJudgement:
    """What one session is seen to be."""

    state: SandboxState
    reason: str
    activity: Activity = Activity.NONE
    tool: str = ""
    by_design: bool = False
    """Asleep with nothing to do."""
    failing: bool = False
    """The host tries to start it and cannot."""
    starts_at: float | None = None
    """Asleep until then, when its next message is due."""
    steady: bool = False
    """Says the same until something changes: nothing in it depends on the clock."""
    until: float | None = None
    """When it lapses by the clock alone."""


def judge(seen: SessionEvidence, now: float) -> SessionJudgement:
    """The first of these that holds: files that cannot be read, a container, none."""
    seen = replace(seen, files=_as_of(seen.files, now))
    files = seen.files
    if files.unread and files.stale:
        return SessionJudgement(SandboxState.UNKNOWN, sentence(files.problem))
    if seen.container is not None:
        return _running(seen, seen.container, now)
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


def _running(seen: SessionEvidence, container: AgentContainer, now: float) -> SessionJudgement:
    age = None if container.started_at is None else now - container.started_at
    if seen.doubled:
        return SessionJudgement(
            SandboxState.STUCK,
            "Two containers on one session: each takes messages, and replies may come twice.",
        )
    if container.status == "created":
        return SessionJudgement(SandboxState.SETTLING, "Its container is made and starts.")
    if container.status == "restarting":
        return SessionJudgement(SandboxState.SETTLING, "Its container restarts.")
    if container.status == "paused":
        return SessionJudgement(
            SandboxState.STUCK,
            "Paused: nothing in it moves, and the host ends it when it was silent too long.",
        )
    if seen.central and (seen.row is None or seen.row.container == "stopped"):
        if age is not None and age < SPAWN_S:
            return SessionJudgement(SandboxState.SETTLING, "Its container was started just now.")
        if seen.held or age is None:
            return SessionJudgement(
                SandboxState.SETTLING, "Its row says stopped and its container is listed: it ends."
            )
        if seen.host_up is False:
            kept = seen.generation.adopts and container.labelled and seen.row is not None
            then = (
                "a host that starts keeps it" if kept else "it is stopped as soon as a host starts"
            )
            return SessionJudgement(
                SandboxState.STUCK,
                "Orphan container: the host that ran it is gone, and the next start of a "
                f"host {then} it.",
            )
        return SessionJudgement(
            SandboxState.STUCK,
            "Orphan container: the host does not know it, and nothing it writes wakes anybody.",
        )
    return _alive(seen, now, container.started_at)


def _alive(seen: SessionEvidence, now: float, started: float | None) -> SessionJudgement:
    files = seen.files
    age = None if started is None else now - started
    beat = _heartbeat(files, started)
    tracked = tracked_at(seen, started)
    decided = _decide(seen, tracked, now)
    if decided.action is StuckAction.KILL_CLAIM:
        attempt = min(files.claim_tries + 1, TRIES)
        sweep = "the next sweep kills it" if seen.host_up else "no host is up to end it"
        return SessionJudgement(
            SandboxState.STUCK,
            f"Claimed a message {ago(decided.age_ms / 1000)} and gave no sign of life since "
            f"(try {attempt} of {TRIES}): {sweep}.",
        )
    if decided.action is StuckAction.KILL_CEILING and files.claims:
        return SessionJudgement(
            SandboxState.STUCK,
            f"Silent for {span(decided.age_ms / 1000)} with a message claimed: "
            "the next sweep kills it.",
        )
    if files.starved:
        front = (
            "the messages that the runner takes first are all answers nobody waits for"
            if seen.generation.oldest_first
            else "a due message has so many newer ones in front of it that the runner never sees it"
        )
        return SessionJudgement(SandboxState.STUCK, f"Starved: {front}.")
    if beat is None:
        return _never_active(seen, age, tracked, now)
    tool = "" if stale_tool(files, started) else files.tool
    if working(now, beat, tool, files.claims):
        return SessionJudgement(
            SandboxState.READY, _busy(seen), activity=Activity.WORKING, tool=tool
        )
    return SessionJudgement(SandboxState.READY, _idle(seen, beat, now), activity=Activity.IDLE)


def tracked_at(seen: SessionEvidence, started: float | None) -> float | None:
    """Since when this host tracks the container (upstream/nanoclaw: Generations)."""
    if seen.tracked_at is not None:
        return seen.tracked_at
    known = [at for at in (started, seen.host_started_at) if at is not None]
    return max(known, default=None)


def _decide(seen: SessionEvidence, tracked: float | None, now: float) -> StuckVerdict:
    """What the host's own rule says, by its generation."""
    files, rule = seen.files, seen.generation.ceiling
    if rule in (None, Ceiling.HEARTBEAT) or tracked is None:
        return verdict(files, now)
    beat = None if files.heartbeat_at is None else files.heartbeat_at * 1000
    durable = rule is Ceiling.CLAIMED
    return decide_tracked(
        now * 1000, beat, files.bash_ms, files.claims, tracked * 1000, durable=durable
    )


def reaped_at(seen: SessionEvidence, beat: float, started: float | None) -> float:
    """When an idle container is ended, the sweep aside."""
    tracked = tracked_at(seen, started)
    if seen.generation.ceiling is Ceiling.CLAIMED and tracked is not None:
        beat = max(beat, tracked)
    return idle_reap_at(beat, seen.files.bash_ms)


def _never_active(
    seen: SessionEvidence, age: float | None, tracked: float | None, now: float
) -> SessionJudgement:
    """A container without a heartbeat of its own."""
    if (trouble := seen.trouble) is not None and age is not None and age < START_S:
        begun = now - age
        if 0 <= begun - trouble.at < _LOOP_S:
            return _start_fails(seen, trouble, "")
    if age is None:
        watched = 0.0 if seen.watched_at is None else now - seen.watched_at
        if watched < START_S:
            return SessionJudgement(SandboxState.SETTLING, "Starting, since when is not known.")
        return SessionJudgement(
            SandboxState.UNKNOWN, "It gave no sign of life, and how long it runs is not known."
        )
    if age < START_S:
        return SessionJudgement(SandboxState.SETTLING, f"Starting, container up for {span(age)}.")
    match seen.generation.ceiling:
        case Ceiling.HEARTBEAT:
            end = "nothing will end it by itself"
        case None:
            end = "NanoClaw 2.3 and later ends it 30 min after its start"
        case _:
            left = idle_reap_at(tracked or now - age, seen.files.bash_ms) - now
            end = f"the host ends it in {span(left)}" if left > 0 else "the next sweep ends it"
    return SessionJudgement(SandboxState.STUCK, f"Started {ago(age)} and never active: {end}.")


_LOOP_S = 15 * 60.0
"""A start this soon after a failed one is another try of the same."""


def stale_tool(files: AgentFacts, started: float | None) -> bool:
    """Whether the tool is left over from an earlier container (upstream/nanoclaw: Stuck agents)."""
    begun = files.tool_started_at
    return bool(files.tool) and begun is not None and started is not None and begun < started


def _heartbeat(files: AgentFacts, started: float | None) -> float | None:
    """The heartbeat, unless it can only be that of an earlier container."""
    beat = files.heartbeat_at
    return None if beat is not None and started is not None and beat < started - 60 else beat


def _busy(seen: SessionEvidence) -> str:
    return _mention_human(seen, "")


def _idle(seen: SessionEvidence, beat: float, now: float) -> str:
    started = None if seen.container is None else seen.container.started_at
    reap = reaped_at(seen, beat, started) - now
    if seen.host_up is False:
        return _mention_human(seen, "Idle; no host is up to end it or to bring it messages.")
    when = f"reaped in {span(reap)}" if reap > 0 else "the next sweep reaps it"
    return _mention_human(seen, f"Idle, {when} unless a message comes.")


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
        judged = _alive(seen, now, None)
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
        said = "nothing" if row is None else row.container
        return SessionJudgement(
            SandboxState.UNKNOWN,
            f"Its messages are in a kind of mailbox this panel cannot read ({seen.mailbox}); "
            f"its row says {said}.",
        )
    if not seen.folder:
        stale = row is not None and row.container != "stopped"
        reason = "No files: it has a row in the central DB and no folder."
        return _asleep(f"{reason} {_stale_row(seen)}" if stale else reason, steady=True)
    if row is None and seen.central:
        return _asleep("No row in the central DB: its folder is left over.", steady=True)
    if row is not None and row.status == "closed":
        return _asleep("Closed: nothing is delivered and nothing starts it.", steady=True)
    if seen.held:
        return SessionJudgement(
            SandboxState.SETTLING,
            _mention_human(
                seen, "Its row says running and no container is listed: it starts or ends."
            ),
        )
    note = _stale_row(seen) if row is not None and row.container == "running" else ""
    if files.unread:
        return _asleep(f"Stopped; {files.problem}. {note}")
    if files.problem:
        note = f"{note} {sentence(files.problem)}".strip()
    if files.waiting > 0:
        return _wanted(seen, note, now)
    if files.next_at is not None and files.next_at > now:
        return SessionJudgement(
            SandboxState.ASLEEP,
            _mention_human(seen, f"{_next(files, now)} {note}"),
            by_design=not files.next_tries,
            starts_at=files.next_at,
            until=files.next_at,
        )
    if seen.context:
        return _asleep(
            _mention_human(
                seen,
                f"Accumulates only: {plural(seen.context, 'context message')}, none of which "
                f"wakes it. {note}",
            ),
            steady=True,
        )
    if seen.paused:
        return _asleep(_mention_human(seen, f"{seen.paused} {note}"), steady=True)
    return _asleep(_mention_human(seen, f"Stopped, nothing waits. {note}"), steady=True)


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
        return _start_fails(seen, trouble, note)
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


def _start_fails(seen: SessionEvidence, trouble: StartFailure, note: str) -> SessionJudgement:
    """Said at the first failure, and the same while the host tries again."""
    tries = trouble.since(seen.files.heartbeat_at)
    often = "Start fails every time" if tries >= _EVERY_TIME else "Start failed"
    waits = plural(seen.files.waiting, "message") + " due"
    return SessionJudgement(
        SandboxState.BROKEN,
        _mention_human(seen, f"{often}: {trouble.why.rstrip('.')}. {waits}. {note}"),
        failing=True,
    )


_EVERY_TIME = 3


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


def _asleep(reason: str, *, steady: bool = False) -> SessionJudgement:
    return SessionJudgement(SandboxState.ASLEEP, reason.strip(), by_design=True, steady=steady)


def lost(files: AgentFacts, now: float) -> int:
    """Deliveries given up within a day."""
    return sum(1 for at in files.failed_at if now - at < _LOST_S)


_LOST_S = 86_400.0


def _mention_human(seen: SessionEvidence, reason: str) -> str:
    return f"{seen.human} {reason}".strip() if seen.human else reason.strip()
