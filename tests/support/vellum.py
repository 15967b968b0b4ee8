"""A Vellum environment in a folder of the test's own: gateways that answer for real, and a command
that does what the test wrote down."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from services.clock import SystemClock
from services.config.sources import VellumTable
from services.models import Attempt, AttemptState, SandboxId, Verb
from services.repair.attempts import Attempts
from services.repair.limits import Limits
from services.sources.protocol.source import OpenSource
from services.sources.vellum.source import open_vellum
from tests.support.waiting import eventually

ACCESS = "access-token-never-shown-0123456789"
RENEWED = "renewed-token-never-shown-0123456789"
REFRESH = "refresh-token-never-shown-0123456789"
SIGNING = "signing-key-never-shown-0123456789"
BOOTSTRAP = "bootstrap-never-shown-0123456789"
SECRETS = (ACCESS, REFRESH, SIGNING, BOOTSTRAP)
ID = "stub-1"
SANDBOX = SandboxId("vellum", ID)
QUICK = Limits(verify_s=2.0, settling_s=4.0)

Responder = Callable[[str, str, Mapping[str, str]], tuple[int, object]]


@dataclass
class Peer:
    """A gateway on a loopback port; `replies` by path, None accepts and never answers."""

    replies: dict[str, tuple[int, object] | None] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    raw: bytes | None = None
    """Sent to whoever connects instead of an answer."""
    port: int = 0
    headers: str = ""
    _server: asyncio.Server | None = None
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Peer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    @property
    def listening(self) -> bool:
        return self._server is not None

    def asked(self, path: str) -> int:
        return sum(1 for _, seen, _ in self.requests if seen == path)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.raw is not None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self.raw)
            await writer.drain()
            return
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        self.requests.append((method, path, headers))
        reply = self.replies.get(path, (404, {"error": "not found"}))
        if reply is None:
            await asyncio.Event().wait()
            return
        status, body = reply
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Length: {len(data)}\r\n{self.headers}"
            "Connection: close\r\n\r\n".encode()
            + data
        )
        await writer.drain()


def serving() -> dict[str, tuple[int, object] | None]:
    """The replies of a gateway with which all is well."""
    return {
        "/healthz": (200, {"status": "ok"}),
        "/readyz": (200, {"status": "ok", "ready": True}),
        "/auth/token": (200, {"token": "minted-never-shown-0123456789", "expiresAt": 1}),
    }


class Ground:
    """One isolated home with one environment."""

    def __init__(self, root: Path, port: int | None) -> None:
        self.root = root
        self.home = root / "vellum-home"
        self.bin = root / "bin"
        self.instance = self.home / "instance"
        self.lockfile = self.home / ".vellum.lock.json"
        self.token = self.home / ".config/vellum/assistants" / ID / "guardian-token.json"
        self.calls = root / "calls"
        for folder in (self.home, self.bin, self.instance / ".vellum" / "workspace"):
            folder.mkdir(parents=True)
        self.write_lockfile([self.entry(port)])
        self.environ = {
            "HOME": str(self.home),
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "VELLUM_ENVIRONMENT": "production",
        }

    def entry(self, port: int | None, **more: object) -> dict[str, object]:
        resources: dict[str, object] = {
            "instanceDir": str(self.instance),
            "signingKey": SIGNING,
        }
        if port is not None:
            resources["gatewayPort"] = port
        return {
            "assistantId": ID,
            "name": "Stub One",
            "cloud": "local",
            "guardianBootstrapSecret": BOOTSTRAP,
            "resources": resources,
            **more,
        }

    def write_lockfile(self, entries: list[dict[str, object]], active: str = ID) -> None:
        text = json.dumps({"assistants": entries, "activeAssistant": active})
        self.lockfile.write_text(text)

    def write_token(self, access_s: float = 86400, refresh_s: float = 864000) -> None:
        self.token.parent.mkdir(parents=True, exist_ok=True)
        self.token.write_text(token_text(access_s, refresh_s, ACCESS))

    def write_pid(self, which: str, text: str, age_s: float = 3600) -> None:
        path = self.instance / ".vellum" / which
        path.write_text(text)
        at = time.time() - age_s
        os.utime(path, (at, at))

    def command(self, body: str = "") -> None:
        """A `vellum` that writes down its arguments and then does what the script says."""
        log = shlex.quote(str(self.calls))
        # A shell of its own, so that a signal reaches what waits in it.
        script = f'#!/bin/bash\nprintf "%s\\n" "$*" >> {log}\n{body}\n'
        path = self.bin / "vellum"
        path.write_text(script)
        path.chmod(0o755)

    def python(self, code: str) -> str:
        """A line for `command` that runs Python."""
        return f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}"

    def called(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []

    def open(self, **more: str) -> OpenSource:
        return open_vellum("vellum", VellumTable(), SystemClock(), {**self.environ, **more})


def token_text(access_s: float, refresh_s: float, access: str) -> str:
    now = time.time()
    return json.dumps(
        {
            "accessToken": access,
            "accessTokenExpiresAt": int((now + access_s) * 1000),
            "refreshToken": REFRESH,
            "refreshTokenExpiresAt": int((now + refresh_s) * 1000),
        }
    )


class Bench:
    """The real attempt machine over one source."""

    def __init__(self, source: OpenSource, locks: Path, limits: Limits = QUICK) -> None:
        self.source = source
        self.told: list[Attempt] = []
        self.attempts = Attempts({"vellum": source}, SystemClock(), locks, self.told.append, limits)

    async def __aenter__(self) -> Bench:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self.attempts.close()
        await self.source.actor.close()
        await self.source.observer.close()

    async def press(self, verb: Verb, sandbox: SandboxId = SANDBOX) -> Attempt:
        async with asyncio.timeout(60):
            return await self.attempts.request(verb, sandbox).wait()

    async def until(self, state: AttemptState, sandbox: SandboxId = SANDBOX) -> None:
        def reached() -> bool:
            now = self.attempts.current(sandbox)
            return now is not None and now.state is state

        await eventually(reached, what=lambda: self.attempts.current(sandbox))


async def until(true: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something that shows in files or processes."""
    await eventually(true, limit=seconds)
