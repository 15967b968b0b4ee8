"""What a pod is doing, in plain words: pure functions of what the API says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from services.models import SandboxState
from services.sources.pods.judgement import PodJudgement, known, waiting_words, words_for
from services.sources.pods.pod import ContainerStateTerminated, ContainerStatus, Pod, PodCondition
from services.text.sanitize import sanitize

SETTLES_S = 120.0
"""What starts or becomes ready for longer than this is stuck."""
ENDS_S = 60.0
"""A pod that is still there this long after its grace period does not end."""
_SIGNALS = {130: "interrupted", 137: "killed", 139: "crashed", 143: "asked to stop"}


def judge(pod: Pod, now: float) -> PodJudgement:
    """What a pod is, why, and whether a shell can be had in it.

    The first check that knows is right; green is what none of them objects to.
    """
    for check in _CHECKS:
        judgement = check(pod, now)
        if judgement is not None:
            return judgement
    return PodJudgement(SandboxState.READY, "", _no_shell(pod), _since(pod.condition("Ready")))


def _deleted(pod: Pod, now: float) -> PodJudgement | None:
    ends = pod.metadata.deletion_timestamp
    if ends is None:
        return None
    no_shell = "it is being deleted" if pod.status.phase != "Running" else ""
    if _node_condition(pod) is not None or pod.status.reason == "NodeLost":
        return PodJudgement(*words_for("NodeLost"), no_shell)
    state, said = words_for("Terminating")
    at = instant(ends)
    if at is not None and now - at > ENDS_S:
        held = ", ".join(pod.metadata.finalizers or ())
        why = f"finalizers: {sanitize(held, 160)}" if held else "its node has not removed it"
        return PodJudgement(SandboxState.STUCK, f"it does not end since {ends}; {why}", no_shell)
    return PodJudgement(state, said, no_shell)


def _finished(pod: Pod, _now: float) -> PodJudgement | None:
    phase = pod.status.phase
    if phase not in ("Succeeded", "Failed"):
        return None
    why = pod.status.reason or ""
    state, said = words_for(why if known(why) else phase)
    if phase == "Failed":
        state = SandboxState.BROKEN
    if why and not known(why):
        said = _joined(said, sanitize(why, 60))
    ended = [one for one in _terminated(pod.status.container_statuses or ()) if one[1].exit_code]
    detail = sanitize(pod.status.message or "", 160) or (ending(*ended[0]) if ended else "")
    ends = [at for one in pod.status.container_statuses or () if (at := _ended_at(one)) is not None]
    told_at = max(ends, default=None)
    return PodJudgement(state, _joined(said, detail), "a finished pod has no shell", told_at)


def _node_lost(pod: Pod, _now: float) -> PodJudgement | None:
    lost = _node_condition(pod)
    if lost is None and pod.status.reason != "NodeLost":
        return None
    state, said = words_for("NodeLost")
    if lost is not None and lost.last_transition_time:
        said = f"{said} since {sanitize(lost.last_transition_time, 40)}"
    detail = sanitize(pod.status.message or "", 160)
    return PodJudgement(state, _joined(said, detail), _no_shell(pod))


def _other_phase(pod: Pod, _now: float) -> PodJudgement | None:
    phase = pod.status.phase
    if phase in ("Running", "Pending"):
        return None
    if not phase:
        said = sanitize(pod.status.message or "its cluster does not say what it is doing", 160)
        return PodJudgement(SandboxState.UNKNOWN, said, "its phase is not told")
    return PodJudgement(*words_for(phase), f"its phase is {sanitize(phase, 40)}")


def _failing_init(pod: Pod, _now: float) -> PodJudgement | None:
    """Init containers hold up a start only; later their end is history."""
    if pod.status.phase != "Pending":
        return None
    for one in pod.status.init_container_statuses or ():
        how = one.state.terminated if one.state is not None else None
        if how is not None and how.exit_code:
            return PodJudgement(SandboxState.STUCK, f"init {ending(one, how)}", _no_shell(pod))
        failing = _failing(pod, one)
        if failing is not None:
            return failing
    return None


def _failing_container(pod: Pod, _now: float) -> PodJudgement | None:
    for one in pod.lasting:
        failing = _failing(pod, one)
        if failing is not None:
            return failing
    if pod.status.phase == "Pending":
        for one, how in _terminated(pod.status.container_statuses or ()):
            if how.exit_code:
                return PodJudgement(SandboxState.STUCK, ending(one, how), _no_shell(pod))
    return None


def _failing(pod: Pod, one: ContainerStatus) -> PodJudgement | None:
    waiting = None if one.state is None else one.state.waiting
    if waiting is None or not waiting.reason:
        return None
    state, said = waiting_words(waiting.reason)
    if state is SandboxState.SETTLING:
        return None
    detail = last_end(one) or sanitize(waiting.message or "", 160)
    return PodJudgement(state, _joined(_of(pod, one, said), detail), _no_shell(pod))


def _pending(pod: Pod, now: float) -> PodJudgement | None:
    if pod.status.phase != "Pending":
        return None
    no_shell = _no_shell(pod)
    scheduled = pod.condition("PodScheduled")
    if scheduled is not None and scheduled.status == "False":
        state, said = words_for(scheduled.reason or "Unschedulable")
        detail = sanitize(scheduled.message or "", 200)
        return PodJudgement(state, _joined(said, detail), no_shell)
    init = pod.status.init_container_statuses or ()
    if init and not all(_done(pod, one) for one in init):
        done = sum(_done(pod, one) for one in init)
        current = next(one for one in init if not _done(pod, one))
        said = f"{done} of {len(init)} done, at {sanitize(current.name, 60)}"
        state, words = words_for("PodInitializing")
        if current.state is not None and current.state.running is not None:
            return PodJudgement(state, _joined(words, said), no_shell)
        return PodJudgement(_patience(_began(pod), now), _joined(words, said), no_shell)
    waits = (one.state.waiting for one in pod.lasting if one.state is not None)
    reasons = [one.reason for one in waits if one is not None and one.reason]
    said = words_for(reasons[0] if reasons else "Pending")[1]
    return PodJudgement(_patience(_began(pod), now), said, no_shell)


def _disrupted(pod: Pod, _now: float) -> PodJudgement | None:
    condition = pod.condition("DisruptionTarget")
    if condition is None or condition.status != "True":
        return None
    why = ": ".join(part for part in (condition.reason, condition.message) if part)
    said = _joined("it is about to be evicted", sanitize(why, 200))
    return PodJudgement(SandboxState.SETTLING, said, _no_shell(pod))


def _unready(pod: Pod, now: float) -> PodJudgement | None:
    """Containers that do not run or are not ready, by name."""
    for one in pod.lasting:
        waiting = None if one.state is None else one.state.waiting
        if waiting is not None:
            said = words_for(waiting.reason)[1] if waiting.reason else "it waits to be started"
            since = _since(pod.condition("Ready"))
            return PodJudgement(_patience(since, now), _of(pod, one, said), _no_shell(pod))
    running = [one for one in pod.lasting if _runs(one)]
    unready = [one for one in running if not one.ready]
    ended = _terminated(pod.lasting)
    if ended and not running:
        return PodJudgement(SandboxState.SETTLING, ending(*ended[0]), _no_shell(pod))
    if unready:
        since = max(_started(one) for one in unready)
        said = _of(pod, unready[0], "it runs and does not pass its readiness probe")
        return PodJudgement(_patience(since, now), said, _no_shell(pod))
    if ended:
        return PodJudgement(SandboxState.STUCK, ending(*ended[0]), _no_shell(pod))
    return None


def _not_ready(pod: Pod, now: float) -> PodJudgement | None:
    """The pod's own word: whatever its containers look like, it is not ready."""
    condition = pod.condition("Ready")
    if condition is None:
        if pod.lasting and all(_runs(one) and one.ready for one in pod.lasting):
            return None
        late = _patience(_began(pod), now) is SandboxState.STUCK
        state = SandboxState.UNKNOWN if late else SandboxState.SETTLING
        said = "its cluster does not say whether it is ready"
        return PodJudgement(state, said, _no_shell(pod))
    if condition.status == "True":
        return None
    if condition.status != "False":
        said = f"Ready is {sanitize(condition.status, 60)!r}, a word this panel does not know"
        return PodJudgement(SandboxState.UNKNOWN, said, _no_shell(pod))
    gate = condition.reason == "ReadinessGatesNotReady"
    said = "a readiness gate is closed" if gate else "its cluster says it is not ready"
    detail = sanitize(condition.message or condition.reason or "", 160)
    state = _patience(_since(condition), now)
    return PodJudgement(state, _joined(said, detail), _no_shell(pod))


