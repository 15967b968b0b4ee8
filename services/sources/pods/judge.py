"""What a pod is doing, in plain words: pure functions of what the API says."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from services.models import Facts, SandboxState
from services.sources.pods.judgement import PodJudgement, known, words_for
from services.sources.pods.pod import ContainerState, ContainerStateTerminated, ContainerStatus, Pod
from services.text.sanitize import sanitize

SETTLES_S = 120.0
"""A container that runs this long without passing its readiness probe is stuck."""
_SIGNALS = {130: "interrupted", 137: "killed", 139: "crashed", 143: "asked to stop"}


def judge(pod: Pod, now: float) -> PodJudgement:
    """What a pod is, why, and whether a shell can be had in it."""
    phase = pod.status.phase or "Unknown"
    if pod.metadata.deletion_timestamp is not None:
        lost = pod.status.reason == "NodeLost"
        state, said = words_for("NodeLost" if lost else "Terminating")
        return PodJudgement(state, said, "it is being deleted" if phase != "Running" else "")
    if phase in ("Succeeded", "Failed"):
        return _finished(pod, phase)
    if phase == "Running":
        return _running(pod, now)
    if phase == "Pending":
        return _pending(pod)
    state, said = words_for(phase)
    return PodJudgement(state, said, f"its phase is {sanitize(phase, 40)}")


def _finished(pod: Pod, phase: str) -> PodJudgement:
    why = pod.status.reason or ""
    state, said = words_for(why if known(why) else phase)
    ended = [one for one in _terminated(pod.status.container_statuses or ()) if one[1].exit_code]
    detail = sanitize(pod.status.message or "", 160) or (ending(*ended[0]) if ended else "")
    return PodJudgement(state, _joined(said, detail), "a finished pod has no shell")


def _running(pod: Pod, now: float) -> PodJudgement:
    statuses = pod.status.container_statuses or ()
    running = [one for one in statuses if one.state is not None and one.state.running is not None]
    no_shell = "" if running else "none of its containers runs"
    for one in statuses:
        if one.state is not None and one.state.waiting is not None and one.state.waiting.reason:
            waiting = one.state.waiting
            state, said = words_for(waiting.reason or "")
            detail = _last(one) or sanitize(waiting.message or "", 160)
            return PodJudgement(state, _joined(_of(pod, one, said), detail), no_shell)
    ended = _terminated(statuses)
    if ended and not running:
        return PodJudgement(SandboxState.SETTLING, ending(*ended[0]), no_shell)
    unready = [one for one in running if not one.ready]
    if unready:
        since = max((_started(one) for one in unready), default=0.0)
        said = _of(pod, unready[0], "it runs and does not pass its readiness probe")
        settling = now - since < SETTLES_S
        return PodJudgement(
            SandboxState.SETTLING if settling else SandboxState.STUCK, said, no_shell
        )
    gate = next(
        (c for c in pod.status.conditions or () if c.type == "Ready" and c.status != "True"), None
    )
    if gate is not None and gate.reason == "ReadinessGatesNotReady":
        return PodJudgement(
            SandboxState.SETTLING,
            _joined("a readiness gate is closed", sanitize(gate.message or "", 160)),
        )
    if ended:
        return PodJudgement(SandboxState.STUCK, ending(*ended[0]), no_shell)
    return PodJudgement(SandboxState.READY, "", no_shell)


def _pending(pod: Pod) -> PodJudgement:
    no_shell = "it has not started"
    statuses = (*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ()))
    waits = "Pending"
    for one in statuses:
        state = one.state or ContainerState()
        if state.waiting is not None and state.waiting.reason:
            found, said = words_for(state.waiting.reason)
            if found is not SandboxState.SETTLING:
                detail = _last(one) or sanitize(state.waiting.message or "", 160)
                return PodJudgement(found, _joined(_of(pod, one, said), detail), no_shell)
            waits = state.waiting.reason
        if state.terminated is not None and state.terminated.exit_code:
            return PodJudgement(SandboxState.STUCK, ending(one, state.terminated), no_shell)
    for condition in pod.status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False":
            found, said = words_for(condition.reason or "Unschedulable")
            return PodJudgement(
                found, _joined(said, sanitize(condition.message or "", 200)), no_shell
            )
    return PodJudgement(*words_for(waits), no_shell)


def ending(container: ContainerStatus, how: ContainerStateTerminated) -> str:
    """How a container ended."""
    code = how.exit_code
    words = [f"container {sanitize(container.name, 60)} ended"]
    if how.reason:
        words.append(
            words_for(how.reason)[1] if how.reason == "OOMKilled" else sanitize(how.reason, 60)
        )
    if code is not None:
        meaning = _SIGNALS.get(code)
        words.append(f"exit code {code}{f' ({meaning})' if meaning else ''}")
    said = words[0] + (f": {', '.join(words[1:])}" if len(words) > 1 else "")
    return _joined(said, sanitize(how.message or "", 120))


def evidence(pod: Pod) -> Facts:
    """What the judgement rests on, for the details."""
    rows = [
        ("phase", sanitize(pod.status.phase or "none", 40)),
        ("namespace", sanitize(pod.metadata.namespace, 80)),
        ("node", sanitize(pod.spec.node_name or "none yet", 80)),
        ("created", sanitize(pod.metadata.creation_timestamp or "unknown", 40)),
        ("restarts", str(pod.restarts)),
    ]
    images = {one.name: one.image or "" for one in pod.spec.containers}
    for one in pod.status.container_statuses or ():
        image = sanitize(images.get(one.name, ""), 80)
        rows.append((f"container {sanitize(one.name, 60)}", f"{_doing(one)}, {image}"))
        last = _last(one)
        if last:
            rows.append((f"last end of {sanitize(one.name, 60)}", last))
    return tuple(rows)


def _doing(one: ContainerStatus) -> str:
    state = one.state
    if state is None:
        doing = "unknown"
    elif state.running is not None:
        doing = "running" if one.ready else "running, not ready"
    elif state.waiting is not None:
        doing = f"waiting ({sanitize(state.waiting.reason or 'no reason given', 60)})"
    else:
        doing = "ended"
    return f"{doing}, {one.restart_count} restarts" if one.restart_count else doing


def _last(one: ContainerStatus) -> str:
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
    return said if len(pod.spec.containers) < 2 else f"container {sanitize(one.name, 60)}: {said}"


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
