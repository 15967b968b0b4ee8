"""Judges gateway, host and agents of the embedded world from evidence; pure functions."""

from __future__ import annotations

from dataclasses import dataclass

from services.models import Activity, GatewayState, SandboxState
from services.process.identity import Liveness
from services.sources.local import starts
from services.sources.local.gateway_probe import GatewayEvidence, ProbeOutcome
from services.sources.protocol.verdict import Verdict, VerdictKind

START_S = 5.0
"""A process this young may still be getting ready."""
SILENCE_S = 8.0
"""Embedded agents touch their heartbeat every second, busy or not; this much silence is a hang."""

REFUSED = "The gateway refuses this panel's credential (403)."
REFUSED_ADVICE = (
    "Waking cannot help: the gateway is up and says no. Issue a new credential with "
    "`wakedeck local down` and start again, or clear the fault with "
    "`wakedeck local fault SANDBOX clear`."
)
_WAKEABLE = (SandboxState.ASLEEP, SandboxState.DOWN, SandboxState.STUCK, SandboxState.BROKEN)


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """One role's process, as the system sees it."""

    pid: int | None
    liveness: Liveness
    started_at: float | None = None
    starting: bool = False
    """It was started and has not left a record of its own."""


@dataclass(frozen=True, slots=True)
class AgentEvidence:
    """Everything known of one sandbox."""

    process: ProcessFacts
    heartbeat_at: float | None
    tool: str = ""
    claims: int = 0
    due: int = 0
    crashes: int = 0
    """Starts that failed since the last good one."""
    last_crash: str = ""
    gave_up: bool = False
    folder: bool = True


StateReason = tuple[GatewayState, str]


def gateway(process: ProcessFacts, seen: GatewayEvidence | None, now: float) -> StateReason:
    """The gateway's state and the sentence that goes with it."""
    if process.starting:
        return _start(process, "Gateway", now)
    if process.pid is None:
        return GatewayState.ABSENT, "The embedded gateway is not running."
    if process.liveness.over:
        return GatewayState.DOWN, f"Gateway process {process.pid} has died."
    if process.liveness is Liveness.STOPPED:
        return (
            GatewayState.HUNG,
            f"Gateway process {process.pid} is stopped: it accepts and never answers.",
        )
    young = process.started_at is not None and now - process.started_at < START_S
    if seen is None:
        return GatewayState.SETTLING, "The gateway is starting."
    if seen.health.answer is ProbeOutcome.REFUSED:
        if young:
            return GatewayState.SETTLING, "The gateway is starting."
        return GatewayState.DOWN, "Nothing listens on the gateway's socket."
    if seen.health.answer is ProbeOutcome.FOREIGN:
        return GatewayState.WRONG, "The gateway's socket is used by another program."
    if seen.health.answer is ProbeOutcome.UNAVAILABLE and seen.health.word == "full":
        return GatewayState.SETTLING, "The gateway holds as many connections as it can."
    if seen.health.answer is not ProbeOutcome.OK:
        return GatewayState.HUNG, "The gateway accepts connections and does not answer."
    return _past_health(seen)


def _past_health(seen: GatewayEvidence) -> StateReason:
    ready = seen.ready
    if ready is not None and ready.answer is ProbeOutcome.UNAVAILABLE:
        if ready.word == "draining":
            return GatewayState.SETTLING, "The gateway is draining: it is about to end."
        return GatewayState.SETTLING, "The gateway is starting."
    if ready is None or ready.answer is not ProbeOutcome.OK:
        return GatewayState.HUNG, "The gateway is alive and does not say whether it is ready."
    members = seen.members
    if members is not None and members.answer is ProbeOutcome.DENIED:
        return GatewayState.WRONG, REFUSED
    if members is None or members.answer is not ProbeOutcome.OK:
        return GatewayState.HUNG, "The gateway says it is ready and does not answer us."
    return GatewayState.READY, ""


def _start(process: ProcessFacts, what: str, now: float) -> StateReason:
    """Of a process that left no record of its own yet."""
    who = f"{what} process {process.pid}"
    if process.liveness.over:
        return GatewayState.DOWN, f"{who} ended as it started; its log says why."
    if process.liveness is Liveness.STOPPED:
        return GatewayState.HUNG, f"{who} is stopped: it does not get ready."
    if starts.is_young(process.started_at, now):
        return GatewayState.SETTLING, f"The {what.lower()} is starting."
    return GatewayState.HUNG, f"{who} does not get ready; its log may say why."