_CHECKS: tuple[Callable[[Pod, float], PodJudgement | None], ...] = (
    _deleted,
    _finished,
    _node_lost,
    _other_phase,
    _failing_init,
    _failing_container,
    _pending,
    _disrupted,
    _unready,
    _not_ready,
)
"""In the order of upstream/pods: Pod phases."""


def _node_condition(pod: Pod) -> PodCondition | None:
    """The condition that says that its node is silent."""
    ready = pod.condition("Ready")
    if ready is None or ready.status == "True":
        return None
    silent = ready.status == "Unknown" or ready.reason in ("NodeNotReady", "NodeStatusUnknown")
    return ready if silent else None


def _no_shell(pod: Pod) -> str:
    debugging = pod.status.ephemeral_container_statuses or ()
    if any(_runs(one) for one in (*pod.lasting, *debugging)):
        return ""
    return "it has not started" if pod.status.phase == "Pending" else "none of its containers runs"


def _runs(one: ContainerStatus) -> bool:
    return one.state is not None and one.state.running is not None


def _done(pod: Pod, one: ContainerStatus) -> bool:
    """Whether the start goes on behind this init container."""
    if pod.is_sidecar(one.name):
        return bool(one.started)
    return one.state is not None and one.state.terminated is not None


def _began(pod: Pod) -> float | None:
    return instant(pod.status.start_time) or instant(pod.metadata.creation_timestamp)


