"""`Sandbox` resources end to end: a kubeconfig, a server over TLS, a controller, real processes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services.clock import SystemClock
from services.config.sources import KubernetesTable
from services.errors import AmbiguousError, NotFoundError, ShellError
from services.models import (
    Capability,
    GatewayState,
    Observation,
    Sandbox,
    SandboxId,
    SandboxState,
    Step,
    StepState,
)
from services.sources.pods.agent_sandbox.actor import ClusterActor
from services.sources.pods.agent_sandbox.wake import Patience
from services.sources.pods.source import open_kubernetes
from services.sources.protocol.source import OpenSource
from services.sources.protocol.verdict import VerdictKind
from services.terminal.exec.requests import ExecRequest, ShellChoice, collect_output
from tests.support.kube_api import TOKEN, KubeApi, kube_api, pod
from tests.support.kube_resources import Resources
from tests.support.kubectl import kubeconfig
from tests.support.sandbox_controller import (
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
        source: OpenSource,
        config: Path,
    ) -> None:
        self.api = api
        self.resources = resources
        self.controller = controller
        self.source = source
        self.config = config

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
        source = open_kubernetes("prod", wanted, SystemClock())
        assert isinstance(source.actor, ClusterActor)
        source.actor._patience = patience or Patience(0.2, 0.2)
        async with controlled(api, resources) as controller:
            try:
                yield Cluster(api, resources, controller, source, config)
            finally:
                await source.actor.close()
                await source.observer.close()


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
