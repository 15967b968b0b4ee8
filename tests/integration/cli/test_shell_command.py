"""`wakedeck shell` over a link that freezes: noticed, or left by hand; the terminal is restored."""

from __future__ import annotations

import os
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.terminal.transport.pty import PtyProcess
from tests.integration.sources.pods.test_kube_source import Cluster, cluster
from tests.integration.sources.pods.test_pods_panel import ROOT, kubernetes, until
from tests.support.bad_weather import BadWeather, bad_weather

pytestmark = pytest.mark.slow

PROGRAM = """
from services.sources.pods import remote_cleanup
from services.terminal.exec import runner
from services.terminal.transport import keepalive
from tui.cli.main import main
keepalive.PING_AFTER_S, keepalive.LOST_AFTER_S = {}, {}
remote_cleanup.KILL_LIMIT_S = runner.KILL_LIMIT_S = 1.0
main()
"""
"""Nothing is ended over a frozen line, however long that is tried."""


@asynccontextmanager
async def linked(one: Cluster) -> AsyncIterator[BadWeather]:
    """The cluster's kubeconfig leads through the weather from now on."""
    async with bad_weather(one.api.peer.port) as weather:
        ports = str(one.api.peer.port), str(weather.port)
        one.config.write_text(one.config.read_text().replace(*ports))
        yield weather


@asynccontextmanager
async def shell(
    config: Path, ping_s: float, lost_s: float, *words: str
) -> AsyncIterator[PtyProcess]:
    program = PROGRAM.format(ping_s, lost_s)
    argv = [sys.executable, "-c", program, "--config", str(config), *(words or ("shell", "box"))]
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


async def test_a_command_over_a_silent_link_is_lost_as_soon(tmp_path: Path, home: Path) -> None:
    words = "exec", "box", "--", "sh", "-c", "echo begun; sleep 40"
    async with (
        cluster(tmp_path) as one,
        linked(one) as link,
        shell(kubernetes(one, home), 0.3, 1.0, *words) as process,
    ):
        await until(process, b"begun")
        link.freeze()
        await until(process, b"may still run")
        assert await process.wait(60)
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
