"""A small agent-sandbox controller for tests: it obeys the conditions' table, or fails as told.

It makes and deletes the pod of each `Sandbox` of a test cluster, sets its conditions with delays,
and keeps a lease and a deployment of its own, as the real one does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from tests.support.kube_api import KubeApi, pod
from tests.support.kube_resources import Key, Kind, Resource, Resources

GROUP, EXTENSIONS = "agents.x-k8s.io", "extensions.agents.x-k8s.io"
HOME = "agent-sandbox-system"
LEASE, NAME = "a3317529.agent-sandbox.x-k8s.io", "agent-sandbox-controller"
NO_ROOM = "0/3 nodes are available: 3 Insufficient memory."
FAILURES = ("unschedulable", "image", "crash", "error", "many", "deaf", "failed", "done", "slow")
"""What can be had for a sandbox that is to run."""
_ADDED = (("spec", "ephemeralContainers"), ("status", "ephemeralContainerStatuses"))
SUSPEND_FAILURES = ("not-owned", "unseen", "stays")
"""And for one that is to be suspended."""


def stamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def sandbox(name: str, mode: str = "Running", namespace: str = "default", **spec: Any) -> Resource:
    """One `Sandbox` that no controller has looked at."""
    return {
        "apiVersion": f"{GROUP}/v1beta1",
        "kind": "Sandbox",
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": stamp()},
        "spec": {"operatingMode": mode, "podTemplate": {"spec": {"containers": []}}, **spec},
    }


def to_version(one: Resource, old: str, new: str) -> Resource:
    """A sandbox in the words of another version."""
    spec = dict(one.get("spec", {}))
    if new == "v1alpha1" and old != new:
        spec["replicas"] = 0 if spec.pop("operatingMode", "Running") == "Suspended" else 1
    elif new == "v1beta1" and old != new:
        spec["operatingMode"] = "Suspended" if spec.pop("replicas", 1) == 0 else "Running"
    group = one["apiVersion"].partition("/")[0]
    return {**one, "apiVersion": f"{group}/{new}", "spec": spec}


def agent_sandbox(versions: tuple[str, ...] = ("v1beta1", "v1alpha1")) -> Resources:
    """The resources of a cluster with agent-sandbox; kept in v1beta1, whatever is served."""
    served = Kind(GROUP, "sandboxes", "Sandbox", versions, to_version, "v1beta1")
    return Resources(
        (
            served,
            Kind(EXTENSIONS, "sandboxclaims", "SandboxClaim", versions),
            Kind(EXTENSIONS, "sandboxwarmpools", "SandboxWarmPool", versions),
            Kind("apps", "deployments", "Deployment", ("v1",)),
            Kind("coordination.k8s.io", "leases", "Lease", ("v1",)),
        )
    )


def condition(
    kind: str, value: str, reason: str, message: str = "", *, at: str = "", generation: int = 1
) -> dict[str, Any]:
    return {
        "type": kind,
        "status": value,
        "reason": reason,
        "message": message,
        "lastTransitionTime": at or stamp(),
        "observedGeneration": generation,
    }


def owner(one: Resource) -> list[dict[str, Any]]:
    """References that make `one` the controller of something."""
    return [
        {
            "apiVersion": one["apiVersion"],
            "kind": one["kind"],
            "name": one["metadata"]["name"],
            "uid": one["metadata"]["uid"],
            "controller": True,
        }
    ]


class SandboxController:
    """One that runs beside the API; `fail` says by name what goes wrong."""

    def __init__(self, api: KubeApi, resources: Resources, delay_s: float = 0.02) -> None:
        self.fail: dict[str, str] = {}
        self.delay_s = delay_s
        self.handled = 0
        self._api = api
        self._resources = resources
        self._runs: dict[Key, asyncio.Task[None]] = {}
        self._lease: asyncio.Task[None] | None = None
        self.alive = False

    def start(self) -> None:
        """Take up everything there is, and lead."""
        self.alive = True
        self._resources.on_write.append(self._written)
        self._resources.put(
            "deployments",
            {
                "metadata": {"name": NAME, "namespace": HOME},
                "spec": {"replicas": 1},
                "status": {"availableReplicas": 1},
            },
        )
        self._lease = asyncio.create_task(self._lead())
        for key, one in list(self._resources.kind("sandboxes").rows.items()):
            self._written(self._resources.kind("sandboxes"), key, one)

    async def stop(self) -> None:
        """Die: nothing is taken up any more, and the cluster notices."""
        if not self.alive:
            return
        self.alive = False
        self._resources.on_write.remove(self._written)
        tasks = [*self._runs.values(), *([self._lease] if self._lease else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._runs.clear()
        self._resources.set_status("deployments", NAME, {"availableReplicas": 0}, HOME)

    async def _lead(self) -> None:
        while True:
            spec = {
                "holderIdentity": "controller-0",
                "leaseDurationSeconds": 15,
                "renewTime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            }
            self._resources.put(
                "leases", {"metadata": {"name": LEASE, "namespace": HOME}, "spec": spec}
            )
            await asyncio.sleep(2.0)  # a lease is renewed by the clock

    def _written(self, kind: Kind, key: Key, one: Resource | None) -> None:
        if kind.plural != "sandboxes":
            return
        if one is None:
            if (task := self._runs.pop(key, None)) is not None:
                task.cancel()
            return
        seen = (one.get("status") or {}).get("observed")
        if seen == one["metadata"]["generation"]:
            return
        if (task := self._runs.get(key)) is not None:
            task.cancel()
        self._runs[key] = asyncio.create_task(self._reconcile(key))

    async def _reconcile(self, key: Key) -> None:
        with suppress(KeyError):
            one = self._resources.get("sandboxes", key[1], key[0])
            how = self.fail.get(key[1], "")
            if how == "deaf":
                return
            self.handled += 1
            if one["spec"].get("operatingMode") == "Suspended":
                await self._suspend(key, one, how)
            else:
                await self._resume(key, one, how)
            self._runs.pop(key, None)

    def _tell(self, key: Key, *conditions: dict[str, Any], **more: Any) -> None:
        """Write the conditions; one whose status is as before keeps the time of its change."""
        one = self._resources.get("sandboxes", key[1], key[0])
        generation = one["metadata"]["generation"]
        status = one.get("status") or {}
        before = {old["type"]: old for old in status.get("conditions", ())}
        for new in conditions:
            old = before.get(new["type"])
            if old is not None and old["status"] == new["status"]:
                new["lastTransitionTime"] = old["lastTransitionTime"]
            new["observedGeneration"] = generation
        there = {new["type"] for new in conditions}
        kept = [before["Suspended"]] if "Suspended" in before and "Suspended" not in there else []
        self._resources.set_status(
            "sandboxes",
            key[1],
            {**more, "conditions": [*kept, *conditions], "observed": generation},
            key[0],
        )

    async def _suspend(self, key: Key, one: Resource, how: str) -> None:
        name = self._pod_name(one)
        there = (key[0], name) in self._api.pods()
        none = condition("Ready", "False", "SandboxSuspended", "Sandbox is suspended")
        if how == "not-owned":
            why = "Refused to delete pod because it is not owned by this sandbox"
            self._tell(key, condition("Suspended", "False", "PodNotOwned", why), none)
            return
        if how == "unseen":
            why = "Pod state is unknown. Sandbox suspension cannot be confirmed"
            self._tell(key, condition("Suspended", "Unknown", "PodStateUnknown", why), none)
            return
        if there or how == "stays":
            why = "Pod is terminating. Sandbox is suspending"
            self._tell(key, condition("Suspended", "False", "PodTerminating", why), none)
            if how == "stays":
                return
            await asyncio.sleep(self.delay_s)  # a pod takes its time to end
            await self._api.remove(name, key[0])
        why = "Pod has been terminated. Sandbox is suspended"
        self._tell(key, condition("Suspended", "True", "PodTerminated", why), none)

    async def _resume(self, key: Key, one: Resource, how: str) -> None:
        awake = condition("Suspended", "False", "NotSuspended", "Sandbox is not suspended")
        waits = "DependenciesNotReady"
        if how in ("error", "many"):
            said = "Error seen: quota exceeded" if how == "error" else "multiple Pods (2)"
            reason = "ReconcilerError" if how == "error" else "MultiplePods"
            self._tell(key, awake, condition("Ready", "False", reason, said))
            return
        self._tell(key, awake, condition("Ready", "False", waits, "Pod does not exist"))
        await asyncio.sleep(self.delay_s)  # and to be made
        made = self._pod(one)
        made["spec"].pop("nodeName")
        room = how != "unschedulable"
        placed = {"type": "PodScheduled", "status": "True"}
        if not room:
            placed = {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": NO_ROOM,
            }
        made["status"] = {"phase": "Pending", "conditions": [placed], "startTime": stamp()}
        await self._put_pod(made)
        if not room:
            self._tell(
                key,
                awake,
                condition("PodScheduled", "False", "Unschedulable", NO_ROOM),
                condition("Ready", "False", waits, "Pod exists with phase: Pending"),
            )
            return
        await asyncio.sleep(self.delay_s)  # to be scheduled
        made = self._pod(one)
        reasons = {"image": "ImagePullBackOff", "crash": "CrashLoopBackOff"}
        waiting = {"reason": reasons.get(how, "ContainerCreating"), "message": how}
        state = {"name": "main", "ready": False, "restartCount": 0, "state": {"waiting": waiting}}
        made["status"] = {
            "phase": "Pending",
            "startTime": stamp(),
            "conditions": [placed],
            "containerStatuses": [state],
        }
        await self._put_pod(made)
        scheduled = condition("PodScheduled", "True", "PodScheduled")
        self._tell(
            key,
            awake,
            scheduled,
            condition("Ready", "False", waits, "Pod exists with phase: Pending"),
        )
        if how in ("image", "crash", "slow"):
            return
        await asyncio.sleep(self.delay_s)  # to be pulled
        made = self._pod(one)
        if how in ("failed", "done"):
            code, reason = (1, "PodFailed") if how == "failed" else (0, "PodSucceeded")
            made["status"]["phase"] = "Failed" if how == "failed" else "Succeeded"
            made["status"]["containerStatuses"][0] |= {
                "ready": False,
                "state": {"terminated": {"exitCode": code, "reason": "Error"}},
            }
            await self._put_pod(made)
            self._tell(
                key,
                awake,
                condition("Finished", "True", reason),
                condition("Ready", "False", reason),
            )
            return
        await self._put_pod(made)
        await asyncio.sleep(self.delay_s)  # to become ready
        ready = condition("Ready", "True", "DependenciesReady", "Pod is Ready")
        self._tell(key, awake, scheduled, ready, podIPs=["10.0.0.7"])

    async def _put_pod(self, made: Resource) -> None:
        """Write a pod; containers added to it by hand stay, as a kubelet leaves them."""
        metadata = made["metadata"]
        there = self._api.pods().get((metadata["namespace"], metadata["name"]))
        if there is not None and there["metadata"]["uid"] == metadata["uid"]:
            for part, field in _ADDED:
                if field in there[part]:
                    made[part][field] = there[part][field]
        await self._api.put(made)

    @staticmethod
    def _pod_name(one: Resource) -> str:
        named = one["metadata"].get("annotations", {}).get(f"{GROUP}/pod-name")
        return str(named or one["metadata"]["name"])

    def _pod(self, one: Resource) -> Resource:
        made = pod(self._pod_name(one), one["metadata"]["namespace"])
        made["metadata"] |= {
            "uid": f"{one['metadata']['uid']}-{one['metadata']['generation']}",
            "creationTimestamp": stamp(),
            "ownerReferences": owner(one),
        }
        return made


@asynccontextmanager
async def controlled(
    api: KubeApi, resources: Resources, delay_s: float = 0.02
) -> AsyncIterator[SandboxController]:
    """A controller that runs, and has ended at the end."""
    api.more = resources.handle
    controller = SandboxController(api, resources, delay_s)
    controller.start()
    try:
        yield controller
    finally:
        await controller.stop()
