"""A gateway that answers as the real one was recorded to, and misbehaves where it is told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from services.agents.openclaw.wire import ON_KEY, READS
from tests.support.http_peer import Exchange, WebSocket, http_peer

RECORDED: Mapping[str, Any] = json.loads(
    (Path(__file__).parent / "recordings" / "openclaw.json").read_text("utf-8")
)
METHODS = {*READS, *ON_KEY}
TOKEN = "of-a-test-alone"
LIVE = {"ok": True, "status": "live"}
STARTED = {"ok": True, "status": "started", "version": "2026.9.6", "uptimeMs": 61_080}
READY = {"ready": True, "failing": [], "eventLoop": {"degraded": False, "delayP99Ms": 21}}


class GatewayPeer:
    """What it says and what it was asked."""

    def __init__(self) -> None:
        self.port = 0
        self.token = TOKEN
        self.boot = "boot-1"
        self.probes: dict[str, object] = {
            "/healthz": LIVE,
            "/startupz": STARTED,
            "/readyz": READY,
        }
        self.answers: dict[str, dict[str, Any]] = {
            method: deepcopy(RECORDED[method]["payload"])
            for method, answer in RECORDED.items()
            if method in METHODS and answer.get("ok")
        }
        self.answers["gateway.identity.get"] = {"deviceId": "e345d7312869f588"}
        self.answers["sessions.list"] = self.answers["sessions.subscribe"]["list"]
        self.scopes = ["operator.read"]
        self.refusal: dict[str, Any] | None = None
        """What `connect` is refused with, where it is."""
        self.connects: list[dict[str, Any]] = []
        """The parameters of each `connect`."""
        self.asked: list[str] = []
        self.sockets: list[WebSocket] = []
        self.silent: set[str] = set()
        """Methods that get no answer."""

    def session(self, index: int = 0) -> dict[str, Any]:
        """One of the sessions it has."""
        found: dict[str, Any] = self.answers["sessions.list"]["sessions"][index]
        return found

    async def handle(self, exchange: Exchange) -> None:
        """One request: a probe, its page, or the way to its WebSocket."""
        if exchange.request.upgrades:
            assert not {"authorization", "cookie"} & set(exchange.request.headers)
            await self._talk(await exchange.accept())
            return
        value = self.probes.get(exchange.request.path)
        if value is None:
            await exchange.answer(200, "<!doctype html>", kind="text/html")
        else:
            status, body = value if isinstance(value, tuple) else (200, value)
            await exchange.json(status, body)

    async def push(self, event: str, payload: object, seq: int | None = None) -> None:
        """Tell every client something."""
        frame = {"type": "event", "event": event, "payload": payload, "seq": seq}
        for one in self.sockets:
            await one.send(json.dumps(frame))

    async def _talk(self, socket: WebSocket) -> None:
        await socket.send(json.dumps(RECORDED["challenge"]))
        async for frame in socket.frames():
            asked = json.loads(bytes(frame.data))
            answer = self._answer(asked)
            if answer is None:
                continue
            await socket.send(json.dumps({"type": "res", "id": asked["id"], **answer}))
            if asked["method"] == "connect":
                if not answer["ok"]:
                    await socket.close(1008, str(answer["error"]["message"]))
                    continue
                self.sockets.append(socket)
        if socket in self.sockets:
            self.sockets.remove(socket)

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any] | None:
        method = asked["method"]
        if method == "connect":
            return self._connect(asked["params"])
        self.asked.append(method)
        if method in self.silent:
            return None
        if method in self.answers:
            return {"ok": True, "payload": self.answers[method]}
        return {"ok": False, "error": RECORDED["exec.approval.list"]["error"]}

    def _connect(self, params: dict[str, Any]) -> dict[str, Any]:
        self.connects.append(params)
        if self.refusal is not None:
            return {"ok": False, "error": self.refusal}
        shown = params.get("auth", {})
        if self.token not in (shown.get("token"), shown.get("password")):
            return {"ok": False, "error": RECORDED["wrong token"]["error"]}
        hello = deepcopy(RECORDED["hello"]["payload"])
        hello["server"]["bootId"] = self.boot
        hello["auth"]["scopes"] = self.scopes
        hello["features"]["methods"] = [*self.answers, "chat.send"]
        return {"ok": True, "payload": hello}


@asynccontextmanager
async def gateway_peer(peer: GatewayPeer | None = None) -> AsyncIterator[GatewayPeer]:
    """One that listens."""
    one = peer or GatewayPeer()
    async with http_peer(one.handle) as server:
        one.port = server.port
        yield one


async def drop_all(peer: GatewayPeer, code: int = 1012) -> None:
    """Close every connection of its clients."""
    await asyncio.gather(*(one.close(code, "service restart") for one in tuple(peer.sockets)))
