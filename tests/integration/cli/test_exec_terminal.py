"""`wakedeck exec -t`: a command on this very terminal, with its size, its keys and its code."""

from __future__ import annotations

import os
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.terminal.transport.pty import PtyProcess
from tests.integration.sources.pods.test_centml_source import platform, signed_in
from tests.integration.sources.pods.test_kube_source import cluster
from tests.integration.sources.pods.test_pods_panel import ROOT, kubernetes, until
from tests.support.bad_weather import bad_weather
from tests.support.families import gone, processes
from tests.support.terminal_servers import PARAMS, lines, served

pytestmark = pytest.mark.slow


@asynccontextmanager
async def config(kind: str, folder: Path, home: Path) -> AsyncIterator[Path]:
    """A configuration with one source of that kind; its sandbox is called box."""
    path = home / "wakedeck.toml"
    if kind == "kubernetes":
        async with cluster(folder) as one:
            yield kubernetes(one, home)
    elif kind == "centml":
        signed_in(home)
        async with platform(folder) as (api, _):
            url = f"http://127.0.0.1:{api.peer.port}/"
            path.write_text(f'[sources.ml]\nkind = "centml"\nurl = "{url}"\n')
            yield path
    else:
        async with served(kind, folder / "pod") as server:
            text = lines(kind, server.address(server.port))
            path.write_text(f'{text}exec = true\ntoken_file = "{server.token_file}"\n')
            yield path


@asynccontextmanager
async def command(path: Path, name: str, *argv: str) -> AsyncIterator[PtyProcess]:
    words = ["--config", str(path), "exec", "-t", name, "--", *argv]
    env = {**os.environ, "TERM": "xterm"}
    program = [sys.executable, "-c", "from tui.cli.main import main; main()", *words]
    process = await PtyProcess.start(program, env=env, cwd=ROOT, columns=91, lines=27)
    try:
        yield process
    finally:
        await process.terminate()


@pytest.mark.parametrize("kind", [*PARAMS, "centml", "kubernetes"])
async def test_it_has_the_terminal_its_size_its_keys_and_its_code(
    kind: str, tmp_path: Path, home: Path
) -> None:
    name = "ml/1" if kind == "centml" else "box"
    # Not one long sleep: an interrupt that comes just before it begins reaches the shell alone.
    waiting = "while :; do sleep 0.1; done"
    script = f"stty size; read -r a; trap 'echo in''t; exit 42' INT; echo got-$a; {waiting}"
    async with config(kind, tmp_path, home) as path:
        async with command(path, name, "sh", "-c", script) as process:
            assert process._master is not None
            before = termios.tcgetattr(process._master)
            await until(process, b"27 91")
            process.write(b"typed\r")
            # What is typed is echoed by the far terminal, and the typed command is not seen.
            output = await until(process, b"got-typed\r\n")
            assert b"WAKEDECK" not in output and b"printf" not in output
            process.write(b"\x03")
            await until(process, b"int\r\n")
            assert await process.wait(60)
            assert termios.tcgetattr(process._master) == before
            assert await process.terminate() == 42
        async with command(path, name, "sh", "-c", "test -t 0 && exit 137") as process:
            assert await process.wait(60)
            assert await process.terminate() == 137


async def test_a_cut_leaves_its_outcome_unknown(tmp_path: Path, home: Path) -> None:
    word = f"wd-{os.urandom(8).hex()}"
    async with cluster(tmp_path) as one, bad_weather(one.api.peer.port) as weather:
        ports = str(one.api.peer.port), str(weather.port)
        one.config.write_text(one.config.read_text().replace(*ports))
        async with command(
            kubernetes(one, home), "box", "sh", "-c", "echo u''p; sleep 60", word
        ) as p:
            await until(p, b"up\r\n")
            assert processes(word)
            weather.cut()
            await until(p, b"outcome unknown")
            assert await p.wait(60)
            assert await p.terminate() == 255
        await gone(word)
