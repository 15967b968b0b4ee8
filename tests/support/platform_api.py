"""CentML's platform and Argo CD for tests: their REST answers, and the JSON family on real shells.

Both leave the process behind when the client goes away, as the real ones do.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from services.errors import ProcessError
from services.terminal.transport.pty import PtyProcess
from tests.support.http_peer import Exchange, HttpPeer, WebSocket, http_peer

TOKEN = "platform-token-that-must-not-show"
BUFFER = 32 * 1024
"""Input above this in one frame is cut in silence (upstream/pods: JSON input limit)."""


class Platform:
    """What both have in common: shells behind JSON frames."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tokens = {TOKEN}
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),  # a shell reads no start-up file of this user
            "TERM": "xterm",
            "PS1": "pod$ ",
            "PROMPT_COMMAND": "PS1='pod$ '",
        }
        self.terminals: list[PtyProcess] = []
        self.sockets: list[WebSocket] = []
        self.sizes: list[tuple[int, int]] = []
        self.script: Callable[[WebSocket], Awaitable[None]] | None = None
        """Plays the server's part of a session instead of a shell."""
        self.refuse: Callable[[Exchange], Awaitable[bool]] | None = None
        self.silent_end = False
        self.peer: HttpPeer

    @property
    def alive(self) -> int:
        return sum(one.alive for one in self.terminals)

    async def handle(self, exchange: Exchange) -> None:
        if self.refuse is not None and await self.refuse(exchange):
            return
        await self.answer(exchange)

    async def answer(self, exchange: Exchange) -> None:
        raise NotImplementedError

    async def terminal(self, exchange: Exchange, shell: str) -> None:
        """One session."""
        socket = await exchange.accept()
        self.sockets.append(socket)
        if self.script is not None:
            await self.script(socket)
            return
        try:
            process = await PtyProcess.start(
                [shell], env=self.env, cwd=self.folder, columns=80, lines=24
            )
        except ProcessError:
            await socket.drop()
            return
        self.terminals.append(process)
        typing = asyncio.create_task(self._typed(socket, process), name="peer typing")
        try:
            while data := await process.read(32 * 1024):
                with contextlib.suppress(ConnectionError):
                    await self.send(socket, data.decode("utf-8", "replace"))
            await process.terminate()
            if self.silent_end:
                await socket.drop()
            else:
                await socket.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(typing, 2)
        finally:
            typing.cancel()
            await asyncio.gather(typing, return_exceptions=True)

    async def send(self, socket: WebSocket, text: str) -> None:
        """One frame of output."""
        frame = {"operation": "stdout", "data": text, "rows": 0, "cols": 0}
        await socket.send(json.dumps(frame))

    async def _typed(self, socket: WebSocket, process: PtyProcess) -> None:
        async for frame in socket.frames():
            try:
                message = json.loads(bytes(frame.data))
            except ValueError:
                process.write(b"\x04")
                return
            if message.get("operation") == "resize":
                self.sizes.append((message["cols"], message["rows"]))
                process.resize(message["cols"], message["rows"])
            elif message.get("operation") == "stdin":
                process.write(message["data"].encode()[:BUFFER])
                await process.drain()
            else:
                process.write(b"\x04")
                return

    async def close(self) -> None:
        for terminal in self.terminals:
            await terminal.terminate()


