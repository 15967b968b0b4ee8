"""The table of a sandbox's states, row by row, and what a wake may do with each."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.models import SandboxState
from services.sources.pods.agent_sandbox.judge import (
    HELD_S,
    NO_CONTROLLER,
    SOON_S,
    is_contradicted,
    judge,
    time_left,
)
from services.sources.pods.agent_sandbox.judgement import Evidence, verdict
from services.sources.pods.agent_sandbox.records import SandboxResource
from services.sources.pods.judge import SETTLES_S
from services.sources.pods.pod import Pod
from services.sources.protocol.verdict import VerdictKind
from tests.support import kube_api

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC).timestamp()
READY, SETTLING = VerdictKind.READY, VerdictKind.SETTLING
TERMINAL, UNKNOWN = VerdictKind.TERMINAL, VerdictKind.UNKNOWN
REPAIRABLE = VerdictKind.REPAIRABLE


def at(seconds: float) -> str:
    """An instant so long after now, as the cluster writes it."""
    return datetime.fromtimestamp(NOW + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(
    type: str, status: str, reason: str = "", message: str = "", since: float = -600, seen: int = 2
) -> dict[str, Any]:
    return {
        "type": type,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": at(since),
        "observedGeneration": seen,
    }


def sandbox(
    *conditions: dict[str, Any],
    mode: str | None = "Running",
    created: float = -3600,
    metadata: dict[str, Any] | None = None,
    **spec: Any,
) -> SandboxResource:
    wish = {} if mode is None else {"operatingMode": mode}
    return msgspec.convert(
        {
            "metadata": {
                "name": "box",
                "namespace": "default",
                "uid": "u",
                "generation": 2,
                "creationTimestamp": at(created),
                **(metadata or {}),
            },
            "spec": {**wish, **spec},
            "status": {"conditions": list(conditions)},
        },
        SandboxResource,
    )


def pod(**status: Any) -> Pod:
    made = kube_api.pod("box", **status)
    made["metadata"]["creationTimestamp"] = at(-30)
    return msgspec.convert(made, Pod)


def waiting(reason: str) -> Pod:
    state = {"name": "main", "state": {"waiting": {"reason": reason}}}
    return pod(phase="Pending", conditions=[], containerStatuses=[state], startTime=at(-30))


AWAKE = condition("Suspended", "False", "NotSuspended", since=-30)
SLEEPS = condition("Suspended", "True", "PodTerminated")
SERVES = condition("Ready", "True", "DependenciesReady")
WAITS = condition("Ready", "False", "DependenciesNotReady", "Pod does not exist")
SLEEPING = condition("Ready", "False", "SandboxSuspended", "Sandbox is suspended")
NO_ROOM = condition("PodScheduled", "False", "Unschedulable", "0/3 nodes are available")

S = SandboxState
ROWS: dict[str, tuple[Evidence, SandboxState, VerdictKind, str]] = {
    "1 deleted, whatever else": (
        Evidence(sandbox(SERVES, metadata={"deletionTimestamp": at(-5)}), pod()),
        *(S.SETTLING, TERMINAL, "being deleted by the cluster since"),
    ),
    "1 held by a finalizer": (
        Evidence(sandbox(metadata={"deletionTimestamp": at(-5), "finalizers": ["x/y"]})),
        *(S.SETTLING, TERMINAL, "it waits for x/y"),
    ),
    "2 told to have expired": (
        Evidence(sandbox(condition("Ready", "False", "SandboxExpired"), shutdownTime=at(-60))),
        *(S.BROKEN, TERMINAL, "its life ended at"),
    ),
    "2 past its time though suspended": (
        Evidence(sandbox(SLEEPS, SLEEPING, mode="Suspended", shutdownTime=at(-1))),
        *(S.BROKEN, TERMINAL, "Retain keeps the object"),
    ),
    "2 without a time of its own": (
        Evidence(sandbox(condition("Ready", "False", "SandboxExpired"))),
        *(S.BROKEN, TERMINAL, "its life ended at"),
    ),
    "2 to be deleted": (
        Evidence(sandbox(SERVES, shutdownTime=at(-1), shutdownPolicy="Delete")),
        *(S.BROKEN, TERMINAL, "Delete has the cluster delete it"),
    ),
    "2 expired once, and given a later time": (
        Evidence(
            sandbox(condition("Ready", "False", "SandboxExpired", seen=1), shutdownTime=at(900))
        ),
        *(S.SETTLING, SETTLING, "has not taken it up"),
    ),
    "3 asleep": (
        Evidence(sandbox(SLEEPS, SLEEPING, mode="Suspended")),
        *(S.ASLEEP, REPAIRABLE, "suspended since"),
    ),
    "3 asleep in v1alpha1": (
        Evidence(sandbox(SLEEPS, SLEEPING, mode=None, replicas=0)),
        *(S.ASLEEP, REPAIRABLE, "its volumes are kept"),
    ),
    "3 asleep by a controller without that condition": (
        Evidence(sandbox(SERVES, mode=None, replicas=0)),
        *(S.ASLEEP, REPAIRABLE, "suspended since"),
    ),
    "4 suspending": (
        Evidence(
            sandbox(condition("Suspended", "False", "PodTerminating"), SLEEPING, mode="Suspended"),
            pod(),
        ),
        *(S.SETTLING, SETTLING, "suspending"),
    ),
    "4 suspending, the older word": (
        Evidence(sandbox(condition("Suspended", "False", "PodNotTerminated"), mode="Suspended")),
        *(S.SETTLING, SETTLING, "suspending"),
    ),
    "5 the pod of its name is another's": (
        Evidence(sandbox(condition("Suspended", "False", "PodNotOwned"), mode="Suspended")),
        *(S.BROKEN, TERMINAL, "belongs to somebody else"),
    ),
    "6 the controller cannot see the pod": (
        Evidence(sandbox(condition("Suspended", "Unknown", "PodStateUnknown"), mode="Suspended")),
        *(S.UNKNOWN, UNKNOWN, "cannot see its pod"),
    ),
    "7 ready": (Evidence(sandbox(AWAKE, SERVES), pod()), S.READY, READY, ""),
    "7 ready, and Suspended lingers": (
        Evidence(sandbox(SLEEPS, SERVES), pod()),
        S.READY,
        READY,
        "",
    ),
    "8 several pods": (
        Evidence(sandbox(condition("Ready", "False", "MultiplePods", "multiple Pods (2)"))),
        *(S.BROKEN, TERMINAL, "more than one pod"),
    ),
    "9 an error of the controller": (
        Evidence(sandbox(condition("Ready", "False", "ReconcilerError", "Error seen: quota"))),
        *(S.BROKEN, TERMINAL, "Error seen: quota"),
    ),
    "9 a configuration that is refused": (
        Evidence(sandbox(condition("Ready", "False", "InvalidConfiguration", "no such class"))),
        *(S.BROKEN, TERMINAL, "no such class"),
    ),
    "10 its program failed": (
        Evidence(
            sandbox(condition("Finished", "True", "PodFailed"), WAITS),
            pod(
                phase="Failed",
                containerStatuses=[{"name": "main", "state": {"terminated": {"exitCode": 3}}}],
            ),
        ),
        *(S.BROKEN, TERMINAL, "exit code 3"),
    ),
    "10 its program has ended": (
        Evidence(sandbox(condition("Finished", "True", "PodSucceeded"), WAITS)),
        *(S.DOWN, TERMINAL, "has ended well"),
    ),
    "10 told by Ready alone": (
        Evidence(sandbox(condition("Ready", "False", "PodFailed", "Pod failed"))),
        *(S.BROKEN, TERMINAL, "its program failed"),
    ),
    "11 no node takes it": (
        Evidence(sandbox(AWAKE, NO_ROOM, WAITS), waiting("")),
        *(S.STUCK, REPAIRABLE, "0/3 nodes are available"),
    ),
    "11 told by the pod alone": (
        Evidence(
            sandbox(AWAKE, WAITS),
            pod(
                phase="Pending",
                containerStatuses=[],
                conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}],
            ),
        ),
        *(S.STUCK, REPAIRABLE, "no node can take it"),
    ),
    "11 held back on purpose": (
        Evidence(sandbox(AWAKE, condition("PodScheduled", "False", "SchedulingGated"), WAITS)),
        *(S.SETTLING, SETTLING, "a scheduling gate"),
    ),
    "12 its image cannot be pulled": (
        Evidence(sandbox(AWAKE, WAITS), waiting("ImagePullBackOff")),
        *(S.BROKEN, REPAIRABLE, "its image cannot be pulled"),
    ),
    "12 it crashes": (
        Evidence(sandbox(AWAKE, WAITS), waiting("CrashLoopBackOff")),
        *(S.BROKEN, REPAIRABLE, "it crashes again and again"),
    ),
    "13 starting": (
        Evidence(sandbox(AWAKE, WAITS), waiting("ContainerCreating")),
        *(S.SETTLING, SETTLING, "starting since"),
    ),
    "13 starting after hours of sleep": (
        Evidence(sandbox(AWAKE, condition("Ready", "False", "DependenciesNotReady", since=-9999))),
        *(S.SETTLING, SETTLING, "starting since"),
    ),
    "14 no progress": (
        Evidence(
            sandbox(
                condition("Suspended", "False", "NotSuspended", since=-SETTLES_S - 1),
                WAITS,
                created=-SETTLES_S - 1,
            )
        ),
        *(S.STUCK, REPAIRABLE, "no progress since"),
    ),
    "15 nobody has looked": (
        Evidence(sandbox(created=-10)),
        *(S.SETTLING, SETTLING, "waits for its controller"),
    ),
    "15 nobody has looked for long": (
        Evidence(sandbox(created=-SETTLES_S)),
        *(S.UNKNOWN, UNKNOWN, NO_CONTROLLER),
    ),
    "yesterday's word of a wish": (
        Evidence(sandbox(SLEEPS | {"observedGeneration": 1}, SLEEPING | {"observedGeneration": 1})),
        *(S.SETTLING, SETTLING, "resuming: the controller has not taken it up"),
    ),
    "yesterday's word for long": (
        Evidence(sandbox(SERVES | {"observedGeneration": 1}), outdated_since=NOW - SETTLES_S),
        *(S.UNKNOWN, UNKNOWN, NO_CONTROLLER),
    ),
    "a mode nobody knows": (
        Evidence(sandbox(SERVES, mode="Hibernated"), pod()),
        *(S.UNKNOWN, UNKNOWN, "'Hibernated'"),
    ),
    "a reason nobody knows": (
        Evidence(sandbox(AWAKE, condition("Ready", "False", "Quarantined", "by policy"))),
        *(S.UNKNOWN, UNKNOWN, "Quarantined (a reason this panel does not know): by policy"),
    ),
    "called ready for long without a pod": (
        Evidence(sandbox(SERVES), None, contradicted_since=NOW - HELD_S),
        *(S.STUCK, UNKNOWN, "its pod is gone"),
    ),
    "called ready for long over a crash": (
        Evidence(sandbox(SERVES), waiting("CrashLoopBackOff"), contradicted_since=NOW - HELD_S),
        *(S.BROKEN, REPAIRABLE, "still calls it ready"),
    ),
    "called ready just now without a pod": (
        Evidence(sandbox(SERVES), None, contradicted_since=NOW),
        *(S.READY, READY, ""),
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_every_row(row: str) -> None:
    evidence, state, kind, words = ROWS[row]
    found = judge(evidence, NOW)
    assert (found.state, found.wake) == (state, kind), found
    assert words in found.reason and bool(found.reason) == bool(words)
    said = verdict(found)
    assert said.kind is kind
    assert said.wakeable is (state is S.ASLEEP)


def test_only_one_that_sleeps_is_ever_woken() -> None:
    woken = [row for row, (evidence, *_) in ROWS.items() if verdict(judge(evidence, NOW)).wakeable]
    assert {row[0] for row in woken} == {"3"}


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Ready", "Suspended", "Finished", "PodScheduled", "Odd"]),
            st.sampled_from(["True", "False", "Unknown", "maybe"]),
            st.text(max_size=12),
        ),
        max_size=4,
    ),
    st.sampled_from(["Running", "Suspended", "", "Frozen"]),
)
def test_words_nobody_knows_never_lead_to_a_wake(
    told: list[tuple[str, str, str]], mode: str
) -> None:
    """A wake needs that it is wanted asleep, and that the controller says it is."""
    made = sandbox(*(condition(*one) for one in told), mode=mode)
    found = judge(Evidence(made), NOW)
    if verdict(found).wakeable:
        assert mode == "Suspended"
        said = next((status for type, status, _ in told if type == "Suspended"), "")
        assert told and said in ("", "True")


def test_what_lapses_says_when() -> None:
    assert judge(ROWS["13 starting"][0], NOW).until == pytest.approx(NOW - 30 + SETTLES_S)
    ending = Evidence(sandbox(SERVES, shutdownTime=at(600)), pod())
    assert judge(ending, NOW).until == pytest.approx(NOW + 600)
    assert time_left(ending.sandbox, NOW) == pytest.approx(600)
    assert time_left(sandbox(shutdownTime=at(90_000)), NOW) is None
    held = replace(ROWS["called ready just now without a pod"][0], contradicted_since=NOW - 4)
    assert judge(held, NOW).until == pytest.approx(NOW - 4 + HELD_S)


def test_a_pod_may_contradict_only_what_is_called_ready() -> None:
    assert is_contradicted(Evidence(sandbox(SERVES)), NOW)
    assert is_contradicted(Evidence(sandbox(SERVES), waiting("CrashLoopBackOff")), NOW)
    assert not is_contradicted(Evidence(sandbox(SERVES), waiting("ContainerCreating")), NOW)
    assert not is_contradicted(Evidence(sandbox(SLEEPS, SLEEPING, mode="Suspended")), NOW)


def test_instants_are_the_clusters_own() -> None:
    asleep = judge(ROWS["3 asleep"][0], NOW)
    assert asleep.since == pytest.approx(NOW - 600)
    before_that_condition = Evidence(sandbox(SLEEPING, mode="Suspended"))
    assert judge(before_that_condition, NOW).since == pytest.approx(NOW - 600)
    apart = Evidence(sandbox(SLEEPS, {**SLEEPING, "lastTransitionTime": at(-5)}, mode="Suspended"))
    assert judge(apart, NOW).since == pytest.approx(NOW - 600), "the Suspended condition counts"
    assert judge(ROWS["2 told to have expired"][0], NOW).since == pytest.approx(NOW - 60)


def test_limits_are_met_at_the_instant_they_name() -> None:
    began = condition("Suspended", "False", "NotSuspended", since=-SETTLES_S)
    starting = Evidence(sandbox(began, WAITS, created=-SETTLES_S))
    assert judge(starting, NOW).state is SandboxState.STUCK
    assert judge(starting, NOW - 1).state is SandboxState.SETTLING
    assert time_left(sandbox(shutdownTime=at(SOON_S)), NOW) == pytest.approx(SOON_S)
    assert time_left(sandbox(shutdownTime=at(SOON_S + 1)), NOW) is None
    assert time_left(sandbox(shutdownTime=at(0)), NOW) is None


def test_only_a_pool_keeps_stock() -> None:
    def owned(kind: str) -> str:
        owner = {"apiVersion": "v1", "kind": kind, "name": "keeper", "uid": "k", "controller": True}
        return sandbox(metadata={"ownerReferences": [owner]}).pool

    assert [owned(kind) for kind in ("SandboxWarmPool", "SandboxClaim")] == ["keeper", ""]
    assert sandbox().pool == ""
