"""A real OpenSSH through a network that stalls, tears pieces apart and cuts without a word."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.models import GatewayState
from services.sources.remote import gate
from services.terminal.exec.requests import ShellChoice
from services.terminal.transport.base import CloseReason
from tests.support.remote import embedded_world, far_side, live_remote, way
from tests.support.sshd import ssh_host

pytestmark = pytest.mark.kit("sshd")


class Weather:
    """A proxy: every piece is cut anywhere and waits a little; `cut` ends all there is."""

    def __init__(self, target: int, dice: random.Random) -> None:
        self.port = 0
        self._target = target
        self._dice = dice
        self._writers: set[asyncio.StreamWriter] = set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, out = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers |= {writer, out}
        await asyncio.gather(self._pump(reader, out), self._pump(there, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, OSError):
            while data := await reader.read(self._dice.randint(1, 4000)):
                if self._dice.random() < 0.2:
                    await asyncio.sleep(self._dice.uniform(0, 0.05))  # the weather itself
                writer.write(data)
                await writer.drain()
        writer.close()

    def cut(self) -> None:
        for one in self._writers:
            one.transport.abort()
        self._writers.clear()


@contextlib.asynccontextmanager
async def weather(target: int) -> AsyncIterator[Weather]:
    proxy = Weather(target, random.Random(26))
    server = await asyncio.start_server(proxy.carry, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut()


@pytest.mark.timeout(200)
async def test_bad_weather_costs_time_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "LONGEST_S", 0.3)
    with ssh_host(tmp_path / "ssh") as host:
        async with embedded_world(host.home), weather(host.port) as proxy:
            kind, key, *_ = (host.folder / "host.pub").read_text().split()
            host.known_hosts.write_text(f"box {kind} {key}\n")
            host.write_client(Port=str(proxy.port), HostKeyAlias="box")
            argv = host.argv(*far_side(host.home))
            async with live_remote(argv, tmp_path / "locks") as box:
                for _ in range(2):
                    seen = await box.until(
                        lambda one: (
                            len(one.sandboxes) == 4 and not any(row.stale for row in one.sandboxes)
                        )
                    )
                    shell = box.source.actor.shell(seen.sandboxes[0].id, ShellChoice())
                    await shell.open(80, 24)
                    await shell.write(b"seq 1 20000; exit 3\n")
                    heard = b""
                    while not isinstance(got := await shell.read(), CloseReason):
                        heard += got
                    assert got.code == 3, got
                    lines = [int(one) for one in heard.split() if one.isdigit()]
                    assert lines[-20_000:] == list(range(1, 20_001)), "bytes were lost or doubled"
                    proxy.cut()
                    lost = await box.until(lambda one: way(one).state is not GatewayState.READY)
                    assert len(lost.sandboxes) == 4 and all(one.stale for one in lost.sandboxes)
