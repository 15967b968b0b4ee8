"""Terminals used as an operator uses them: terminado, Jupyter, ttyd, and ours over the channels."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.errors import ShellError
from services.models import ShellState
from services.terminal.exec.requests import ShellChoice
from services.terminal.transport.base import Transport
from services.terminal.transport.server_frames import TerminadoFraming, TtydFraming
from services.terminal.transport.websocket import WebSocketTransport
from tests.integration.sources.pods.test_kube_source import BOX, cluster
from tests.support import kits
from tests.support import seen as operator
from tests.support.jupyter_peer import jupyter
from tests.support.seen import seen
from tests.support.shells import opened, read_to_end, read_until
from tests.support.terminado_peer import terminado
from tests.support.ttyd import ttyd

KITS = ("terminado", "ttyd")
PEERS = [*(pytest.param(one, marks=pytest.mark.kit(one)) for one in KITS), "kubernetes"]


def connect(url: str, headers: dict[str, str] | None = None) -> WebSocketTransport:
    return WebSocketTransport(url, headers or {}, framing=TerminadoFraming())


@asynccontextmanager
async def peer(kind: str, folder: Path) -> AsyncIterator[Transport]:
    """A shell in `folder/pod`, not open yet."""
    (folder / "pod").mkdir(exist_ok=True)
    if kind == "terminado":
        async with terminado(folder / "pod") as one:
            yield connect(one.url())
    elif kind == "ttyd":
        async with ttyd(folder / "pod") as three:
            yield WebSocketTransport(f"ws://127.0.0.1:{three.port}/ws", {}, framing=TtydFraming())
    else:
        async with cluster(folder) as two:
            two.api.exec.env |= {"LC_ALL": "C.UTF-8", "HOME": str(folder)}
            yield two.source.actor.shell(BOX, ShellChoice())


@pytest.mark.parametrize("kind", PEERS)
async def test_everyday_work(tmp_path: Path, kind: str) -> None:
    async with peer(kind, tmp_path) as transport, seen(transport) as one:
        await operator.odd_characters(one)
        await one.run("clear", "")
        if kits.there("vim"):
            await operator.edit_a_file(one, tmp_path / "pod")
        if kits.there("htop"):
            await operator.look_at_processes(one)
        await operator.storm_of_sizes(one)


@pytest.mark.parametrize("kind", PEERS)
async def test_floods_and_pastes(tmp_path: Path, kind: str) -> None:
    async with peer(kind, tmp_path) as transport, seen(transport) as one:
        await operator.flood_and_interrupt(one)
        if kind != "ttyd":  # it takes all there is into its own memory
            await operator.paste_into_the_deaf(one)


@pytest.mark.slow
@pytest.mark.parametrize("kind", PEERS)
async def test_a_hundred_megabytes(tmp_path: Path, kind: str) -> None:
    async with peer(kind, tmp_path) as transport, seen(transport) as one:
        await operator.a_hundred_megabytes(one)


@pytest.mark.kit("terminado")
async def test_an_end_without_a_code_is_no_success(tmp_path: Path) -> None:
    async with terminado(tmp_path) as one:
        shell = connect(one.url())
        async with opened(shell):
            await read_until(shell, b"pod$ ")
            await shell.write(b"exit 7\r")
            _, ending = await read_to_end(shell)
    assert (ending.state, ending.code) == (ShellState.ENDED, None)


@pytest.mark.kit("terminado")
async def test_a_server_that_is_killed_leaves_the_outcome_unknown(tmp_path: Path) -> None:
    async with terminado(tmp_path) as one, seen(connect(one.url())) as shell:
        shell.type("sleep 300\r")
        one.process.kill()
        await shell.until(lambda: shell.shell.state.over)
        assert (shell.shell.state, shell.shell.code) == (ShellState.LOST, None)


@pytest.mark.kit("terminado")
async def test_a_named_terminal_is_found_again(tmp_path: Path) -> None:
    async with terminado(tmp_path) as one:
        first = connect(one.url("terminals/kept"))
        await first.open(80, 24)
        await read_until(first, b"pod$ ")
        await first.write(b"kept=treasure; echo se''t\r")
        await read_until(first, b"set\r\n")
        first.abort()
        await first.close()
        again = connect(one.url("terminals/kept"))
        async with opened(again):
            await again.write(b"echo found-$kept\r")
            await read_until(again, b"found-treasure")


@pytest.mark.kit("terminado")
async def test_a_message_it_will_not_take_is_named(tmp_path: Path) -> None:
    async with terminado(tmp_path) as one:
        shell = connect(one.url())
        async with opened(shell):
            await read_until(shell, b"pod$ ")
            await shell.send(("x" * (11 << 20),))
            _, ending = await read_to_end(shell)
    assert "too much at once" in ending.reason or "without saying why" in ending.reason


@pytest.mark.kit("jupyter")
async def test_handshakes_are_refused_and_accepted_by_a_real_server(tmp_path: Path) -> None:
    async with jupyter(tmp_path) as one:
        await asyncio.to_thread(one.ask, "POST")
        for headers, name, code in (
            ({}, "1", 403),
            ({"Authorization": "token wrong-one-entirely"}, "1", 403),
            ({"Authorization": f"token {one.token}"}, "no-such-terminal", 404),
        ):
            with pytest.raises(ShellError, match=str(code)) as caught:
                await connect(one.url(name), headers).open(80, 24)
            assert one.token not in str(caught.value) and "wrong-one" not in str(caught.value)
        shell = connect(one.url("1"), {"Authorization": f"token {one.token}"})
        async with opened(shell, 91, 27):
            await shell.write(b"stty size\r")
            await read_until(shell, b"27 91")
            assert await shell.ping()
