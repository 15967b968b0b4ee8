"""A debug container: offered as kubectl's own command, added after a question, entered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from services.errors import RefusedError, ShellError
from services.models import SandboxId, SandboxState, Step, StepState
from services.sources.protocol.proposer import Proposal, Proposer
from services.terminal.exec.requests import ShellChoice
from tests.integration.sources.pods.test_kube_source import BOX, Cluster, cluster
from tests.integration.sources.pods.test_kubectl import run
from tests.integration.sources.pods.test_sandboxes import box
from tests.integration.sources.pods.test_sandboxes import cluster as sandbox_cluster
from tests.support.kube_api import pod
from tests.support.shells import opened, read_until
from tests.support.waiting import eventually

DONE = {"add": StepState.OK, "start": StepState.OK}


def proposer(one: Cluster) -> Proposer:
    assert one.source.proposer is not None
    return one.source.proposer


async def carried_out(by: Proposer, proposal: Proposal) -> list[Step]:
    return [step async for step in by.carry_out(proposal)]


def ends(steps: list[Step]) -> dict[str, StepState]:
    return {step.name: step.state for step in steps}


async def test_it_is_added_once_and_its_shell_opens(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        asked = await proposer(one).propose(BOX, "debug")
        assert (asked.target, asked.words, asked.refusal) == ("default/box", "busybox", "")
        assert "beside container main" in asked.consequence
        assert "kubectl --context test -n default debug -it box" in asked.consequence
        assert not one.api.added, "asking adds nothing"
        steps = await carried_out(proposer(one), asked)
        assert ends(steps) == DONE and "debug-1 runs in box" in steps[-1].detail
        again = await proposer(one).propose(BOX, "debug", "registry.example/tools:2")
        assert again.container == "debug-2"
        with pytest.raises(RefusedError, match="no longer the pod"):
            await carried_out(proposer(one), asked)
        assert len(one.api.added) == 1
        shell = one.source.actor.shell(BOX, ShellChoice(container=asked.container))
        async with opened(shell):
            await read_until(shell, b"pod$ ")
        containers = [x.one("container") for x in one.api.peer.requests if x.path.endswith("/exec")]
        assert containers[0] == "debug-1"


@pytest.mark.kit("kubectl")
async def test_kubectl_asks_for_the_same(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        asked = await proposer(one).propose(BOX, "debug")
        await carried_out(proposer(one), asked)
        words = "debug", "box", "--image=busybox", "--target=main", "-it", "--attach=false"
        code, _, err = await run(one.config, *words)
        assert code == 0, err
        (kind, ours), (their_kind, theirs) = one.api.added
        assert kind == their_kind == "application/strategic-merge-patch+json"
        assert all(theirs[key] == value for key, value in ours.items() if key != "name")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"phase": "Failed"}, "a finished pod takes no more containers"),
        ({"node": None}, "the pod has no node yet"),
        ({"deleted": True}, "the pod is being deleted"),
        ({"forbidden": True}, "kubectl --context test -n default debug -it box --image=busybox"),
    ],
    ids=["finished", "no-node", "deleted", "forbidden"],
)
async def test_what_cannot_be_is_said_before_the_question(
    tmp_path: Path, changes: dict[str, object], why: str
) -> None:
    async with cluster(tmp_path) as one:
        made = pod("box")
        if "phase" in changes:
            made["status"]["phase"] = changes["phase"]
        if "node" in changes:
            del made["spec"]["nodeName"]
        if "deleted" in changes:
            made["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        if "forbidden" in changes:
            one.api.forbidden.add("ephemeralcontainers")
        await one.api.put(made)
        asked = await proposer(one).propose(BOX, "debug")
        assert why in asked.refusal and not asked.words
        with pytest.raises(RefusedError):
            await carried_out(proposer(one), asked)
        assert not one.api.added


async def test_an_image_that_is_none_is_asked_for_again(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        asked = await proposer(one).propose(BOX, "debug", "x; rm -rf /")
        assert asked.refusal == "that is no image's name" and asked.words


async def test_one_that_cannot_start_or_is_refused_says_so(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        message = "pull access denied"
        one.api.debug_state = {"waiting": {"reason": "ErrImagePull", "message": message}}
        asked = await proposer(one).propose(BOX, "debug")
        last = (await carried_out(proposer(one), asked))[-1]
        assert last.state is StepState.FAILED
        assert "its image cannot be pulled; pull access denied" in last.detail
        asked = await proposer(one).propose(BOX, "debug")
        one.api.forbidden.add("ephemeralcontainers")
        last = (await carried_out(proposer(one), asked))[-1]
        assert (last.name, last.state) == ("add", StepState.FAILED) and "(403)" in last.detail


async def test_a_pod_that_was_replaced_gets_none(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        asked = await proposer(one).propose(BOX, "debug")
        made = pod("box")
        made["metadata"]["uid"] = "another"
        await one.api.put(made)
        with pytest.raises(RefusedError, match="nothing was added"):
            await carried_out(proposer(one), asked)
        assert not one.api.added


async def test_a_crashing_pod_is_entered_through_it(tmp_path: Path) -> None:
    """Where no container of its own runs, the row refuses a shell until there is one."""
    async with cluster(tmp_path) as one:
        made = pod("box")
        (own,) = made["status"]["containerStatuses"]
        own |= {"ready": False, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
        await one.api.put(made)
        rows = await one.sandboxes()
        assert rows["box"].unavailable[1][1] == "none of its containers runs"
        asked = await proposer(one).propose(BOX, "debug")
        assert ends(await carried_out(proposer(one), asked)) == DONE

        async def allowed() -> bool:
            return len((await one.sandboxes())["box"].unavailable) == 1

        await eventually(allowed)


async def test_a_sandbox_gets_it_in_the_pod_of_now(tmp_path: Path) -> None:
    async with sandbox_cluster(tmp_path) as one:
        one.controller.delay_s = 0.3  # it is added while the pod's own container is being made
        one.make("box")
        by = one.source.proposer
        assert by is not None

        async def when_it_runs() -> Proposal:
            try:
                proposal = await by.propose(box("box"), "debug")
            except ShellError as no_pod_yet:
                raise AssertionError(str(no_pod_yet)) from no_pod_yet
            assert not proposal.refusal, proposal.refusal
            return proposal

        asked = await eventually(when_it_runs)
        assert ends(await carried_out(by, asked)) == DONE
        await one.until("box", SandboxState.READY)
        assert one.api.pods()["default", "box"]["spec"]["ephemeralContainers"], "and it stays"
        stranger = SandboxId("prod", "default/sandbox/none")
        assert replace(asked, sandbox=stranger).target == "default/box"