def _since(condition: PodCondition | None) -> float | None:
    return None if condition is None else instant(condition.last_transition_time)


def _ended_at(one: ContainerStatus) -> float | None:
    ended = None if one.state is None else one.state.terminated
    return None if ended is None else instant(ended.finished_at)


def _patience(since: float | None, now: float) -> SandboxState:
    """Settling for a while, then stuck; settling too where nobody says since when."""
    late = since is not None and now - since >= SETTLES_S
    return SandboxState.STUCK if late else SandboxState.SETTLING


def ending(container: ContainerStatus, how: ContainerStateTerminated) -> str:
    """How a container ended."""
    code = how.exit_code
    words = [f"container {sanitize(container.name, 60)} ended"]
    if how.reason:
        words.append(
            words_for(how.reason)[1] if how.reason == "OOMKilled" else sanitize(how.reason, 60)
        )
    if how.signal:
        words.append(f"signal {how.signal}")
    if code is not None:
        meaning = _SIGNALS.get(code)
        words.append(f"exit code {code}{f' ({meaning})' if meaning else ''}")
    said = words[0] + (f": {', '.join(words[1:])}" if len(words) > 1 else "")
    return _joined(said, sanitize(how.message or "", 120))


def last_end(one: ContainerStatus) -> str:
    """How the run before ended; empty where none did."""
    if one.last_state is None or one.last_state.terminated is None:
        return ""
    return ending(one, one.last_state.terminated)


def _terminated(
    statuses: Iterable[ContainerStatus],
) -> list[tuple[ContainerStatus, ContainerStateTerminated]]:
    return [
        (one, one.state.terminated)
        for one in statuses
        if one.state is not None and one.state.terminated is not None
    ]


def _of(pod: Pod, one: ContainerStatus, said: str) -> str:
    if pod.role(one.name) == "container" and len(pod.lasting) < 2:
        return said
    return f"{pod.role(one.name)} {sanitize(one.name, 60)}: {said}"


def _joined(said: str, detail: str) -> str:
    return f"{said}; {detail}" if detail else said


def _started(one: ContainerStatus) -> float:
    running = None if one.state is None else one.state.running
    return instant(running.started_at if running is not None else None) or 0.0


def instant(text: str | None) -> float | None:
    """Seconds since the epoch of an RFC 3339 time; None where it is none."""
    try:
        return datetime.fromisoformat(text or "").timestamp()
    except (ValueError, OverflowError):
        return None
