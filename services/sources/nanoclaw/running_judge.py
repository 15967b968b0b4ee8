"""Judges a session whose container is there, by the rules of its host's generation; pure."""

from __future__ import annotations

from services.models import Activity, SandboxState
from services.queues.facts import AgentFacts, verdict
from services.queues.stuck import (
    MAX_TRIES,
    StuckAction,
    StuckVerdict,
    decide_tracked,
    idle_reap_at,
    working,
)
from services.sources.nanoclaw.containers import CREATED, RUNNING, AgentContainer
from services.sources.nanoclaw.evidence import (
    SessionEvidence,
    SessionJudgement,
    mention_human,
    start_fails,
)
from services.sources.nanoclaw.generation import Ceiling
from services.text.format import ago, span

START_S = 120.0
"""A container that gave no sign of life for longer was never active.

See upstream/nanoclaw: Container and host state.
"""
SPAWN_S = 15.0
"""A container runs before its row says so."""
_LOOP_S = 15 * 60.0
"""A start this soon after a failed one is another try of the same."""
TRIES = MAX_TRIES + 1


def judge_running(seen: SessionEvidence, container: AgentContainer, now: float) -> SessionJudgement:
    age = None if container.started_at is None else now - container.started_at
    if seen.doubled:
        return SessionJudgement(
            SandboxState.STUCK,
            "Two containers on one session: each takes messages, and replies may come twice.",
        )
    if container.status in CREATED:
        return SessionJudgement(SandboxState.SETTLING, "Its container is made and starts.")
    if container.status == "stopping":
        return SessionJudgement(SandboxState.SETTLING, "Its container ends.")
    if container.status == "restarting":
        return SessionJudgement(SandboxState.SETTLING, "Its container restarts.")
    if container.status == "paused":
        return SessionJudgement(
            SandboxState.STUCK,
            "Paused: nothing in it moves, and the host ends it when it was silent too long.",
        )
    if container.status not in RUNNING:
        return SessionJudgement(
            SandboxState.UNKNOWN,
            f"Its container is {container.status!r}, a word this panel does not know.",
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
    return judge_alive(seen, now, container.started_at)


def judge_alive(seen: SessionEvidence, now: float, started: float | None) -> SessionJudgement:
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
            return start_fails(seen, trouble, "")
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


def stale_tool(files: AgentFacts, started: float | None) -> bool:
    """Whether the tool is left over from an earlier container (upstream/nanoclaw: Stuck agents)."""
    begun = files.tool_started_at
    return bool(files.tool) and begun is not None and started is not None and begun < started


def _heartbeat(files: AgentFacts, started: float | None) -> float | None:
    """The heartbeat, unless it can only be that of an earlier container."""
    beat = files.heartbeat_at
    return None if beat is not None and started is not None and beat < started - 60 else beat


def _busy(seen: SessionEvidence) -> str:
    return mention_human(seen, "")


def _idle(seen: SessionEvidence, beat: float, now: float) -> str:
    started = None if seen.container is None else seen.container.started_at
    reap = reaped_at(seen, beat, started) - now
    if seen.host_up is False:
        return mention_human(seen, "Idle; no host is up to end it or to bring it messages.")
    when = f"reaped in {span(reap)}" if reap > 0 else "the next sweep reaps it"
    return mention_human(seen, f"Idle, {when} unless a message comes.")
