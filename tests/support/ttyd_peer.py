"""A server that speaks ttyd's frames, from its source, around a real shell.

No package of ttyd itself could be had. See upstream/terminal: Frames of ttyd.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.terminal.transport.pty import PtyProcess
from tests.support.http_peer import Exchange, HttpPeer, WebSocket, http_peer


class Ttyd:
    """One that serves bash, behind a user name and password where there is one."""

    def __init__(self, folder: Path, credential: str = "") -> None:
        self.folder = folder
        self.token = base64.b64encode(credential.encode()).decode() if credential else ""
        self.env = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "TERM": "xterm-256color",
            "PS1": "pod$ ",
        }
        self.argv = ["bash", "--norc"]
        self.terminals: list[PtyProcess] = []
        self.sockets: list[WebSocket] = []
        self.sizes: list[tuple[int, int]] = []
        self.peer: HttpPeer

    @property
    def alive(self) -> int:
        return sum(one.alive for one in self.terminals)

    async def handle(self, exchange: Exchange) -> None:
        given = exchange.request.headers.get("authorization", "")
        if self.token and given != f"Basic {self.token}":
            await exchange.answer(401, "", {"WWW-Authenticate": 'Basic realm="ttyd"'})
        elif exchange.request.path == "/token":
            await exchange.json(200, {"token": self.token})
        elif exchange.request.path == "/ws" and exchange.request.upgrades:
            await self._terminal(exchange)
        elif exchange.request.path == "/":
            await exchange.answer(200, "<html>ttyd</html>", kind="text/html")
        else:
            await exchange.answer(404)

    async def _terminal(self, exchange: Exchange) -> None:
        socket = await exchange.accept("tty")
        self.sockets.append(socket)
        process: PtyProcess | None = None
        output: asyncio.Task[None] | None = None
        try:
            async for frame in socket.frames():
                data = bytes(frame.data)
                if process is None:
                    hello = json.loads(data)
                    if hello["AuthToken"] != self.token:
                        await socket.close(1008)
                        return
                    self.sizes.append((hello["columns"], hello["rows"]))
                    process = await PtyProcess.start(
                        self.argv,
                        env=self.env,
                        cwd=self.folder,
                        columns=hello["columns"],
                        lines=hello["rows"],
                    )
                    self.terminals.append(process)
                    await socket.send(b"1bash (peer)")
                    await socket.send(b"2{}")
                    output = asyncio.create_task(self._tell(socket, process), name="peer output")
                elif data[:1] == b"0":
                    process.write(data[1:])
                    await process.drain()
                elif data[:1] == b"1":
                    size = json.loads(data[1:])
                    self.sizes.append((size["columns"], size["rows"]))
                    process.resize(size["columns"], size["rows"])
        finally:
            if output is not None:
                output.cancel()
                await asyncio.gather(output, return_exceptions=True)
            if process is not None:
                # As ttyd does: the program is ended with its connection.
                await process.terminate()

    async def _tell(self, socket: WebSocket, process: PtyProcess) -> None:
        while data := await process.read(32 * 1024):
            with contextlib.suppress(ConnectionError):
                await socket.send(b"0" + data)
        # A failing exit asks for 1006, which cannot be sent: the line is dropped.
        if await process.terminate() == 0:
            await socket.close(1000)
        else:
            await socket.drop()


@asynccontextmanager
async def ttyd(folder: Path, credential: str = "", port: int = 0) -> AsyncIterator[Ttyd]:
    """One that listens on loopback."""
    one = Ttyd(folder, credential)
    async with http_peer(one.handle, port=port) as peer:
        one.peer = peer
        try:
            yield one
        finally:
            for terminal in one.terminals:
                await terminal.terminate()
