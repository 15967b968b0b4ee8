"""`Sandbox` resources end to end: a kubeconfig, a server over TLS, a controller, real processes."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from services.board.board import Board
from services.board.lookup import find
from services.clock import SystemClock
from services.config.sources import KubernetesTable
from services.errors import AmbiguousError, NotFoundError, ShellError, WakedeckError
from services.journal.rows import EventQuery
from services.journal.store import Journal
from services.models import (
    Capability,
    GatewayState,
    Observation,
    Sandbox,
    SandboxId,
    SandboxState,
    Step,
    StepState,
    Verb,
)
from services.repair.attempts import Attempts
from services.sources.pods import kube_observer
from services.sources.pods.agent_sandbox.actor import ClusterActor
from services.sources.pods.agent_sandbox.wake import Patience
from services.sources.pods.source import open_kubernetes
from services.sources.protocol.source import OpenSource
from services.sources.protocol.verdict import VerdictKind
from services.terminal.exec.requests import ExecRequest, ShellChoice, collect_output
from tests.support.http_peer import Exchange
from tests.support.kube_api import TOKEN, KubeApi, kube_api, pod
from tests.support.kube_resources import Resources
from tests.support.kubectl import kubeconfig
from tests.support.sandbox_controller import (
    FAILURES,
    SUSPEND_FAILURES,
    SandboxController,
    agent_sandbox,
    controlled,
    owner,
    sandbox,
)
from tests.support.shells import opened, read_until
from tests.support.tls import Authority
from tests.support.waiting import eventually

BOTH = ("v1beta1", "v1alpha1")
CONTROLLER = "test/agent-sandbox-controller"


def box(name: str, namespace: str = "default") -> SandboxId:
    return SandboxId("prod", f"{namespace}/sandbox/{name}")


class Cluster:
    """A cluster with agent-sandbox, and the source that serves it."""

    def __init__(
        self,
        api: KubeApi,
        resources: Resources,
        controller: SandboxController,
        open_source: Callable[[], OpenSource],
        config: Path,
    ) -> None:
        self.api = api
        self.resources = resources
        self.controller = controller
        self._open_source = open_source
        self.source = open_source()
        self.config = config

    async def close(self) -> None:
        await self.source.actor.close()
        await self.source.observer.close()

    async def look_anew(self) -> None:
        """As another panel does: with nothing known from before."""
        await self.close()
        self.source = self._open_source()

    def make(self, name: str, mode: str = "Running", **spec: Any) -> None:
        self.resources.put("sandboxes", sandbox(name, mode, **spec))

    async def seen(self) -> Observation:
        return await self.source.observer.observe()

    async def row(self, name: str) -> Sandbox:
        seen = await self.seen()
        return next(one for one in seen.sandboxes if one.id == box(name))

    async def until(self, name: str, state: SandboxState) -> Sandbox:
        async def reached() -> list[Sandbox]:
            rows = [one for one in (await self.seen()).sandboxes if one.id == box(name)]
            assert rows and rows[0].state is state, rows
            return rows

        return (await eventually(reached))[0]

    async def wake(self, name: str) -> list[Step]:
        return [step async for step in self.source.actor.wake(box(name))]


@asynccontextmanager
async def cluster(
    folder: Path,
    versions: tuple[str, ...] = BOTH,
    patience: Patience | None = None,
    **options: object,
) -> AsyncIterator[Cluster]:
    authority = Authority(folder / "ca")
    resources = agent_sandbox(versions)
    async with kube_api(folder / "pod", authority.server("localhost")) as api:
        config = kubeconfig(
            folder, f"https://localhost:{api.peer.port}", TOKEN, authority.certificate
        )
        wanted = KubernetesTable(kubeconfig=str(config), **options)  # type: ignore[arg-type]

        def open_source() -> OpenSource:
            source = open_kubernetes("prod", wanted, SystemClock())
            assert isinstance(source.actor, ClusterActor)
            source.actor._patience = patience or Patience(0.2, 0.2)
            return source

        async with controlled(api, resources) as controller:
            one = Cluster(api, resources, controller, open_source, config)
            try:
                yield one
            finally:
                await one.close()


def ended(steps: list[Step]) -> dict[str, StepState]:
    return {one.name: one.state for one in steps}


@pytest.mark.parametrize("versions", [BOTH, ("v1beta1",), ("v1alpha1",)], ids=str)
async def test_one_that_sleeps_is_woken_by_one_field(
    tmp_path: Path, versions: tuple[str, ...]
) -> None:
    async with cluster(tmp_path, versions) as one:
        one.make("box", "Suspended")
        asleep = await one.until("box", SandboxState.ASLEEP)
        assert asleep.asleep_by_design and "suspended since" in asleep.reason
        assert dict(asleep.unavailable)[Capability.SHELL] == "it is suspended"
        verdict = await one.source.observer.probe(box("box"))
        assert (verdict.kind, verdict.wakeable) == (VerdictKind.REPAIRABLE, True)
        before = one.resources.get("sandboxes", "box")["metadata"]["resourceVersion"]

        steps = await one.wake("box")

        assert list(ended(steps)) == ["credential", "start", "pod", "schedule", "pull", "ready"]
        assert set(ended(steps).values()) == {StepState.OK}
        assert all(
            step.started_at and step.ended_at for step in steps if step.state is StepState.OK
        )
        (patch,) = one.resources.patches
        wish = {"operatingMode": "Running"} if "v1beta1" in versions else {"replicas": 1}
        assert patch.body == {"metadata": {"resourceVersion": before}, "spec": wish}
        assert patch.kind == "application/merge-patch+json"
        assert (await one.source.observer.probe(box("box"))).kind is VerdictKind.READY
        awake = await one.until("box", SandboxState.READY)
        assert awake.unavailable == ()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("unschedulable", "Unschedulable: no node can take it; 0/3 nodes are available"),
        ("image", "ImagePullBackOff: its image cannot be pulled"),
        ("crash", "CrashLoopBackOff: it crashes again and again"),
        ("error", "Error seen: quota exceeded"),
        ("many", "more than one pod"),
        ("done", "its program has ended well"),
    ],
)
async def test_a_wake_ends_with_what_keeps_it_from_serving(
    tmp_path: Path, how: str, said: str
) -> None:
    async with cluster(tmp_path) as one:
        one.make("box", "Suspended")
        await one.until("box", SandboxState.ASLEEP)
        one.controller.fail["box"] = how
        last = (await one.wake("box"))[-1]
        assert last.state is StepState.FAILED and said in last.detail, last
        assert len(one.resources.patches) == 1
        row = await one.row("box")
        assert row.state in (SandboxState.STUCK, SandboxState.BROKEN, SandboxState.DOWN)
        assert said in row.reason
        verdict = await one.source.observer.probe(box("box"))
        assert verdict.kind is not VerdictKind.READY and not verdict.wakeable


async def test_a_conflict_is_told_and_nothing_is_sent_again(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        one.make("box", "Suspended")
        await one.until("box", SandboxState.ASLEEP)
        one.resources.conflicts.add("box")
        last = (await one.wake("box"))[-1]
        assert (last.name, last.state) == ("start", StepState.FAILED)
        assert "changed before it could be woken (409): its annotations are others" in last.detail
        assert len(one.resources.patches) == 1
        assert (await one.row("box")).state is SandboxState.ASLEEP
        one.resources.conflicts.clear()
        assert (await one.wake("box"))[-1].state is StepState.OK


async def test_one_that_somebody_else_woke_first_is_followed(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        one.make("box", "Suspended")
        await one.until("box", SandboxState.ASLEEP)
        woken = one.resources.get("sandboxes", "box")
        woken["spec"]["operatingMode"] = "Running"
        one.resources.put("sandboxes", woken)
        steps = ended(await one.wake("box"))
        assert (steps["start"], steps["ready"]) == (StepState.SKIPPED, StepState.OK)
        assert not one.resources.patches


async def test_what_may_not_be_patched_names_the_right_and_its_proof(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        one.make("box", "Suspended")
        await one.until("box", SandboxState.ASLEEP)
        one.resources.forbidden.add(("patch", "sandboxes"))
        last = (await one.wake("box"))[-1]
        assert last.state is StepState.FAILED
        assert "lacks patch of sandboxes.agents.x-k8s.io in default (403)" in last.detail
        assert "kubectl auth can-i patch sandboxes.agents.x-k8s.io/box -n default" in last.detail


@pytest.mark.parametrize("done", [True, False])
async def test_a_patch_without_an_answer_is_looked_for(tmp_path: Path, done: bool) -> None:
    async with cluster(tmp_path) as one:
        one.make("box", "Suspended")
        await one.until("box", SandboxState.ASLEEP)
        (one.resources.silent if done else one.resources.lost).add("box")
        steps = await one.wake("box")
        assert len(one.resources.patches) == 1
        if done:
            assert ended(steps)["ready"] is StepState.OK
        else:
            assert steps[-1].state is StepState.FAILED
            assert steps[-1].detail.endswith("It was not woken.")


async def test_one_that_is_deleted_or_suspended_meanwhile_ends_the_wake(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        one.controller.fail["box"] = one.controller.fail["other"] = "slow"
        for name in ("box", "other"):
            one.make(name, "Suspended")
            await one.until(name, SandboxState.ASLEEP)

        async def meanwhile(name: str, act: Callable[[], object]) -> Step:
            steps: list[Step] = []
            async for step in one.source.actor.wake(box(name)):
                if step.name == "pull" and "pull" not in [before.name for before in steps]:
                    act()
                steps.append(step)
            return steps[-1]

        last = await meanwhile("box", lambda: one.resources.remove("sandboxes", "box"))
        assert "deleted while it was being woken" in last.detail

        def suspend() -> None:
            held = one.resources.get("sandboxes", "other")
            held["spec"]["operatingMode"] = "Suspended"
            one.resources.put("sandboxes", held)

        last = await meanwhile("other", suspend)
        assert "suspended again" in last.detail


async def test_the_end_of_its_life_is_counted_down_and_told_by_the_wake(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        ends = (datetime.now(UTC) + timedelta(minutes=29, seconds=50)).isoformat()
        one.make("box", "Suspended", shutdownTime=ends)
        row = await one.until("box", SandboxState.ASLEEP)
        assert "its life ends in 29m" in row.reason
        start = next(
            step
            for step in await one.wake("box")
            if step.name == "start" and step.state is StepState.OK
        )
        assert start.outcome.startswith("its life ends in 29m")


async def test_a_pod_is_part_of_its_sandbox_and_found_by_every_name(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        held = sandbox("pool-x7f2")
        held["metadata"]["annotations"] = {"agents.x-k8s.io/pod-name": "warm-1"}
        one.resources.put("sandboxes", held)
        one.resources.put(
            "sandboxclaims",
            {
                "metadata": {"name": "alice", "namespace": "default"},
                "status": {"sandbox": {"name": "pool-x7f2"}},
            },
        )
        await one.until("pool-x7f2", SandboxState.READY)
        stranger = pod("pool-x7f2")
        await one.api.put(stranger)
        seen = await one.seen()
        assert {row.id.native_id for row in seen.sandboxes} == {
            "default/sandbox/pool-x7f2",
            "default/pool-x7f2",
        }
        row = next(one for one in seen.sandboxes if one.id == box("pool-x7f2"))
        assert row.name == "alice → pool-x7f2"
        for typed in ("alice", "warm-1", "default/warm-1", "prod/alice", "prod/default/warm-1"):
            assert find(seen.sandboxes, typed) is row
        with pytest.raises(AmbiguousError, match="names several"):
            find(seen.sandboxes, "pool-x7f2")
        assert find(seen.sandboxes, "prod/default/pool-x7f2").id.native_id == "default/pool-x7f2"
        assert dict(find(seen.sandboxes, "prod/default/pool-x7f2").unavailable)[Capability.WAKE]


async def test_stock_of_a_pool_is_counted_on_the_pools_line(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        one.resources.put(
            "sandboxwarmpools",
            {
                "metadata": {"name": "warm", "namespace": "default"},
                "spec": {"replicas": 3},
                "status": {"replicas": 2, "readyReplicas": 1},
            },
        )
        pool = one.resources.get("sandboxwarmpools", "warm")
        for name in ("warm-a", "warm-b"):
            held = sandbox(name)
            held["metadata"]["ownerReferences"] = owner(pool)
            one.resources.put("sandboxes", held)
        one.make("mine")
        await one.until("warm-a", SandboxState.READY)
        seen = await one.seen()
        line = next(row for row in seen.gateways if row.id.native_id == "default/pool/warm")
        assert (line.state, line.reason) == (GatewayState.SETTLING, "1 of 3 in stock are ready.")
        assert [row.name for row in seen.sandboxes if row.stock] == ["warm-a", "warm-b"]
        stock = next(row for row in seen.sandboxes if row.name == "warm-a")
        assert "stock of pool warm" in dict(stock.unavailable)[Capability.WAKE]
        claimed = one.resources.get("sandboxes", "warm-a")
        claimed["metadata"]["ownerReferences"] = [
            {"kind": "SandboxClaim", "name": "bob", "uid": "c", "controller": True}
        ]
        one.resources.put("sandboxes", claimed)

        async def taken() -> bool:
            row = await one.row("warm-a")
            return (row.name, row.stock) == ("bob → warm-a", False)

        await eventually(taken)


async def test_nothing_is_asked_where_it_is_not_installed(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        await one.controller.stop()
        one.resources.kinds.clear()
        await one.api.put(pod("plain"))
        for _ in range(5):
            seen = await one.seen()
        assert [row.name for row in seen.sandboxes] == ["plain"]
        assert len(seen.gateways) == 1 and not seen.unknown
        asked = [one.path for one in one.api.peer.requests if one.path.startswith("/apis")]
        assert asked == ["/apis/agents.x-k8s.io"]


async def test_discovery_is_asked_once_and_again_after_a_failure(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        one.make("box")
        await one.until("box", SandboxState.READY)
        for _ in range(5):
            await one.seen()
        assert one.resources.discoveries == 2
        assert one.resources.lists == 3


@pytest.mark.parametrize("what", [("list", "sandboxes"), ("get", "agents.x-k8s.io")], ids=str)
async def test_without_the_right_pods_go_on_and_the_right_is_named(
    tmp_path: Path, what: tuple[str, str]
) -> None:
    async with cluster(tmp_path) as one:
        one.resources.forbidden.add(what)
        one.make("box")
        await one.api.put(pod("plain"))
        seen = await one.seen()
        assert "plain" in [row.name for row in seen.sandboxes]
        ((gateway, unknown),) = seen.unknown
        assert gateway is not None and gateway.native_id == CONTROLLER
        needed = "get /apis/agents.x-k8s.io" if what[0] == "get" else "list and watch sandboxes."
        assert f"lacks the permission to {needed}" in unknown.reason
        asked = one.resources.lists + one.resources.discoveries
        await one.seen()
        assert one.resources.lists + one.resources.discoveries == asked


async def test_a_dead_controller_is_why_nothing_wakes_and_cuts_nothing_off(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        one.make("box")
        row = await one.until("box", SandboxState.READY)
        assert [need.native_id for need in row.needs] == ["test"]

        async def keeper() -> tuple[GatewayState, str]:
            seen = await one.seen()
            found = next(row for row in seen.gateways if row.id.native_id == CONTROLLER)
            return found.state, found.reason

        assert (await keeper())[0] is GatewayState.READY
        await one.controller.stop()
        assert await keeper() == (
            GatewayState.DOWN,
            "None of its 1 replicas serves: nothing will wake.",
        )
        assert (await one.row("box")).state is SandboxState.READY


async def test_a_controller_that_may_not_be_read_is_unknown(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        one.resources.forbidden |= {("get", "deployments"), ("get", "leases")}
        seen = await one.seen()
        keeper = next(row for row in seen.gateways if row.id.native_id == CONTROLLER)
        assert keeper.state is GatewayState.UNKNOWN
        assert "may not get deployments in agent-sandbox-system (403)" in keeper.reason


async def test_a_watch_goes_on_after_its_history_is_forgotten(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        one.make("box", "Suspended")
        await one.until("box", SandboxState.ASLEEP)
        one.resources.expire("sandboxes")
        one.make("late", "Suspended")
        await one.until("late", SandboxState.ASLEEP)


async def test_shells_and_commands_go_to_the_pod_of_now(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        one.make("box")
        await one.until("box", SandboxState.READY)
        actor = one.source.actor
        done = await collect_output(actor.exec(box("box"), ExecRequest(("sh", "-c", "exit 7"))))
        assert done.code == 7
        first = ShellChoice(first_pod=True)
        done = await collect_output(actor.exec(box("box"), ExecRequest(("true",), first)))
        assert done.code == 0
        with pytest.raises(NotFoundError, match=r"has no pod 'other'\. Its own: box"):
            await collect_output(
                actor.exec(box("box"), ExecRequest(("true",), ShellChoice(pod="other")))
            )
        shell = actor.shell(box("box"), ShellChoice())
        async with opened(shell):
            await read_until(shell, b"pod$")
        second = pod("box-2")
        second["metadata"]["ownerReferences"] = owner(one.resources.get("sandboxes", "box"))
        second["metadata"]["labels"]["hash"] = "1"
        await one.api.put(second)
        held = one.api.pods()["default", "box"]
        held["metadata"]["labels"]["hash"] = "1"
        now = one.resources.get("sandboxes", "box")["status"]
        one.resources.set_status("sandboxes", "box", {**now, "selector": "hash=1"})
        with pytest.raises(AmbiguousError, match=r"several pods: box, box-2"):
            await collect_output(actor.exec(box("box"), ExecRequest(("true",))))
        done = await collect_output(actor.exec(box("box"), ExecRequest(("true",), first)))
        assert done.code == 0


async def test_a_tab_finds_the_new_pod_after_a_resume(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        held = sandbox("box")
        held["metadata"]["annotations"] = {"agents.x-k8s.io/pod-name": "warm-1"}
        one.resources.put("sandboxes", held)
        await one.until("box", SandboxState.READY)
        choice = ShellChoice()
        shell = one.source.actor.shell(box("box"), choice)
        async with opened(shell):
            await read_until(shell, b"pod$")
        sleeping = one.resources.get("sandboxes", "box")
        sleeping["spec"]["operatingMode"] = "Suspended"
        del sleeping["metadata"]["annotations"]["agents.x-k8s.io/pod-name"]
        one.resources.put("sandboxes", sleeping)
        await one.api.remove("warm-1")
        await one.until("box", SandboxState.ASLEEP)
        with pytest.raises(ShellError, match="is suspended and has no pod"):
            await one.source.actor.shell(box("box"), choice).open(80, 24)
        assert (await one.wake("box"))[-1].state is StepState.OK
        shell = one.source.actor.shell(box("box"), choice)
        async with opened(shell):
            await read_until(shell, b"pod$")
        names = [
            request.path.split("/")[6]
            for request in one.api.peer.requests
            if request.path.endswith("/exec")
        ]
        assert names[0] == "warm-1" and names[-1] == "box"


async def test_reconnect_proves_the_link_to_the_pod_behind(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        one.make("box")
        await one.until("box", SandboxState.READY)
        steps = [step async for step in one.source.actor.connect(box("box"))]
        assert isinstance(steps[-1], Step)
        assert (steps[-1].name, steps[-1].state) == ("connect", StepState.OK)
        streams = await one.source.observer.log_streams(box("box"))
        assert [stream.name for stream in streams] == ["main"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
async def test_no_sequence_of_ticks_ever_writes(tmp_path: Path, seed: int) -> None:
    """Whatever changes meanwhile: looking, probing and reading logs send nothing but GETs."""
    dice = random.Random(seed)
    async with cluster(tmp_path) as one:
        names = [f"box-{n}" for n in range(8)]
        for name in names:
            one.make(name, dice.choice(["Running", "Suspended"]))
        for _ in range(60):
            name = dice.choice(names)
            match dice.randrange(6):
                case 0:
                    held = one.resources.get("sandboxes", name)
                    held["spec"]["operatingMode"] = dice.choice(["Running", "Suspended", "Odd"])
                    one.resources.put("sandboxes", held)
                case 1:
                    how = dice.choice([*FAILURES, *SUSPEND_FAILURES, ""])
                    one.controller.fail[name] = how
                case 2:
                    one.resources.expire("sandboxes")
                case 3:
                    await one.source.observer.probe(box(name))
                case 4:
                    with suppress(WakedeckError):
                        await one.source.observer.log_streams(box(name))
                case _:
                    await one.seen()
        methods = {request.method for request in one.api.peer.requests}
        assert methods == {"GET"} and not one.resources.patches


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
async def test_one_key_sends_one_patch_at_most(tmp_path: Path, seed: int) -> None:
    """A whole attempt, over a cluster that changes, refuses, is silent and forgets meanwhile."""
    dice = random.Random(seed)
    async with cluster(tmp_path) as one:
        clock = SystemClock()
        for number in range(6):
            name = f"box-{number}"
            one.make(name, dice.choice(["Suspended", "Suspended", "Running"]))
            await eventually(partial(one.row, name))
            dice.choice(
                [
                    one.resources.conflicts,
                    one.resources.refused,
                    one.resources.silent,
                    one.resources.lost,
                    set(),
                ]
            ).add(name)
            one.controller.fail[name] = dice.choice(["", "", *FAILURES])
            attempts = Attempts({"prod": one.source}, clock, tmp_path / "locks", lambda _: None)
            handle = attempts.request(dice.choice(list(Verb)), box(name))
            waiting = asyncio.ensure_future(handle.wait())
            done, _ = await asyncio.wait((waiting,), timeout=dice.choice([0.3, 3.0]))
            if not done:
                held = one.resources.get("sandboxes", name)
                held["spec"]["operatingMode"] = dice.choice(["Running", "Suspended"])
                one.resources.put("sandboxes", held)
                handle.cancel()
                await waiting
        sent = Counter(patch.key[1] for patch in one.resources.patches)
        assert max(sent.values(), default=0) <= 1, sent


async def test_pods_wait_for_their_sandbox_and_stand_alone_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list under way shows no pod bare that its next page takes in again."""
    monkeypatch.setattr(kube_observer, "LOOK_S", 0.3)
    async with cluster(tmp_path) as one:
        one.make("box")
        await one.until("box", SandboxState.READY)
        stray = pod("stray")
        stray["metadata"]["ownerReferences"] = [
            {**owner(one.resources.get("sandboxes", "box"))[0], "uid": "gone"}
        ]
        await one.api.put(stray)
        held = asyncio.Event()

        async def hold(exchange: Exchange) -> bool:
            if exchange.request.path.endswith("/sandboxes"):
                await held.wait()
            return False

        one.api.refuse = hold
        await one.look_anew()
        board = Board(SystemClock(), [one.source.info])
        seen = await one.seen()
        assert not seen.sandboxes and seen.unknown[0][1].coming
        events = list(board.merge(seen).events)
        held.set()

        async def whole() -> bool:
            events.extend(board.merge(await one.seen()).events)
            return {key.native_id for key in board.sandboxes} == {
                "default/sandbox/box",
                "default/stray",
            }

        await eventually(whole, what=lambda: board.sandboxes)
        said = [event.text for event in events if "box" in event.text and not event.told_at]
        assert not said, "nothing came and nothing went"


async def test_what_happened_while_nobody_looked_is_told_once_with_its_own_time(
    tmp_path: Path,
) -> None:
    async with cluster(tmp_path) as one:
        one.make("box", "Suspended")
        asleep = await one.until("box", SandboxState.ASLEEP)
        await one.look_anew()
        journal = Journal(tmp_path / "journal.db", SystemClock())
        await journal.open()
        for _ in range(2):  # two panels, one after the other
            board = Board(SystemClock(), [one.source.info])
            journal.record(*board.merge(await one.seen()).events)
            await one.look_anew()
        await journal.close()
        journal = Journal(tmp_path / "journal.db", SystemClock())
        await journal.open()
        found = await journal.search(EventQuery(100))
        await journal.close()
        told = [event for event in found.events if event.subject == "default/sandbox/box"]
        assert [(event.at, event.after) for event in told] == [(asleep.told_at, "asleep")]
