"""What a pod is doing, in plain words: one row for each thing a pod can do."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.files.bounded import UnfitError
from services.models import SandboxState
from services.sources.pods import evidence, judge
from services.sources.pods.judgement import PodJudgement, refusals, verdict, words_for
from services.sources.pods.pod import Pod, container_of, read_event, read_list, read_pod
from services.sources.pods.pod_logs import log_streams
from services.sources.protocol.verdict import VerdictKind

NOW = judge.instant("2026-01-01T01:00:00Z") or 0.0
READY, SETTLING, STUCK = SandboxState.READY, SandboxState.SETTLING, SandboxState.STUCK
BROKEN, ASLEEP, UNKNOWN = SandboxState.BROKEN, SandboxState.ASLEEP, SandboxState.UNKNOWN


def container(state: dict[str, Any], name: str = "main", **more: Any) -> dict[str, Any]:
    return {"name": name, "ready": "running" in state, "restartCount": 0, "state": state, **more}


def running(since: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    return {"running": {"startedAt": since}}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def ended(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


def pod(what: str, *containers: dict[str, Any], **more: Any) -> Pod:
    metadata = {"name": "box", "namespace": "default", **more.pop("metadata", {})}
    names = [{"name": one["name"], "image": "agent:1"} for one in containers] or [{"name": "main"}]
    status = {"phase": what, "containerStatuses": list(containers), **more}
    return msgspec.convert(
        {"metadata": metadata, "spec": {"containers": names}, "status": status}, Pod
    )


UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/3 nodes are available: 3 Insufficient memory.",
}
CRASHED: dict[str, Any] = {"lastState": ended(137, "OOMKilled"), "restartCount": 9}
NOT_READY: dict[str, Any] = {"ready": False}
DELETED: dict[str, Any] = {"metadata": {"deletionTimestamp": "2026-01-01T00:59:00Z"}}

ROWS = [
    (pod("Running", container(running())), READY, "", True),
    (pod("Running", container(running(), **NOT_READY)), STUCK, "readiness probe", True),
    (
        pod("Running", container(running("2026-01-01T00:59:30Z"), **NOT_READY)),
        SETTLING,
        "readiness probe",
        True,
    ),
    (
        pod("Running", container(waiting("CrashLoopBackOff", "back-off 5m0s"), **CRASHED)),
        BROKEN,
        "crashes again and again; container main ended: OOMKilled: it used more memory than it"
        " may, exit code 137 (killed)",
        False,
    ),
    (
        pod("Running", container(running()), container(waiting("CrashLoopBackOff"), "side")),
        BROKEN,
        "container side: CrashLoopBackOff",
        True,
    ),
    (pod("Running", container(ended(1))), SETTLING, "exit code 1", False),
    (pod("Running", container(running()), container(ended(2), "side")), STUCK, "side ended", True),
    (
        pod("Running", container(running()), conditions=[
            {"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady",
             "message": "load balancer"}]),
        SETTLING, "readiness gate is closed; load balancer", True,
    ),
    (pod("Running", container(running()), **DELETED), SETTLING, "being deleted", True),
    (pod("Running", container(running()), reason="NodeLost", **DELETED), UNKNOWN, "node", True),
    (pod("Running"), SETTLING, "does not say whether it is ready", False),
    (
        pod("Running", metadata={"creationTimestamp": "2026-01-01T00:00:00Z"}),
        UNKNOWN, "does not say whether it is ready", False,
    ),
    (
        pod("Running", container(running()), conditions=[{"type": "Ready", "status": "true"}]),
        UNKNOWN, "Ready is 'true', a word this panel does not know", True,
    ),
    (
        pod("Pending", container(waiting("Completed"))),
        BROKEN, "Completed: the container cannot run", False,
    ),
    (pod("Pending"), SETTLING, "waits to be started", False),
    (pod("Pending", conditions=[UNSCHEDULABLE]), STUCK, "no node can take it; 0/3 nodes", False),
    (
        pod("Pending", conditions=[{**UNSCHEDULABLE, "reason": "SchedulingGated"}]),
        SETTLING, "held back on purpose", False,
    ),
    (pod("Pending", container(waiting("ContainerCreating"))), SETTLING, "being created", False),
    (
        pod("Pending", container(waiting("ImagePullBackOff", "no such image x:1"))),
        BROKEN, "cannot be pulled; no such image x:1", False,
    ),
    (pod("Pending", container(waiting("ErrImagePull"))), BROKEN, "cannot be pulled", False),
    (pod("Pending", container(waiting("InvalidImageName"))), BROKEN, "not valid", False),
    (
        pod("Pending", container(waiting("CreateContainerConfigError", 'secret "x" not found'))),
        BROKEN, 'not there (a ConfigMap, a Secret, a key); secret "x" not found', False,
    ),
    (
        pod("Pending", container(waiting("PodInitializing")),
            initContainerStatuses=[container(waiting("CrashLoopBackOff"), "init")]),
        BROKEN, "crashes again", False,
    ),
    (
        pod("Pending", container(waiting("PodInitializing")),
            initContainerStatuses=[container(ended(3), "init")]),
        STUCK, "container init ended: Error, exit code 3", False,
    ),
    (
        pod("Pending", container(waiting("PodInitializing")),
            initContainerStatuses=[container(running(), "init")]),
        SETTLING, "init containers run", False,
    ),
    (pod("Succeeded", container(ended(0, "Completed"))), ASLEEP, "has finished", False),
    (pod("Failed", container(ended(1))), BROKEN, "it failed; container main ended", False),
    (
        pod("Failed", reason="Evicted", message="The node was low on memory."),
        BROKEN, "evicted it; The node was low on memory.", False,
    ),
    (pod("Unknown"), UNKNOWN, "node does not answer", False),
    (pod("Invented"), UNKNOWN, "Invented (a state this panel does not know)", False),
]  # fmt: skip


@pytest.mark.parametrize(("one", "state", "words", "shell"), ROWS, ids=range(len(ROWS)))
def test_a_pod_in_plain_words(one: Pod, state: SandboxState, words: str, shell: bool) -> None:
    judgement = judge.judge(one, NOW)
    assert judgement.state is state
    assert words in judgement.reason
    assert (judgement.no_shell == "") is shell
    assert bool(refusals(judgement)) is not shell


SIDECAR = {"name": "proxy", "restartPolicy": "Always"}


def said(what: str, status: str = "False", **more: Any) -> dict[str, Any]:
    return {"conditions": [{"type": "Ready", "status": status, "reason": what, **more}]}


def beside(one: Pod, *states: dict[str, Any]) -> Pod:
    """The same pod with a native sidecar."""
    value = msgspec.to_builtins(one)
    value["spec"]["initContainers"] = [{"name": "setup"}, SIDECAR]
    value["status"]["initContainerStatuses"] = list(states)
    return msgspec.convert(value, Pod)


MAIN = container(running())
VERDICTS = [
    (pod("Running", MAIN, **said("NodeNotReady")), UNKNOWN, "its node does not answer"),
    (
        pod("Running", MAIN, **said("NodeNotReady", lastTransitionTime="2026-01-01T00:10:00Z")),
        UNKNOWN, "does not answer since 2026-01-01T00:10:00Z",
    ),
    (pod("Running", MAIN, **said("", "Unknown")), UNKNOWN, "its node does not answer"),
    (
        pod("Running", MAIN, reason="NodeLost", message="Node n1 is unresponsive"),
        UNKNOWN, "does not answer; Node n1 is unresponsive",
    ),
    (
        beside(pod("Running", MAIN), container(waiting("CrashLoopBackOff"), "proxy",
               lastState=ended(139), restartCount=9)),
        BROKEN, "sidecar proxy: CrashLoopBackOff: it crashes again and again;"
        " container proxy ended: Error, exit code 139 (crashed)",
    ),
    (
        beside(pod("Running", MAIN), container(running(), "proxy", ready=False)),
        STUCK, "sidecar proxy: it runs and does not pass",
    ),
    (
        pod("Running", MAIN, **said("Whatever", message="someone objects")),
        SETTLING, "not ready; someone objects",
    ),
    (
        pod("Running", MAIN, **said("Whatever", lastTransitionTime="2026-01-01T00:50:00Z")),
        STUCK, "not ready; Whatever",
    ),
    (
        pod("Running", MAIN, **said(
            "ReadinessGatesNotReady", lastTransitionTime="2026-01-01T00:50:00Z")),
        STUCK, "readiness gate is closed",
    ),
    (
        pod("Running", MAIN, conditions=[{"type": "DisruptionTarget", "status": "True",
            "reason": "EvictionByEvictionAPI", "message": "drained"}]),
        SETTLING, "about to be evicted; EvictionByEvictionAPI: drained",
    ),
    (
        pod("Running", MAIN, metadata={
            "deletionTimestamp": "2026-01-01T00:50:00Z", "finalizers": ["example.com/keep"]}),
        STUCK, "does not end since 2026-01-01T00:50:00Z; finalizers: example.com/keep",
    ),
    (
        pod("Running", MAIN, **DELETED, **said("NodeNotReady")),
        UNKNOWN, "its node does not answer",
    ),
    (pod("Failed", reason="DeadlineExceeded"), BROKEN, "it ran longer than it may"),
    (pod("Failed", reason="OutOfcpu", message="2 of 1"), BROKEN, "not enough CPU for it; 2 of 1"),
    (pod("Failed", reason="NodeAffinity"), BROKEN, "not one it may run on"),
    (pod("Failed", reason="Terminated"), BROKEN, "node was shut down"),
    (pod("Failed", reason="NewWord"), BROKEN, "it failed; NewWord"),
    (pod("Pending", container(waiting("PostStartHookError"))), BROKEN, "its start hook failed"),
    (pod("Pending", container(waiting("NewWord", "odd"))), BROKEN, "NewWord: the container cannot"),
    (
        pod("Pending", container(waiting("ContainerCreating")),
            startTime="2026-01-01T00:50:00Z"),
        STUCK, "ContainerCreating",
    ),
    (
        pod("Pending", container(waiting("ContainerCreating")),
            startTime="2026-01-01T00:59:30Z"),
        SETTLING, "ContainerCreating",
    ),
    (
        beside(pod("Pending", container(waiting("PodInitializing")),
                   startTime="2026-01-01T00:10:00Z"),
               container(running(), "setup"), container(waiting("PodInitializing"), "proxy")),
        SETTLING, "init containers run; 0 of 2 done, at setup",
    ),
    (
        beside(pod("Pending", container(waiting("PodInitializing"))),
               container(ended(0), "setup"), container(waiting("ImagePullBackOff"), "proxy")),
        BROKEN, "sidecar proxy: ImagePullBackOff",
    ),
    (
        beside(pod("Running", MAIN, **said("", "True")),
               container(ended(0), "setup"), container(running(), "proxy", started=True)),
        READY, "",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("one", "state", "words"), VERDICTS, ids=range(len(VERDICTS)))
def test_the_pods_own_verdict_has_the_last_word(one: Pod, state: SandboxState, words: str) -> None:
    judgement = judge.judge(one, NOW)
    assert (judgement.state, words in judgement.reason) == (state, True), judgement


@given(
    st.sampled_from(["False", "Unknown"]),
    st.text(max_size=12),
    st.lists(st.sampled_from([running(), ended(0), ended(1), waiting("X"), waiting("")])),
    st.sampled_from(["Running", "Pending", "Failed", "Succeeded", "Unknown", ""]),
)
def test_nothing_is_green_that_says_it_is_not_ready(
    status: str, reason: str, states: list[dict[str, Any]], phase: str
) -> None:
    containers = [container(one, f"c{number}") for number, one in enumerate(states)]
    judgement = judge.judge(pod(phase, *containers, **said(reason, status)), NOW)
    assert judgement.state is not READY and judgement.reason


def test_all_containers_are_named_for_what_they_are() -> None:
    one = beside(pod("Running", MAIN), container(ended(0), "setup"),
                 container(running(), "proxy", restartCount=2))  # fmt: skip
    value = msgspec.to_builtins(one)
    value["spec"]["ephemeralContainers"] = [{"name": "look", "image": "busybox"}]
    value["status"]["ephemeralContainerStatuses"] = [container(running(), "look")]
    every = msgspec.convert(value, Pod)
    assert [one.name for one in every.containers] == ["main", "setup", "proxy", "look"]
    rows = dict(evidence.evidence(every))
    assert rows["sidecar proxy"].startswith("running, 2 restarts")
    assert rows["init container setup"].startswith("ended")
    assert rows["debug container look"] == "running, busybox"
    assert rows["restarts"] == "2"
    logs = {one.name: one.title for one in log_streams(every, "")}
    assert logs["proxy"] == "proxy, a sidecar" and logs["look"] == "look, a debug container"
    assert logs["setup"] == "setup, before the others"
    assert container_of(every, "proxy") == "proxy" and container_of(every, "no") == "main"


@pytest.mark.parametrize(
    ("state", "no_shell", "kind"),
    [
        (READY, "", VerdictKind.READY),
        (STUCK, "", VerdictKind.READY),
        (SETTLING, "", VerdictKind.READY),
        (SETTLING, "it has not started", VerdictKind.SETTLING),
        (UNKNOWN, "x", VerdictKind.UNKNOWN),
        (BROKEN, "x", VerdictKind.TERMINAL),
        (ASLEEP, "x", VerdictKind.TERMINAL),
    ],
)
def test_what_an_attempt_may_do(state: SandboxState, no_shell: str, kind: VerdictKind) -> None:
    judged = verdict(PodJudgement(state, "why", no_shell), "", strict=True)
    assert judged.kind is kind and not judged.wakeable and not judged.confirmable


def test_hostile_words_act_on_nothing() -> None:
    hostile = "x\x1b[2J\x1b]0;t\x07\nnext"
    one = pod("Running", container(waiting(hostile, hostile)), message=hostile, reason=hostile)
    said = repr((judge.judge(one, NOW), evidence.evidence(one)))
    assert "\\x1b" not in said and "\\n" not in said
    assert words_for(hostile)[1].isprintable()


def test_the_default_container_is_the_annotated_one() -> None:
    two = pod("Running", container(running(), "first"), container(running(), "second"))
    assert two.default_container == "first"
    key = "kubectl.kubernetes.io/default-container"
    named = {"metadata": {"annotations": {key: "second"}}}
    both = (container(running(), "first"), container(running(), "second"))
    assert pod("Running", *both, **named).default_container == "second"
    named = {"metadata": {"annotations": {key: "gone"}}}
    assert pod("Running", *both, **named).default_container == "first"


def test_fields_may_be_missing_or_null() -> None:
    assert read_pod(b"{}").native_id == "/"
    bare = {"metadata": {"annotations": None}, "spec": {}, "status": {"containerStatuses": None}}
    assert judge.judge(msgspec.convert(bare, Pod), NOW).state is UNKNOWN
    assert read_list(b'{"metadata":{"continue":"x"},"items":[{}]}').metadata.continue_ == "x"


@settings(deadline=None)
@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(
        st.sampled_from(["metadata", "status", "phase", "containerStatuses", "state", "waiting",
                         "reason", "name", "conditions", "type", "object", "items"]),
        inner, max_size=4),
    max_leaves=15,
))  # fmt: skip
def test_whatever_a_server_sends_is_read_or_refused(value: object) -> None:
    data = json.dumps(value).encode()
    for read in (read_pod, read_list, read_event):
        try:
            one = read(data)
        except UnfitError:
            continue
        if isinstance(one, Pod):
            judge.judge(one, NOW)
            evidence.evidence(one)


def test_when_it_came_to_be_so_is_what_its_node_says() -> None:
    """Of a node that does not answer another clock tells, and nothing is taken from it."""
    at = "2026-01-01T00:30:00Z"
    told = {"type": "Ready", "status": "True", "lastTransitionTime": at}
    ready = pod("Running", container(running()), conditions=[told])
    assert judge.judge(ready, NOW).told_at == judge.instant(at)
    assert ("ready since", at) in evidence.evidence(ready)
    code = ended(1)
    code["terminated"]["finishedAt"] = at
    over = pod("Failed", container(code), container(ended(0), "other"))
    assert judge.judge(over, NOW).told_at == judge.instant(at)
    assert any(f"ended at {at}" in value for _, value in evidence.evidence(over))
    lost = {**told, "status": "Unknown", "reason": "NodeStatusUnknown"}
    assert judge.judge(pod("Running", container(running()), conditions=[lost]), NOW).told_at is None
    assert judge.judge(pod("Running", container(running())), NOW).told_at is None


def test_why_it_is_not_ready_is_evidence_only_while_it_is_not() -> None:
    waits = dict(evidence.evidence(pod("Running", MAIN, **said("ContainersNotReady"))))
    assert waits["not ready"].startswith("ContainersNotReady")
    assert "not ready" not in dict(evidence.evidence(pod("Running", MAIN, **said("", "True"))))


@pytest.mark.parametrize("phase", ["", None])
def test_a_pod_without_a_phase_blames_no_node(phase: Any) -> None:
    judged = judge.judge(pod(phase), NOW)
    assert (judged.state, judged.reason) == (
        UNKNOWN,
        "its cluster does not say what it is doing",
    )
    assert judged.no_shell