def host(process: ProcessFacts, now: float) -> StateReason:
    """The traffic side has no port; its process is all there is to see."""
    if process.starting:
        return _start(process, "Host", now)
    if process.pid is None:
        return GatewayState.ABSENT, "The host process is not running: no message moves."
    if process.liveness.over:
        return GatewayState.DOWN, f"Host process {process.pid} has died: no message moves."
    if process.liveness is Liveness.STOPPED:
        return GatewayState.HUNG, f"Host process {process.pid} is stopped: no message moves."
    return GatewayState.READY, ""


def sandbox(seen: AgentEvidence, now: float) -> tuple[SandboxState, Activity, str]:
    """A sandbox's state, what it is doing, and the sentence that goes with it."""
    process = seen.process
    pid = process.pid
    if not seen.folder:
        return SandboxState.SETTLING, Activity.NONE, "Its folder is being created."
    if seen.gave_up:
        return (
            SandboxState.BROKEN,
            Activity.NONE,
            f"Crashes at every start ({seen.crashes} times): {seen.last_crash}.",
        )
    young = starts.is_young(process.started_at, now)
    if process.starting and young and process.liveness is Liveness.RUNNING:
        return SandboxState.SETTLING, Activity.NONE, "The agent is starting."
    if pid is None or process.liveness.over:
        if seen.crashes:
            return (
                SandboxState.SETTLING,
                Activity.NONE,
                f"Crashed at start, the host tries again: {seen.last_crash}.",
            )
        waiting = (
            ("", "; 1 message waits")[seen.due] if seen.due < 2 else f"; {seen.due} messages wait"
        )
        ends = "ended as it started" if process.starting else "has died"
        what = "Not started" if pid is None else f"Process {pid} {ends}"
        # Only what was never started, or ended cleanly, with nothing to do sleeps by design.
        ended = pid is not None or bool(seen.due)
        state = SandboxState.DOWN if ended else SandboxState.ASLEEP
        return state, Activity.NONE, f"{what}{waiting}."
    silence = None if seen.heartbeat_at is None else max(0.0, now - seen.heartbeat_at)
    if process.liveness is Liveness.STOPPED:
        return (
            SandboxState.STUCK,
            Activity.NONE,
            f"Process {pid} is stopped: no progress.",
        )
    if process.starting or silence is None or silence > SILENCE_S:
        if young and not _was_alive(seen):
            return SandboxState.SETTLING, Activity.NONE, "The agent is starting."
        return (
            SandboxState.STUCK,
            Activity.NONE,
            f"Process {pid} is alive and gives no sign of life.",
        )
    busy = bool(seen.tool or seen.claims)
    backlog = f"Backlog of {seen.due} messages, it drains by itself." if seen.due > 20 else ""
    return SandboxState.READY, Activity.WORKING if busy else Activity.IDLE, backlog


def _was_alive(seen: AgentEvidence) -> bool:
    """Whether it gave a sign of life since it began."""
    beat, began = seen.heartbeat_at, seen.process.started_at
    return beat is not None and began is not None and beat > began


def verdict(
    front: StateReason, traffic: StateReason, agent: tuple[SandboxState, Activity, str]
) -> Verdict:
    """What an attempt may do: the first trouble on the way from the gateway inwards decides."""
    if front == (GatewayState.WRONG, REFUSED):
        return Verdict(VerdictKind.TERMINAL, REFUSED, advice=REFUSED_ADVICE)
    if front[0] is GatewayState.WRONG:
        return Verdict(
            VerdictKind.TERMINAL,
            front[1],
            advice="End that program, or `wakedeck local down` and start again.",
        )
    for judged, trouble in (front, traffic):
        if judged in (GatewayState.DOWN, GatewayState.HUNG, GatewayState.ABSENT):
            return Verdict(VerdictKind.REPAIRABLE, trouble, wakeable=True)
    state, _, reason = agent
    if state in _WAKEABLE:
        return Verdict(VerdictKind.REPAIRABLE, reason, wakeable=True)
    if GatewayState.SETTLING in (front[0], traffic[0]):
        return Verdict(VerdictKind.SETTLING, front[1] or traffic[1])
    if state is SandboxState.SETTLING:
        return Verdict(VerdictKind.SETTLING, reason)
    return Verdict(VerdictKind.READY, reason)
