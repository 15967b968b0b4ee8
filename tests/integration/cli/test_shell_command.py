"""`wakedeck shell` over a link that freezes: noticed, or left by hand; the terminal is restored."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from services.terminal.transport.pty import PtyProcess
from tests.integration.sources.pods.test_kube_source import Cluster, cluster
from tests.integration.sources.pods.test_pods_panel import ROOT, kubernetes, until

pytestmark = pytest.mark.slow

PATIENCE = "keepalive.PING_AFTER_S, keepalive.LOST_AFTER_S = {0}, {1}"
PROGRAM = (
    "from services.terminal.transport import keepalive; {}; from tui.cli.main import main; main()"
)


class Link:
    """A way to a server that can stop passing bytes without closing anything."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._passing = asyncio.Event()
        self._passing.set()
        self._pumps: set[asyncio.Task[None]] = set()

    def freeze(self) -> None:
        self._passing.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far, near = await asyncio.open_connection("localhost", self._port)
        for source, drain in ((reader, near), (far, writer)):
            self._pumps.add(asyncio.create_task(self._pump(source, drain)))

    async def _pump(self, source: asyncio.StreamReader, drain: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self._passing.wait()
                drain.write(data)
        except OSError:
            pass
        finally:
            drain.close()

    async def close(self) -> None:
        for task in self._pumps:
            task.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)


@asynccontextmanager
async def linked(one: Cluster) -> AsyncIterator[Link]:
    """The cluster's kubeconfig leads over the link from now on."""
    config = json.loads(one.config.read_text())
    named = config["clusters"][0]["cluster"]
    link = Link(urlsplit(named["server"]).port or 0)
    server = await asyncio.start_server(link.serve, "localhost", 0)
    named["server"] = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    one.config.write_text(json.dumps(config))
    try:
        yield link
    finally:
        server.close()
        await link.close()


@asynccontextmanager
async def shell(config: Path, ping_s: float, lost_s: float) -> AsyncIterator[PtyProcess]:
    program = PROGRAM.format(PATIENCE.format(ping_s, lost_s))
    argv = [sys.executable, "-c", program, "--config", str(config), "shell", "box"]
    env = {**os.environ, "TERM": "xterm"}
    process = await PtyProcess.start(argv, env=env, cwd=ROOT, columns=80, lines=24)
    try:
        yield process
    finally:
        await process.terminate()


async def test_a_silent_link_is_lost_and_the_terminal_restored(tmp_path: Path, home: Path) -> None:
    async with (
        cluster(tmp_path) as one,
        linked(one) as link,
        shell(kubernetes(one, home), 0.3, 1.0) as process,
    ):
        assert process._master is not None
        before = termios.tcgetattr(process._master)
        await until(process, b"pod$ ")
        link.freeze()
        await until(process, b"no sign of life")
        assert await process.wait(60)
        assert termios.tcgetattr(process._master) == before
        assert await process.terminate() == 255


async def test_a_frozen_shell_is_left_by_hand(tmp_path: Path, home: Path) -> None:
    async with (
        cluster(tmp_path) as one,
        linked(one) as link,
        shell(kubernetes(one, home), 600, 600) as process,
    ):
        assert process._master is not None
        before = termios.tcgetattr(process._master)
        await until(process, b"pod$ ")
        process.write(b"\r~?")
        await until(process, b"leave the shell")
        link.freeze()
        process.write(b"lost words\r~.")
        await until(process, b"left with ~.")
        assert await process.wait(60)
        assert termios.tcgetattr(process._master) == before
        assert await process.terminate() == 255
