"""An API server for tests: pods that can be listed, watched, read, logged and exec'd into."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any

from tests.support.http_peer import Exchange, HttpPeer, Request, WebSocket, http_peer
from tests.support.kube_exec import V4, V5, ExecServer

Pod = dict[str, Any]
TOKEN = "kube-token-that-must-not-show"


def pod(name: str, namespace: str = "default", **status: Any) -> Pod:
    """A running pod of one container; `status` replaces parts of its status."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "labels": {"app": "agent"},
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"containers": [{"name": "main", "image": "agent:1"}], "nodeName": "node-1"},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [
                {
                    "name": "main",
                    "ready": True,
                    "restartCount": 0,
                    "state": {"running": {"startedAt": "2026-01-01T00:00:05Z"}},
                }
            ],
            **status,
        },
    }


def status(code: int, reason: str, message: str) -> dict[str, Any]:
    """An error of the API."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }


class KubeApi:
    """The state of a small cluster; change it with `put` and `remove`."""

    def __init__(self, folder: Path) -> None:
        self.exec = ExecServer(folder)
        self.tokens = {TOKEN}
        self.subprotocols: tuple[str, ...] = (V5, V4)
        self.logs: dict[str, bytes] = {}
        """What containers say, by name, `/previous` behind it for the run before."""
        self.log = b"2026-01-01T00:00:06Z hello from the pod\n"
        self.page = 0
        """Most pods in one list answer; 0 for all."""
        self.rest = False
        """Whether a list that expired between two pages may go on with the rest as it is now."""
        self.events: list[dict[str, Any]] = []
        """What the cluster recorded of its pods."""
        self.forbidden: set[str] = set()
        """Subresources that may not be patched."""
        self.added: list[tuple[str, dict[str, Any]]] = []
        self.debug_state: dict[str, Any] = {}
        self.lists = 0
        self.watches = 0
        self.refuse: Callable[[Exchange], Awaitable[bool]] | None = None
        """Answers instead of the API where it returns True."""
        self.sockets: list[WebSocket] = []
        self.more: Callable[[Exchange], Awaitable[bool]] | None = None
        """Answers what this API does not have, such as custom resources."""
        self.peer: HttpPeer
        self._pods: dict[tuple[str, str], Pod] = {}
        self._version = 100
        self._oldest = 0
        self._changes: list[tuple[int, str, Pod]] = []
        self._changed = asyncio.Condition()
        self._cut = 0

    async def put(self, one: Pod) -> None:
        """Add or replace a pod; watchers hear of it."""
        key = (one["metadata"]["namespace"], one["metadata"]["name"])
        await self._tell("MODIFIED" if key in self._pods else "ADDED", key, one)
        self._pods[key] = one

    async def remove(self, name: str, namespace: str = "default") -> None:
        """Delete a pod."""
        key = (namespace, name)
        await self._tell("DELETED", key, self._pods.pop(key))

    async def expire(self, in_stream: bool = True) -> None:
        """Forget history: watches from before now answer 410, and those that run end."""
        async with self._changed:
            self._version += 10
            self._oldest = self._version
            self._changes.clear()
            self._cut += 1
            self._gone_in_stream = in_stream
            self._changed.notify_all()

    async def cut(self) -> None:
        """End running watches quietly, as servers do every few minutes."""
        async with self._changed:
            self._cut += 1
            self._gone_in_stream = False
            self._changed.notify_all()

    _gone_in_stream = False

    async def _tell(self, kind: str, key: tuple[str, str], one: Pod) -> None:
        async with self._changed:
            self._version += 1
            one["metadata"]["resourceVersion"] = str(self._version)
            self._changes.append((self._version, kind, one))
            self._changed.notify_all()

    async def handle(self, exchange: Exchange) -> None:
        """Answer one request."""
        request = exchange.request
        if self.refuse is not None and await self.refuse(exchange):
            return
        if not self._allowed(request):
            await exchange.json(401, status(401, "Unauthorized", "Unauthorized"))
            return
        parts = request.path.strip("/").split("/")
        if request.path == "/version":
            await exchange.json(200, {"major": "1", "minor": "33", "gitVersion": "v1.33.1"})
        elif parts[:2] == ["api", "v1"] and len(parts) > 2:
            await self._core(exchange, parts[2:])
        elif parts[-1] == "selfsubjectaccessreviews":
            await self._review(exchange)
        elif self.more is not None and await self.more(exchange):
            return
        elif request.path == "/api":
            await exchange.json(200, {"kind": "APIVersions", "versions": ["v1"]})
        elif request.path == "/apis":
            await exchange.json(200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": []})
        elif request.path == "/api/v1":
            await exchange.json(200, _RESOURCES)
        else:
            await exchange.json(404, status(404, "NotFound", "the server could not find it"))

    def _allowed(self, request: Request) -> bool:
        if request.certificate:
            return True
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return not self.tokens or (scheme == "Bearer" and token in self.tokens)

    async def _core(self, exchange: Exchange, parts: list[str]) -> None:
        namespace = None
        if parts[0] == "namespaces" and len(parts) > 2:
            namespace, parts = parts[1], parts[2:]
        if parts == ["pods"]:
            watching = exchange.request.one("watch") in ("1", "true")
            await (self._watch if watching else self._list)(exchange, namespace)
            return
        if parts == ["events"]:
            await exchange.json(200, {"kind": "EventList", "items": self.events})
            return
        one = self._pods.get((namespace or "", parts[1]))
        if one is None:
            said = f'pods "{parts[1]}" not found'
            await exchange.json(404, status(404, "NotFound", said))
        elif len(parts) == 2:
            await exchange.json(200, one)
        elif parts[2] == "log":
            asked = exchange.request
            name = asked.one("container") + ("/previous" if asked.one("previous") else "")
            await exchange.begin("text/plain")
            await exchange.chunk(self.logs.get(name, self.log))
            await exchange.chunk(b"")
        elif parts[2] == "ephemeralcontainers":
            await self._add_container(exchange, one)
        elif parts[2] == "exec" and exchange.request.upgrades:
            await self._exec(exchange)
        else:
            await exchange.json(400, status(400, "BadRequest", "Upgrade request required"))

    async def _add_container(self, exchange: Exchange, one: Pod) -> None:
        """A debug container, which runs at once; `added` keeps who asked, how, and for what."""
        request = exchange.request
        if request.method != "PATCH":
            await exchange.json(200, one)
            return
        if "ephemeralcontainers" in self.forbidden:
            await exchange.json(403, status(403, "Forbidden", 'pods "box" is forbidden'))
            return
        changes = json.loads(request.body)
        (container,) = changes["spec"]["ephemeralContainers"]
        self.added.append((request.headers["content-type"], container))
        one = json.loads(json.dumps(one))
        one["spec"].setdefault("ephemeralContainers", []).append(container)
        state = self.debug_state or {"running": {"startedAt": "2026-01-01T00:00:09Z"}}
        told = {"name": container["name"], "restartCount": 0, "state": state}
        one["status"].setdefault("ephemeralContainerStatuses", []).append(told)
        await self.put(one)
        await exchange.json(200, one)

    async def _review(self, exchange: Exchange) -> None:
        """Whether the user may do something."""
        asked = json.loads(exchange.request.body)["spec"]["resourceAttributes"]
        allowed = asked["subresource"] not in self.forbidden
        answer = {"kind": "SelfSubjectAccessReview", "status": {"allowed": allowed}}
        await exchange.json(201, answer)

    def pods(self) -> dict[tuple[str, str], Pod]:
        """What there is now, by namespace and name."""
        return self._pods

    async def _list(self, exchange: Exchange, namespace: str | None) -> None:
        self.lists += 1
        request = exchange.request
        wanted = matching(namespace, request)
        found = [one for _, one in sorted(self._pods.items()) if wanted(one)]
        metadata: dict[str, Any] = {"resourceVersion": str(self._version)}
        after: tuple[str, str] = ("", "")
        if token := request.one("continue"):
            state = json.loads(base64.b64decode(token))
            after = (state["namespace"], state["name"])
            if state["version"] < self._oldest:
                gone = status(410, "Expired", "The provided continue is too old")
                if self.rest:
                    gone["metadata"]["continue"] = _token({**state, "version": self._version})
                await exchange.json(410, gone)
                return
        left = [one for one in found if _key(one) > after]
        limit = min(int(request.one("limit", "0")) or len(left), self.page or len(left))
        if limit < len(left):
            namespace, name = _key(left[limit - 1])
            state = {"namespace": namespace, "name": name, "version": self._version}
            metadata["remainingItemCount"] = len(left) - limit
            metadata["continue"] = _token(state)
        await exchange.json(
            200,
            {
                "kind": "PodList",
                "apiVersion": "v1",
                "metadata": metadata,
                "items": left[:limit],
            },
        )

    async def _watch(self, exchange: Exchange, namespace: str | None) -> None:
        self.watches += 1
        request = exchange.request
        seen = int(request.one("resourceVersion", "0"))
        if seen < self._oldest:
            await exchange.begin()
            gone = status(410, "Expired", "too old resource version")
            await exchange.chunk(_line({"type": "ERROR", "object": gone}))
            await exchange.chunk(b"")
            return
        wanted = matching(namespace, request)
        cut = self._cut
        await exchange.begin()
        while True:
            async with self._changed:
                while not (fresh := self._since(seen)) and cut == self._cut:
                    await self._changed.wait()
            for version, kind, one in fresh:
                seen = version
                if wanted(one):
                    await exchange.chunk(_line({"type": kind, "object": one}))
            if cut != self._cut:
                if self._gone_in_stream:
                    gone = status(410, "Expired", "too old resource version")
                    await exchange.chunk(_line({"type": "ERROR", "object": gone}))
                await exchange.chunk(b"")
                return

    def _since(self, version: int) -> list[tuple[int, str, Pod]]:
        return self._changes[bisect_right(self._changes, version, key=itemgetter(0)) :]

    async def _exec(self, exchange: Exchange) -> None:
        request = exchange.request
        socket = await exchange.accept(*self.subprotocols)
        self.sockets.append(socket)
        argv = request.query.get("command", [])
        yes = ("true", "1")
        await self.exec.run(socket, argv, request.one("tty") in yes, request.one("stdin") in yes)


def matching(namespace: str | None, request: Request) -> Callable[[Pod], bool]:
    """Whether a resource is of the namespace and of what the selectors of a request name."""
    label, _, value = request.one("labelSelector").partition("=")
    field, _, name = request.one("fieldSelector").partition("=")

    def wanted(one: Pod) -> bool:
        metadata = one["metadata"]
        if namespace not in (None, metadata["namespace"]):
            return False
        if field and (field != "metadata.name" or metadata["name"] != name):
            return False
        return not label or metadata.get("labels", {}).get(label) == value

    return wanted


def _key(one: Pod) -> tuple[str, str]:
    return one["metadata"]["namespace"], one["metadata"]["name"]


def _token(state: object) -> str:
    return base64.b64encode(json.dumps(state).encode()).decode()


def _line(event: object) -> bytes:
    return json.dumps(event).encode() + b"\n"


_RESOURCES = {
    "kind": "APIResourceList",
    "groupVersion": "v1",
    "resources": [
        {
            "name": "pods",
            "singularName": "pod",
            "namespaced": True,
            "kind": "Pod",
            "verbs": ["get", "list", "watch"],
            "shortNames": ["po"],
        },
        {"name": "pods/exec", "singularName": "", "namespaced": True, "kind": "PodExecOptions",
         "verbs": ["create", "get"]},
    ],
}  # fmt: skip


@asynccontextmanager
async def kube_api(
    folder: Path, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[KubeApi]:
    """One that runs; at the end everything it started is ended."""
    folder.mkdir(parents=True, exist_ok=True)
    api = KubeApi(folder)
    try:
        async with http_peer(api.handle, tls, host=host) as peer:
            api.peer = peer
            yield api
    finally:
        await api.exec.close()
