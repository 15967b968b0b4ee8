"""What a sandbox of a cluster is, from its conditions and its pod: the table of states, pure.

See upstream/agent-sandbox: States.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from services.models import SandboxState
from services.sources.pods.agent_sandbox.judgement import Evidence, SandboxJudgement
from services.sources.pods.agent_sandbox.records import ResourceCondition, SandboxResource
from services.sources.pods.judge import SETTLES_S, instant
from services.sources.pods.judgement import PodJudgement, words_for
from services.sources.pods.pod import Pod, PodCondition
from services.sources.protocol.verdict import VerdictKind
from services.text.format import clock_time
from services.text.sanitize import sanitize

HELD_S = 10.0
"""So long a pod that contradicts a ready sandbox is taken for two looks at different moments."""
SOON_S = 86_400.0
"""A life that ends within this is counted down on the row."""
NO_CONTROLLER = "no controller has looked at it: is agent-sandbox running in the cluster?"
_ASK_CONTROLLER = (
    "Look at the agent-sandbox controller: `kubectl get pods -n agent-sandbox-system`."
)
_TRANSIENT_REASONS = frozenset({"DependenciesNotReady", "SandboxSuspended", "IdleSuspended", ""})
"""Of a sandbox that is not ready and on its way."""
_TROUBLE = frozenset({SandboxState.BROKEN, SandboxState.STUCK, SandboxState.UNKNOWN})


def judge(evidence: Evidence, now: float) -> SandboxJudgement:
    """State, reason and what a wake may do; the first row of the table that fits."""
    for check in _CHECKS:
        found = check(evidence, now)
        if found is not None:
            return _with_lapse(found, evidence, now)
    raise AssertionError("the last row of the table fits always")


def is_contradicted(evidence: Evidence, now: float) -> bool:
    """Whether it is called ready while its pod is missing or in trouble."""
    ready = evidence.condition("Ready")
    if ready is None or ready.status != "True" or evidence.sandbox.mode != "Running":
        return False
    pod = evidence.pod_judgement(now)
    return pod is None or pod.state in _TROUBLE


def _deleted(it: Evidence, now: float) -> SandboxJudgement | None:
    at = it.sandbox.metadata.deletion_timestamp
    if at is None:
        return None
    held = ", ".join(it.sandbox.metadata.finalizers or ())
    waits = f"; it waits for {sanitize(held, 160)}" if held else ""
    return SandboxJudgement(
        SandboxState.SETTLING,
        f"being deleted by the cluster since {_when(instant(at))}{waits}",
        VerdictKind.TERMINAL,
        instant(at),
        advice="There is nothing to wake.",
        no_shell="it is being deleted",
    )


def _expired(it: Evidence, now: float) -> SandboxJudgement | None:
    ends = instant(it.sandbox.spec.shutdown_time)
    ready = it.condition("Ready")
    told = ready is not None and ready.status == "False" and ready.reason == "SandboxExpired"
    if not told and (ends is None or ends > now):
        return None
    at = ends if ends is not None and ends <= now else _since(ready)
    deletes = it.sandbox.spec.shutdown_policy == "Delete"
    kept = "its policy Delete has the cluster delete it" if deletes else "Retain keeps the object"
    return SandboxJudgement(
        SandboxState.BROKEN,
        f"its life ended at {_when(at)}; {kept}, its pod is gone",
        VerdictKind.TERMINAL,
        at,
        advice="Waking cannot help: the controller tears it down again. Whoever made it has to"
        " give it a later shutdownTime, or make another one.",
        no_shell="its life has ended",
    )


def _unseen(it: Evidence, now: float) -> SandboxJudgement | None:
    """Without a condition, no controller has looked."""
    if it.sandbox.status.conditions:
        return None
    began = instant(it.sandbox.metadata.creation_timestamp)
    return _awaited("it waits for its controller", began, now)


def _outdated(it: Evidence, now: float) -> SandboxJudgement | None:
    """Conditions of an earlier wish say nothing of this one."""
    if not it.outdated:
        return None
    wish = "suspending" if it.sandbox.mode == "Suspended" else "resuming"
    return _awaited(f"{wish}: the controller has not taken it up yet", it.outdated_since, now)


def _awaited(said: str, began: float | None, now: float) -> SandboxJudgement:
    lapses = None if began is None else began + SETTLES_S
    if lapses is not None and lapses <= now:
        state, kind, said = SandboxState.UNKNOWN, VerdictKind.UNKNOWN, NO_CONTROLLER
        lapses = None
    else:
        state, kind = SandboxState.SETTLING, VerdictKind.SETTLING
    none = "it has not started"
    return SandboxJudgement(state, said, kind, began, lapses, _ASK_CONTROLLER, none)


def _odd_mode(it: Evidence, now: float) -> SandboxJudgement | None:
    mode = it.sandbox.mode
    if mode in ("Running", "Suspended"):
        return None
    said = f"its operatingMode is {sanitize(mode, 60)!r}, which this panel does not know"
    return SandboxJudgement(
        SandboxState.UNKNOWN,
        said,
        VerdictKind.UNKNOWN,
        advice="Nothing is done to what is not understood.",
        unknown_word=mode,
    )


def _suspended(it: Evidence, now: float) -> SandboxJudgement | None:
    if it.sandbox.mode != "Suspended":
        return None
    told = it.condition("Suspended")
    none = "it is suspended"
    if told is not None and told.status == "Unknown":
        said = "suspending; the controller cannot see its pod"
        return SandboxJudgement(
            SandboxState.UNKNOWN, said, VerdictKind.UNKNOWN, _since(told), None, _ASK_CONTROLLER
        )
    if told is not None and told.status == "False" and told.reason == "PodNotOwned":
        return SandboxJudgement(
            SandboxState.BROKEN,
            "a pod of its name belongs to somebody else; the controller refuses to delete it",
            VerdictKind.TERMINAL,
            _since(told),
            advice=f"Look at that pod: `kubectl describe pod -n {it.sandbox.metadata.namespace}"
            f" {it.sandbox.pod_name}`.",
            no_shell="the pod of its name is not its own",
        )
    # Controllers before the Suspended condition say it by the absence of the pod alone.
    bare = told is None and it.sandbox.condition("Suspended") is None and it.pod is None
    if bare or (told is not None and told.status == "True"):
        since = _since(told or it.condition("Ready"))
        said = f"suspended since {_when(since)}; its volumes are kept"
        return SandboxJudgement(
            SandboxState.ASLEEP, said, VerdictKind.REPAIRABLE, since, no_shell=none
        )
    ending = it.pod_judgement(now) if _is_ending(it.pod) else None
    if ending is not None and ending.state is SandboxState.STUCK:
        said = f"suspending; {ending.reason}"
        return SandboxJudgement(
            SandboxState.STUCK, said, VerdictKind.SETTLING, no_shell="it is suspending"
        )
    return SandboxJudgement(
        SandboxState.SETTLING, "suspending", VerdictKind.SETTLING, no_shell="it is suspending"
    )


def _ready(it: Evidence, now: float) -> SandboxJudgement | None:
    ready = it.condition("Ready")
    if ready is None or ready.status != "True":
        return None
    found = SandboxJudgement(SandboxState.READY, "", VerdictKind.READY, _since(ready))
    pod = it.pod_judgement(now)
    found = replace(found, no_shell=_no_shell(pod))
    since = it.contradicted_since
    if since is None:
        return found
    if now - since < HELD_S:
        return replace(found, until=since + HELD_S)
    if pod is None:
        said = "the controller calls it ready, and its pod is gone"
        return replace(
            found,
            state=SandboxState.STUCK,
            reason=said,
            wake=VerdictKind.UNKNOWN,
            since=since,
            advice=_ASK_CONTROLLER,
        )
    return replace(
        _by_pod(pod), reason=f"{pod.reason} (the controller still calls it ready)", since=since
    )


def _refused(it: Evidence, now: float) -> SandboxJudgement | None:
    ready = it.condition("Ready")
    if ready is None or ready.status != "False":
        return None
    said = sanitize(ready.message or "", 300)
    no_shell = _no_shell(it.pod_judgement(now))
    broken = SandboxJudgement(
        SandboxState.BROKEN, said, VerdictKind.TERMINAL, _since(ready), no_shell=no_shell
    )
    where = f"`kubectl describe sandbox -n {it.sandbox.metadata.namespace}"
    advice = f"{where} {it.sandbox.metadata.name}` says more."
    if ready.reason == "MultiplePods":
        told = "more than one pod is its own, and the controller does not choose"
        return replace(
            broken, reason=f"{told}: {said}" if said else told, advice="Remove the pods too many."
        )
    if ready.reason == "ReconcilerError":
        told = said or "the controller reports an error without a word"
        return replace(broken, reason=told, advice=advice, unsure=True)
    if ready.reason == "InvalidConfiguration":
        told = said or "its configuration is not valid"
        return replace(broken, reason=told, advice=advice)
    return None


def _finished(it: Evidence, now: float) -> SandboxJudgement | None:
    told = it.condition("Finished")
    ready = it.condition("Ready")
    if told is None or told.status != "True":
        if ready is None or ready.reason not in ("PodFailed", "PodSucceeded"):
            return None
        told = ready
    failed = told.reason == "PodFailed"
    pod = it.pod_judgement(now)
    how = "" if pod is None else pod.reason
    said = "its program failed" if failed else "its program has ended well"
    detail = how or sanitize(told.message or "", 160)
    return SandboxJudgement(
        SandboxState.BROKEN if failed else SandboxState.DOWN,
        f"{said}: {detail}" if detail else said,
        VerdictKind.TERMINAL,
        _since(told),
        advice="It is wanted running, and the controller does not start a finished pod again:"
        " look at its log, then have whoever made it make it anew.",
        no_shell="a finished pod has no shell",
    )


def _unscheduled(it: Evidence, now: float) -> SandboxJudgement | None:
    told: ResourceCondition | PodCondition | None = it.condition("PodScheduled")
    if told is None and it.pod is not None:
        told = it.pod.condition("PodScheduled")
    if told is None or told.status != "False":
        return None
    state, said = words_for(told.reason or "Unschedulable")
    detail = sanitize(told.message or "", 200)
    kind = VerdictKind.SETTLING if state is SandboxState.SETTLING else VerdictKind.REPAIRABLE
    return SandboxJudgement(
        state,
        f"{said}; {detail}" if detail else said,
        kind,
        instant(told.last_transition_time),
        advice="The cluster needs room for it, or its requests and selectors have to change.",
        no_shell="it has not started",
    )


def _pod_in_trouble(it: Evidence, now: float) -> SandboxJudgement | None:
    pod = it.pod_judgement(now)
    return _by_pod(pod) if pod is not None and pod.state in _TROUBLE else None


def _by_pod(pod: PodJudgement) -> SandboxJudgement:
    unknown = pod.state is SandboxState.UNKNOWN
    kind = VerdictKind.UNKNOWN if unknown else VerdictKind.REPAIRABLE
    return SandboxJudgement(
        pod.state,
        pod.reason,
        kind,
        advice="Its pod is the trouble: `kubectl describe pod` says more.",
        no_shell=pod.no_shell,
    )


def _unknown_reason(it: Evidence, now: float) -> SandboxJudgement | None:
    ready = it.condition("Ready")
    if ready is None:
        return None
    odd = ready.status == "False" and (ready.reason or "") not in _TRANSIENT_REASONS
    if not odd and ready.status in ("True", "False"):
        return None
    word = sanitize(ready.reason or f"Ready={ready.status}", 60)
    said = (
        f"{word} (a reason this panel does not know)" if odd else "whether it is ready is unknown"
    )
    detail = sanitize(ready.message or "", 200)
    return SandboxJudgement(
        SandboxState.UNKNOWN,
        f"{said}: {detail}" if detail else said,
        VerdictKind.UNKNOWN,
        _since(ready),
        unknown_word=word if odd else "",
        no_shell=_no_shell(it.pod_judgement(now)),
    )


def _starting(it: Evidence, now: float) -> SandboxJudgement | None:
    began = _began(it)
    pod = it.pod_judgement(now)
    ready = it.condition("Ready")
    said = sanitize((ready.message if ready is not None else "") or "", 200)
    doing = pod.reason if pod is not None and pod.reason else said
    tail = f": {doing}" if doing else ""
    no_shell = _no_shell(pod)
    lapses = None if began is None else began + SETTLES_S
    if lapses is not None and lapses <= now:
        told = f"no progress since {_when(began)}{tail}"
        return SandboxJudgement(
            SandboxState.STUCK,
            told,
            VerdictKind.REPAIRABLE,
            began,
            advice="Look at its pod and at the events of its namespace.",
            no_shell=no_shell,
        )
    told = f"starting since {_when(began)}{tail}"
    return SandboxJudgement(
        SandboxState.SETTLING, told, VerdictKind.SETTLING, began, lapses, no_shell=no_shell
    )


_CHECKS: tuple[Callable[[Evidence, float], SandboxJudgement | None], ...] = (
    _deleted,
    _expired,
    _odd_mode,
    _unseen,
    _outdated,
    _suspended,
    _ready,
    _refused,
    _finished,
    _unscheduled,
    _pod_in_trouble,
    _unknown_reason,
    _starting,
)
"""In the order of upstream/agent-sandbox: States."""


def _with_lapse(found: SandboxJudgement, it: Evidence, now: float) -> SandboxJudgement:
    """Told of an end of life that is near; it lapses there at the latest."""
    ends = instant(it.sandbox.spec.shutdown_time)
    if ends is None or ends <= now or found.wake is VerdictKind.TERMINAL:
        return found
    until = ends if found.until is None else min(ends, found.until)
    return replace(found, until=until)


def time_left(sandbox: SandboxResource, now: float) -> float | None:
    """Seconds of life that are left, where it ends within a day."""
    ends = instant(sandbox.spec.shutdown_time)
    return None if ends is None or not 0 < ends - now <= SOON_S else ends - now


def _began(it: Evidence) -> float | None:
    """When it began to start: a wish that was taken up, or a pod; Ready stays False meanwhile."""
    suspended = it.condition("Suspended")
    instants = [
        instant(it.sandbox.metadata.creation_timestamp),
        _since(suspended if suspended is not None and suspended.status == "False" else None),
        None if it.pod is None else instant(it.pod.metadata.creation_timestamp),
    ]
    known = [one for one in instants if one is not None]
    return max(known, default=None)


def _is_ending(pod: Pod | None) -> bool:
    return pod is not None and pod.metadata.deletion_timestamp is not None


def _no_shell(pod: PodJudgement | None) -> str:
    return "its pod is not there" if pod is None else pod.no_shell


def _since(condition: ResourceCondition | None) -> float | None:
    return None if condition is None else instant(condition.last_transition_time)


def _when(at: float | None) -> str:
    return "an unknown time" if at is None else clock_time(at, with_date=True)
