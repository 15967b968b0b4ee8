"""Families of terminals behind a bad network: no false 0, no hang, nothing lost or left."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.clock import SystemClock
from services.config.sources import ArgoTable, CentmlTable, KubernetesTable
from services.errors import ShellError
from services.models import SandboxId, ShellState
from services.sources.pods import remote_cleanup, second_terminal
from services.sources.pods.source import open_argo, open_centml, open_kubernetes
from services.sources.protocol.source import OpenSource
from services.sources.terminal.source import open_terminal
from services.terminal.exec import runner
from services.terminal.exec.requests import (
    ExecOutput,
    ExecRequest,
    ExecResult,
    ShellChoice,
    collect_output,
)
from services.terminal.transport import websocket
from services.terminal.transport.base import Transport
from tests.integration.sources.pods.test_centml_source import signed_in
from tests.integration.sources.pods.test_kube_source import BOX, cluster
from tests.support.bad_weather import BadWeather, bad_weather
from tests.support.families import end, gone
from tests.support.platform_api import TOKEN, argo, centml
from tests.support.ran import ran
from tests.support.seen import seen
from tests.support.shells import opened, read_to_end, read_until
from tests.support.terminal_servers import PARAMS, SHELL, served
from tests.support.transfers import megabytes, send_up
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow
every = pytest.mark.parametrize("kind", [*PARAMS, "centml", "argocd", "kubernetes"])
ORPHANS = ("json",)
"""Families whose cut connection leaves its program, with no second way in to end it."""


@dataclass(frozen=True)
class Behind:
    """One source behind the weather."""

    source: OpenSource
    sandbox: SandboxId
    weather: BadWeather

    def shell(self) -> Transport:
        return self.source.actor.shell(self.sandbox, ShellChoice())


@asynccontextmanager
async def behind(kind: str, folder: Path, home: Path) -> AsyncIterator[Behind]:
    """A source of that kind, reached through a proxy with fair weather."""
    pod = folder / "pod"
    clock = SystemClock()
    if kind == "kubernetes":
        async with cluster(folder) as one, bad_weather(one.api.peer.port) as weather:
            ports = str(one.api.peer.port), str(weather.port)
            one.config.write_text(one.config.read_text().replace(*ports))
            table = KubernetesTable(kubeconfig=str(one.config))
            source = open_kubernetes("prod", table, clock, folder / "open-shells")
            yield Behind(source, BOX, weather)
            await _closed(source)
        return
    if kind == "centml":
        signed_in(home)
        async with centml(pod) as api, bad_weather(api.peer.port) as weather:
            api.deploy(1, box="Running")
            source = open_centml("ml", CentmlTable(url=weather.url), clock)
            yield Behind(source, SandboxId("ml", "1"), weather)
            await _closed(source)
        return
    if kind == "argocd":
        async with argo(pod) as cd, bad_weather(cd.peer.port) as weather:
            token = folder / "argo-token"
            token.write_text(TOKEN)
            cd_table = ArgoTable(url=weather.url, token_file=str(token))
            source = open_argo("cd", cd_table, clock)
            yield Behind(source, SandboxId("cd", "shop/agents/box"), weather)
            await _closed(source)
        return
    async with served(kind, pod) as server, bad_weather(server.port) as weather:
        source = open_terminal("box", server.table(weather.port), clock)
        yield Behind(source, SHELL, weather)
        await _closed(source)


async def _closed(source: OpenSource) -> None:
    await source.actor.close()
    await source.observer.close()


async def cut_under(one: Behind, word: str, how: str) -> ExecResult:
    """Run a command, let the weather turn, and see how it is said to have ended."""
    request = ExecRequest(("sh", "-c", "echo u''p; sleep 300", word), timeout_s=20)
    async with asyncio.timeout(45):
        async with aclosing(one.source.actor.exec(one.sandbox, request)) as events:  # type: ignore[type-var]
            output = b""
            while b"up" not in output:
                event = await anext(events)
                assert isinstance(event, ExecOutput), event
                output += event.data
            getattr(one.weather, how)()
            left = await collect_output(events)
    return ExecResult(left.code, left.reason)


@every
@pytest.mark.parametrize("how", ["cut", "drop"])
async def test_a_cut_is_never_a_code(kind: str, how: str, tmp_path: Path, home: Path) -> None:
    word = f"wd-{os.urandom(8).hex()}"
    async with behind(kind, tmp_path, home) as one:
        result = await cut_under(one, word, how)
        assert result.code is None and result.reason
        if kind in ORPHANS:
            assert "may still run in" in result.reason
        else:
            await gone(word)
        # What comes after the storm works.
        done = await ran(one.source.actor, one.sandbox, ("sh", "-c", "exit 42"), 30)
        assert done.code == 42
    end(word)


@every
async def test_a_frozen_line_ends_at_the_deadline(
    kind: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = f"wd-{os.urandom(8).hex()}"
    async with behind(kind, tmp_path, home) as one:
        request = ExecRequest(("sh", "-c", "echo u''p; sleep 300", word), timeout_s=4)
        async with asyncio.timeout(60):
            async with aclosing(one.source.actor.exec(one.sandbox, request)) as events:  # type: ignore[type-var]
                assert b"up" in (await _first(events)).data
                one.weather.freeze()
                # Nothing comes through any more, however long it is waited for.
                for module in (remote_cleanup, second_terminal, runner):
                    monkeypatch.setattr(module, "KILL_LIMIT_S", 1.0)
                monkeypatch.setattr(runner, "STATUS_S", 0.2)
                left = await collect_output(events)
        assert left.code is None and "may still run" in left.reason
        one.weather.thaw()
    end(word)


async def _first(events: AsyncIterator[object]) -> ExecOutput:
    event = await anext(events)
    assert isinstance(event, ExecOutput)
    return event


@every
async def test_a_line_that_drips_and_delays_loses_nothing(
    kind: str, tmp_path: Path, home: Path
) -> None:
    async with behind(kind, tmp_path, home) as one:
        one.weather.piece, one.weather.delay_s = 7, 0.001
        shell = one.shell()
        async with opened(shell):
            await shell.write("echo a中文b-e''nd\r".encode())
            await read_until(shell, "a中文b-end".encode())
        one.weather.piece, one.weather.delay_s = 4096, 0.02
        done = await ran(one.source.actor, one.sandbox, ("sh", "-c", "printf x; exit 3"), 60)
        assert (done.stdout, done.code) == (b"x", 3)


@every
async def test_fifty_megabytes_come_whole(kind: str, tmp_path: Path, home: Path) -> None:
    size = 50_000_000
    line = b"0123456789abcdef" * 4
    wanted = hashlib.sha256()
    for _ in range(size // 65):
        wanted.update(line + b"\n")
    async with behind(kind, tmp_path, home) as one:
        # Servers that ignore a broken pipe have their programs tell of it.
        script = f"yes {line.decode()} 2>/dev/null | head -c {size // 65 * 65}"
        request = ExecRequest(("sh", "-c", script), timeout_s=120)
        got, total = hashlib.sha256(), 0
        async for event in one.source.actor.exec(one.sandbox, request):
            if isinstance(event, ExecOutput):
                got.update(event.data)
                total += len(event.data)
            else:
                assert event == ExecResult(0)
        assert (total, got.digest()) == (size // 65 * 65, wanted.digest())


@every
@pytest.mark.timeout(3600)
async def test_what_goes_up_over_a_slow_line_arrives_whole(
    kind: str, tmp_path: Path, home: Path
) -> None:
    async with behind(kind, tmp_path, home) as one:
        one.weather.piece, one.weather.delay_s = 4096, 0.01
        sent = await send_up(one.source.actor, one.sandbox, megabytes(1) // 10)
    assert sent.whole, sent


@every
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("how", ["cut", "drop"])
async def test_what_goes_up_as_the_line_is_cut_is_never_taken_for_whole(
    kind: str, how: str, tmp_path: Path, home: Path
) -> None:
    word, size, turned = f"wd-{os.urandom(8).hex()}", megabytes(1) // 5, False
    file = tmp_path / "got"
    async with behind(kind, tmp_path, home) as one:

        def turn(so_far: int) -> None:
            nonlocal turned
            if so_far >= size // 2 and not turned:
                turned = True
                getattr(one.weather, how)()

        argv = ("sh", "-c", f"cat > {file}; echo who''le", word)
        sent = await send_up(one.source.actor, one.sandbox, size, argv, turn)
        assert turned and sent.done.code is None and sent.done.reason
        assert b"whole" not in sent.done.stdout
        if kind in ORPHANS:
            assert "may still run in" in sent.done.reason
        else:
            await gone(word)
        assert file.stat().st_size < size
    end(word)


@every
async def test_a_pasted_megabyte_arrives_whole(kind: str, tmp_path: Path, home: Path) -> None:
    # In lines: a terminal takes 4095 bytes of one.
    data = b"".join(b"%07d " % number + b"x" * 55 + b"\n" for number in range(1 << 14))
    assert len(data) == 1 << 20
    file = tmp_path / "pod" / "pasted"
    async with behind(kind, tmp_path, home) as one, seen(one.shell()) as shell:
        shell.type(f"clear; stty -echo; head -c {len(data)} > {file}; stty echo; echo al''l\r")
        await eventually(file.exists)
        shell.session.paste(data)
        await shell.until(lambda: "all" in shell.text and shell.prompted, 120)
        assert file.read_bytes() == data


@every
async def test_a_close_that_never_arrives_holds_nobody(
    kind: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "CLOSE_TIMEOUT_S", 0.3)
    async with behind(kind, tmp_path, home) as one:
        one.weather.swallow_close = True
        shell = one.shell()
        await shell.open(80, 24)
        await read_until(shell, b"$ ")
        async with asyncio.timeout(60):
            await shell.close()


@every
async def test_a_shell_over_a_cut_line_is_lost(kind: str, tmp_path: Path, home: Path) -> None:
    async with behind(kind, tmp_path, home) as one:
        shell = one.shell()
        await shell.open(80, 24)
        await read_until(shell, b"$ ")
        one.weather.cut()
        async with asyncio.timeout(60):
            _, ending = await read_to_end(shell)
        assert (ending.state, ending.code) == (ShellState.LOST, None)
        await shell.close()
        one.weather.target = 9  # nobody listens there
        with pytest.raises(ShellError):
            async with asyncio.timeout(60):
                await one.shell().open(80, 24)