class Centml(Platform):
    """Deployments by id, each with the answer of its status call."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.deployments: dict[int, dict[str, Any]] = {}
        self.old: set[int] = set()
        """Deployments only v2 knows."""
        self.sick: set[int] = set()
        """Deployments whose status is answered 500."""
        self.odd: list[Any] = []
        """What else is in the list."""
        self.issued: list[dict[str, str]] = []
        """What was asked of the token endpoints."""
        self.next_token: dict[str, Any] = {}
        self.token_refusal: tuple[int, bytes] | None = None
        """Status and body in its place."""
        self.token_queries: list[dict[str, list[str]]] = []
        self.logs: dict[tuple[int, int, str], list[dict[str, Any]]] = {}
        """Events of a pod of a revision, oldest first."""
        self.busy = 0
        """So many questions for logs are answered 503."""
        self.asked_logs: list[dict[str, str]] = []

    def write(self, id: int, revision: int, pod: str, at_ms: int, message: str) -> None:
        """A line of a log."""
        event = {"id": f"{at_ms}000000-{message}", "timestamp": at_ms, "message": message}
        self.logs.setdefault((id, revision, pod), []).append(event)

    def deploy(self, id: int, **pods: str) -> None:
        """A deployment and its pods by name and status."""
        details = [{"name": name, "status": status} for name, status in pods.items()]
        self.deployments[id] = {
            "id": id,
            "type": "inference_v3",
            "status": "active",
            "revision_pod_details_list": [
                {"revision_number": 1, "revision_status": "Healthy", "pod_details_list": details}
            ],
        }

    async def answer(self, exchange: Exchange) -> None:
        request = exchange.request
        parts = request.path.strip("/").split("/")
        if parts[0] == "token":
            fields = {name: values[0] for name, values in _form(request.body).items()}
            self.issued.append(fields)
            self.token_queries.append(request.query)
            if self.token_refusal is not None:
                await exchange.answer(*self.token_refusal)
                return
            await exchange.json(200, self.next_token)
            return
        if request.headers.get("authorization", "") not in {f"Bearer {t}" for t in self.tokens}:
            await exchange.json(401, {"detail": "Invalid token"})
        elif request.path == "/deployments":
            rows = [{"id": id, "name": f"model-{id}"} for id in self.deployments]
            await exchange.json(200, {"results": [*rows, *self.odd]})
        elif parts[1:2] in (["status_v3"], ["status"]) and int(parts[2]) in self.sick:
            await exchange.json(500, {"detail": "Internal Server Error"})
        elif parts[:2] == ["deployments", "status_v3"]:
            await self._status(exchange, int(parts[2]), old=False)
        elif parts[:2] == ["deployments", "status"]:
            await self._status(exchange, int(parts[2]), old=True)
        elif parts[:2] == ["deployments", "pods"]:
            wanted = (int(parts[2]), int(parts[3]))
            pods = [pod for *of, pod in self.logs if tuple(of) == wanted]
            await exchange.json(200, {"pods": pods})
        elif parts[0] == "logs":
            await self._log(exchange, int(parts[1]), int(parts[2]))
        elif len(parts) == 3 and parts[2] == "terminal" and request.upgrades:
            running = [
                one["name"]
                for revision in self.deployments.get(int(parts[1]), {}).get(
                    "revision_pod_details_list", []
                )
                for one in revision["pod_details_list"]
                if one["status"] == "Running"
            ]
            if request.one("pod") not in running:
                await exchange.json(404, {"detail": "Pod not found"})
                return
            await self.terminal(exchange, request.one("shell") or "bash")
        else:
            await exchange.json(404, {"detail": "Not Found"})

    async def _status(self, exchange: Exchange, id: int, *, old: bool) -> None:
        known = self.deployments.get(id)
        if known is None or (id in self.old) != old:
            await exchange.json(404, {"detail": f"Deployment {id} not found"})
        elif old:
            told = ("id", "type", "status", "service_status", "error_message", "endpoint_url")
            await exchange.json(200, {name: known.get(name) for name in told})
        else:
            await exchange.json(200, known)

    async def _log(self, exchange: Exchange, id: int, revision: int) -> None:
        """A page: the newest lines, or those after an instant with a span before it again."""
        asked = {name: values[0] for name, values in exchange.request.query.items()}
        self.asked_logs.append(asked)
        if self.busy:
            self.busy -= 1
            await exchange.json(503, {"detail": "busy"})
            return
        events = self.logs.get((id, revision, asked["pod"]), [])
        most = int(asked.get("max_lines", "100"))
        if asked.get("fetch_newer") == "true":
            after = int(asked["timestamp"])
            again = [one for one in events if after - 15_000 <= one["timestamp"] <= after]
            events = again + [one for one in events if one["timestamp"] > after][:most]
        else:
            events = events[-most:]
        await exchange.json(200, {"events": events})


def _form(body: bytes) -> Mapping[str, list[str]]:
    from urllib.parse import parse_qs

    text = body.decode()
    if text.startswith("{"):
        return {name: [value] for name, value in json.loads(text).items()}
    return parse_qs(text)


class Argo(Platform):
    """One application with pods."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.silent_end = True
        self.exec_enabled = True
        self.takes = "cookie"
        """What its terminal takes the token from: `cookie`, or `bearer` as newer ones prefer."""
        self.pods: dict[str, str] = {"box": "Running"}
        self.shells = ("bash", "sh", "powershell", "cmd")
        self.missing: set[str] = set()
        self.listed: Any = [_APPLICATION]
        """The items of its list of applications."""
        self.health = "Healthy"
        self.entries: list[dict[str, Any]] = []
        """What a log is told in."""

    async def answer(self, exchange: Exchange) -> None:
        request = exchange.request
        cookie = request.headers.get("cookie", "")
        parts = request.path.strip("/").split("/")
        if request.path == "/terminal":
            await self._terminal(exchange, cookie)
        elif request.headers.get("authorization", "") not in {f"Bearer {t}" for t in self.tokens}:
            await exchange.json(401, {"error": "invalid session", "message": "invalid session"})
        elif request.path == "/api/v1/applications":
            await exchange.json(200, {"items": self.listed})
        elif parts[-1] == "resource-tree" and parts[3] == "shop":
            nodes = [
                {
                    "kind": "Pod",
                    "namespace": "agents",
                    "name": name,
                    "info": [
                        {"name": "Status Reason", "value": status},
                        {"name": "Containers", "value": "1/1"},
                    ],
                    "health": {"status": self.health},
                }
                for name, status in self.pods.items()
            ]
            await exchange.json(200, {"nodes": [{"kind": "Deployment", "name": "d"}, *nodes]})
        elif parts[-1] == "logs":
            await exchange.begin()
            for entry in self.entries:
                await exchange.chunk(json.dumps(entry).encode() + b"\n")
            await exchange.chunk(b"")
        elif parts[-1] == "resource":
            spec = {"containers": [{"name": "main"}, {"name": "side"}]}
            manifest = {"metadata": {"name": "box", "namespace": "agents"}, "spec": spec}
            await exchange.json(200, {"manifest": json.dumps(manifest)})
        elif parts[:3] == ["api", "v1", "applications"] and parts[3] == "shop":
            await exchange.json(200, _APPLICATION)
        else:
            await exchange.json(403, {"message": "permission denied"})

    async def _terminal(self, exchange: Exchange, cookie: str) -> None:
        request = exchange.request
        if not self.exec_enabled:
            await exchange.answer(404)
            return
        if self.takes == "bearer":
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
        elif cookie.startswith("argocd.token="):
            token = _token_of(cookie)
        else:
            await exchange.answer(400, "Auth cookie not found")
            return
        if token not in self.tokens:
            await exchange.answer(401, "invalid session")
            return
        for name in ("pod", "container", "appName", "projectName", "namespace"):
            if not request.one(name):
                await exchange.answer(400, "Missing required parameters")
                return
        if request.one("appName") != "shop":
            await exchange.answer(404, "App not found")
            return
        shell = request.one("shell")
        shell = shell if shell in self.shells else "bash"
        await self.terminal(exchange, "no-such-shell" if shell in self.missing else shell)


_APPLICATION = {
    "metadata": {"name": "shop", "namespace": "argocd"},
    "spec": {"project": "default"},
}


def _token_of(cookie: str) -> str:
    rows = dict(one.split("=", 1) for one in cookie.split("; "))
    first = rows["argocd.token"]
    count, colon, part = first.partition(":")
    if not colon or not count.isdecimal():
        return first
    return part + "".join(rows[f"argocd.token-{number}"] for number in range(1, int(count)))


@asynccontextmanager
async def centml(folder: Path, port: int = 0) -> AsyncIterator[Centml]:
    """A platform that runs."""
    folder.mkdir(parents=True, exist_ok=True)
    one = Centml(folder)
    try:
        async with http_peer(one.handle, port=port) as one.peer:
            yield one
    finally:
        await one.close()


@asynccontextmanager
async def argo(folder: Path) -> AsyncIterator[Argo]:
    """An Argo CD that runs."""
    folder.mkdir(parents=True, exist_ok=True)
    one = Argo(folder)
    try:
        async with http_peer(one.handle) as one.peer:
            yield one
    finally:
        await one.close()
