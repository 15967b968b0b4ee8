"""Pods in the panel and on the command line, from a configuration file to a shell that is gone."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services.clock import SystemClock
from services.config.settings import Flags, load
from services.models import SandboxId, SandboxState, ShellState
from services.sources.registry import open_sources
from services.terminal.transport.pty import PtyProcess
from tests.integration.sources.pods.test_kube_source import Cluster, cluster
from tests.support.kube_api import pod
from tests.support.platform_api import TOKEN, centml
from tests.support.waiting import eventually
from tui.app import WakedeckApp

ROOT = Path(__file__).resolve().parents[4]
BOX = SandboxId("prod", "default/box")
PANEL = "from tui.cli.main import main; main()"


def configure(home: Path, text: str) -> Path:
    place = home / "wakedeck.toml"
    place.write_text(text)
    return place


def kubernetes(one: Cluster, home: Path) -> Path:
    return configure(home, f'[sources.prod]\nkind = "kubernetes"\nkubeconfig = "{one.config}"\n')


async def test_a_pod_is_seen_proved_worked_in_and_left_clean(tmp_path: Path, home: Path) -> None:
    async with cluster(tmp_path) as one:
        await one.api.put(pod("sick", phase="Failed", reason="Evicted"))
        settings = load(Flags(config=kubernetes(one, home)), {})
        clock = SystemClock()
        app = WakedeckApp(settings, open_sources(settings, clock), clock, state=tmp_path)

        async with app.run_test(size=(160, 45)) as pilot:

            async def until(holds: Callable[[], bool]) -> None:
                await eventually(holds)
                await pilot.pause()

            def state(name: str) -> SandboxState | None:
                known = app.engine.board.sandboxes.get(SandboxId("prod", f"default/{name}"))
                return None if known is None else known.state

            await until(lambda: state("box") is SandboxState.READY)
            assert state("sick") is SandboxState.BROKEN
            app.dashboard.shell_controller.open(BOX)
            shells: Callable[[], list[Any]] = lambda: list(app.shells)  # noqa: E731
            await until(lambda: bool(shells()))
            shell = shells()[0]
            await until(lambda: "pod$" in "".join(shell.emulator.display))
            shell.session.type(b"echo $((6*7))\r")
            await until(lambda: "42" in "".join(shell.emulator.display))
            shell.session.type(b"exit 3\r")
            await until(lambda: shell.session.shell.state is ShellState.ENDED)
            assert shell.session.shell.code == 3
            app.dashboard.shell_controller.open(BOX)
            await until(lambda: len(shells()) == 2)
            second = shells()[1]
            await until(lambda: "pod$" in "".join(second.emulator.display))
            second.session.type(b"sleep 300\r")
            app.action_leave()
            await until(lambda: not app.is_running)
        await eventually(lambda: not one.api.exec.alive)


async def test_the_attempt_machine_proves_the_link(tmp_path: Path, home: Path) -> None:
    async with cluster(tmp_path) as one:
        child, out, err = await run(kubernetes(one, home), "reconnect", "prod/default/box")
        assert (child, "is connected" in out) == (0, True), err
        assert all(step in err for step in ("credential", "sandbox", "connect"))


async def run(config: Path, *words: str, stdin: bytes | None = None) -> tuple[int | None, str, str]:
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PANEL, "--config", str(config), *words),
        stdin=asyncio.subprocess.DEVNULL if stdin is None else pipe,
        stdout=pipe,
        stderr=pipe,
        cwd=ROOT,
        env=dict(os.environ),
    )
    async with asyncio.timeout(60):
        out, err = await child.communicate(stdin)
    return child.returncode, out.decode(), err.decode()


async def test_commands_on_the_command_line(tmp_path: Path, home: Path) -> None:
    async with cluster(tmp_path) as one:
        config = kubernetes(one, home)
        script = "echo out; echo err >&2; exit 42"
        code, out, err = await run(config, "exec", "box", "--", "sh", "-c", script)
        assert (code, out, err) == (42, "out\n", "err\n")
        code, out, err = await run(config, "exec", "box", "--timeout", "1", "--", "sleep", "60")
        assert code == 255 and "outcome unknown" in err
        code, _, err = await run(config, "exec", "box", "--container", "x", "--", "true")
        assert code == 1 and "no container 'x'" in err
        code, _, err = await run(config, "shell", "box")
        assert code == 3 and "needs a terminal" in err
        code, out, err = await run(config, "sandboxes", "--json")
        (row,) = json.loads(out)["sandboxes"]
        assert (row["name"], row["state"]) == ("box", "ready")


@asynccontextmanager
async def terminal(config: Path, *words: str) -> AsyncIterator[PtyProcess]:
    """The command line on a terminal of its own."""
    process = await PtyProcess.start(
        [sys.executable, "-c", PANEL, "--config", str(config), *words],
        env={**os.environ, "TERM": "xterm"},
        cwd=ROOT,
        columns=101,
        lines=33,
    )
    try:
        yield process
    finally:
        await process.terminate()


async def until(process: PtyProcess, wanted: bytes) -> bytes:
    output = b""
    async with asyncio.timeout(60):
        while wanted not in output:
            data = await process.read()
            assert data, output
            output += data
    return output


@pytest.mark.parametrize("ends", ["exit", "lost", "signal"])
async def test_the_terminal_is_as_it_was_however_a_shell_ends(
    tmp_path: Path, home: Path, ends: str
) -> None:
    async with (
        cluster(tmp_path) as one,
        terminal(kubernetes(one, home), "shell", "box") as process,
    ):
        assert process._master is not None
        before = termios.tcgetattr(process._master)
        await until(process, b"pod$ ")
        assert termios.tcgetattr(process._master) != before
        process.write(b"stty size\r")
        await until(process, b"33 101")
        process.resize(90, 30)
        for _ in range(50):
            process.write(b"stty size\r")
            if b"30 90" in await until(process, b"pod$ "):
                break
        else:
            pytest.fail("the new size never arrived")
        if ends == "exit":
            process.write(b"exit 7\r")
        elif ends == "lost":
            one.api.sockets[-1].reset()
        else:
            os.kill(process.pid, 15)
        assert await process.wait(30)
        assert process._master is not None
        assert termios.tcgetattr(process._master) == before
        assert await process.terminate() == (7 if ends == "exit" else 255)
        await eventually(lambda: not one.api.exec.alive)


async def test_several_pods_are_asked_for_on_a_terminal_alone(tmp_path: Path, home: Path) -> None:
    place = home / ".centml" / "credentials.json"
    place.parent.mkdir()
    place.write_text(json.dumps({"access_token": TOKEN, "refresh_token": "r"}))
    async with centml(tmp_path / "pod") as api:
        api.deploy(1, a="Running", b="Running")
        url = f"http://127.0.0.1:{api.peer.port}"
        config = configure(home, f'[sources.ml]\nkind = "centml"\nurl = "{url}"\n')
        code, _, err = await run(config, "exec", "ml/1", "--", "true")
        assert code == 1 and "2 running pods: a, b" in err and "--first-pod" in err
        code, out, _ = await run(config, "exec", "ml/1", "--first-pod", "--", "echo", "hi")
        assert (code, out) == (0, "hi\n")
        async with terminal(config, "shell", "ml/1") as process:
            assert b"  2  b" in await until(process, b"Which one")
            process.write(b"2\r")
            await until(process, b"pod$ ")
            assert api.peer.requests[-1].one("pod") == "b"
            process.write(b"exit\r")
            assert await process.wait(30)
