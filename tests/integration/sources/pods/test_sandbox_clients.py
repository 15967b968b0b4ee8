"""The programs of others on the same sandboxes: what one does, the others see."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.clock import SystemClock
from services.config.sources import KubernetesTable
from services.models import SandboxState, StepState
from services.sources.pods.source import open_kubernetes
from services.sources.protocol.source import OpenSource
from tests.integration.sources.pods.test_sandboxes import Cluster, box, cluster, ended
from tests.support.kube_api import pod
from tests.support.kubectl import environment, kubeconfig, kubectl
from tests.support.sandbox_client import kmock_server, official_client
from tests.support.sandbox_controller import condition, owner, sandbox
from tests.support.waiting import eventually

SANDBOXES = "/apis/agents.x-k8s.io/v1beta1/namespaces/default/sandboxes"


@pytest.mark.kit("agent-sandbox")
async def test_the_official_client_suspends_and_sees_what_we_wake(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one, official_client(one.config) as client:
        one.make("box")
        await one.until("box", SandboxState.READY)
        assert await client.ask("wait", "box") == "10.0.0.7"
        await client.ask("mode", "box", "Suspended")
        await one.until("box", SandboxState.ASLEEP)
        assert (await client.ask("get", "box"))["spec"]["operatingMode"] == "Suspended"
        steps, ready = await asyncio.gather(one.wake("box"), client.ask("wait", "box"))
        assert ended(steps)["ready"] is StepState.OK
        assert ready == "10.0.0.7"
        assert (await client.ask("get", "box"))["spec"]["operatingMode"] == "Running"
        theirs, ours = one.resources.patches
        assert "OpenAPI-Generator" in theirs.agent and "python-httpx" in ours.agent


async def run(one: Cluster, *words: str) -> str:
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        kubectl(), *words, stdout=pipe, stderr=pipe, env=environment(one.config)
    )
    async with asyncio.timeout(60):
        out, err = await child.communicate()
    assert child.returncode == 0, err
    return out.decode()


@pytest.mark.kit("kubectl")
async def test_kubectl_suspends_and_sees_what_we_wake(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        one.make("box")
        await one.until("box", SandboxState.READY)
        patch = '{"spec":{"operatingMode":"Suspended"}}'
        kind = "sandboxes.v1beta1.agents.x-k8s.io"
        said = await run(one, "patch", kind, "box", "--type=merge", "-p", patch)
        assert "box patched" in said
        await one.until("box", SandboxState.ASLEEP)
        assert ended(await one.wake("box"))["ready"] is StepState.OK
        shown = json.loads(await run(one, "get", kind, "box", "-o", "json"))
        assert shown["spec"]["operatingMode"] == "Running"
        listed = json.loads(
            await run(one, "get", "sandboxes.v1alpha1.agents.x-k8s.io", "-o", "json")
        )
        assert listed["items"][0]["spec"]["replicas"] == 1


class Kmock:
    """A cluster of kmock's; its controller is whoever patches."""

    def __init__(self, http: httpx.AsyncClient, source: OpenSource) -> None:
        self.source = source
        self._http = http

    async def make(self, path: str, one: dict[str, Any]) -> None:
        (await self._http.post(path, json=one)).raise_for_status()

    async def patch(self, name: str, changes: dict[str, Any], path: str = SANDBOXES) -> None:
        (await self._http.patch(f"{path}/{name}", json=changes)).raise_for_status()

    async def delete(self, path: str) -> None:
        (await self._http.delete(path)).raise_for_status()

    async def get(self, name: str) -> Any:
        return (await self._http.get(f"{SANDBOXES}/{name}")).json()

    async def state(self, name: str) -> SandboxState | None:
        rows = (await self.source.observer.observe()).sandboxes
        return next((one.state for one in rows if one.id == box(name)), None)


@asynccontextmanager
async def kmock(folder: Path) -> AsyncIterator[Kmock]:
    served = [f"agents.x-k8s.io/v1beta1/{plural}" for plural in ("sandboxes",)]
    for plural in ("sandboxclaims", "sandboxwarmpools"):
        served.append(f"extensions.agents.x-k8s.io/v1beta1/{plural}")
    async with kmock_server(*served, "v1/pods") as url, httpx.AsyncClient(base_url=url) as http:
        table = KubernetesTable(kubeconfig=str(kubeconfig(folder, url)))
        source = open_kubernetes("prod", table, SystemClock())
        try:
            yield Kmock(http, source)
        finally:
            await source.actor.close()
            await source.observer.close()


@pytest.mark.kit("agent-sandbox")
async def test_a_server_of_others_is_listed_watched_and_patched(tmp_path: Path) -> None:
    """It keeps no resource versions and refuses nothing: conflicts are for our own server."""
    async with kmock(tmp_path) as one:
        asleep = condition("Suspended", "True", "PodTerminated")
        held = sandbox("box", "Suspended")
        held["metadata"] |= {"uid": "u-1", "generation": 1, "resourceVersion": "5"}
        await one.make(SANDBOXES, {**held, "status": {"conditions": [asleep]}})
        made = pod("box")
        made["metadata"]["ownerReferences"] = owner(held)
        await one.make("/api/v1/namespaces/default/pods", made)
        assert await one.state("box") is SandboxState.ASLEEP
        await one.make(SANDBOXES, sandbox("late", "Suspended"))
        await eventually(lambda: one.state("late"))

        async def wake() -> list[str]:
            return [
                f"{step.name} {step.state.value}"
                async for step in one.source.actor.wake(box("box"))
            ]

        waking = asyncio.create_task(wake())

        async def patched() -> bool:
            return bool((await one.get("box"))["spec"]["operatingMode"] == "Running")

        await eventually(patched)
        ready = [condition("Ready", "True", "DependenciesReady")]
        await one.patch("box", {"status": {"conditions": ready}})
        assert (await waking)[-1] == "ready ok"
        await eventually(lambda: one.state("box"))
        assert await one.state("box") is SandboxState.READY


@pytest.mark.kit("agent-sandbox")
async def test_pods_of_a_server_of_others_are_listed_watched_and_gone(tmp_path: Path) -> None:
    async with kmock(tmp_path) as one:
        path = "/api/v1/namespaces/default/pods"
        await one.make(path, pod("first"))

        async def rows() -> dict[str, SandboxState]:
            seen = await one.source.observer.observe()
            return {row.name: row.state for row in seen.sandboxes}

        assert await rows() == {"first": SandboxState.READY}
        await one.make(path, pod("second"))

        async def become(wanted: dict[str, SandboxState]) -> bool:
            return await rows() == wanted

        both = {"first": SandboxState.READY, "second": SandboxState.READY}
        await eventually(lambda: become(both), what=rows)
        lost = {"conditions": [{"type": "Ready", "status": "Unknown"}]}
        await one.patch("first", {"status": lost}, path)
        await eventually(lambda: become({**both, "first": SandboxState.UNKNOWN}))
        await one.delete(f"{path}/second")
        await eventually(lambda: become({"first": SandboxState.UNKNOWN}))
