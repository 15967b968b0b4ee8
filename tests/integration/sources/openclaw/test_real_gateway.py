"""The real gateway in every state it can be brought into here, and the word for each."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.clock import SystemClock
from services.config.sources import OpenClawTable
from services.models import GatewayState, SandboxState
from services.sources.openclaw.source import open_openclaw
from services.sources.protocol.observer import Observer
from tests.support.openclaw_kit import RealGateway
from tests.support.waiting import eventually

BOOT_S = 200.0
"""A boot takes 20 s of processor time, on a machine that others use as well."""


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[tuple[RealGateway, RealGateway]]:
    """The default one and a profile of one home; neither runs yet."""
    both = RealGateway(tmp_path / "home"), RealGateway(tmp_path / "home", "ops")
    yield both
    for one in both:
        one.end()


@pytest.mark.kit("openclaw")
@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_every_state_has_its_word(gateways: tuple[RealGateway, RealGateway]) -> None:
    first, second = gateways
    token = first.home / "token"
    first.home.mkdir(exist_ok=True)
    token.write_text("of-a-test-alone")
    source = open_openclaw("oc", OpenClawTable(), SystemClock(), Path("/nowhere"), first.environ)
    named = OpenClawTable(state_dir=str(second.state), token_file=str(token))
    reading = open_openclaw("told", named, SystemClock(), Path("/nowhere"), first.environ)
    try:
        await _lives(source.observer, first, second, reading.observer)
    finally:
        await source.observer.close()
        await reading.observer.close()


async def _reads(observer: Observer, second: RealGateway) -> None:
    """What it tells a reader, and what it says to a token that is its own no more."""

    async def connection() -> tuple[str, SandboxState, str]:
        got = await observer.observe()
        facts = dict(got.gateways[0].evidence)
        return facts.get("connection", ""), got.sandboxes[0].state, got.sandboxes[0].reason

    async def reads() -> bool:
        told, state, reason = await connection()
        assert (told, state) == ("reads", SandboxState.READY), (told, state, reason)
        return True

    async def refuses() -> bool:
        told, state, reason = await connection()
        assert "the token it is shown is another one" in reason, (told, state, reason)
        assert state is SandboxState.UNKNOWN
        return True

    await eventually(reads)

    async def told() -> bool:
        got = await observer.observe()
        facts = dict(got.gateways[0].evidence)
        assert {"cost", "lanes", "memory", "identity"} <= facts.keys(), facts
        return dict(got.sandboxes[0].evidence)["agent"] == "main"

    await eventually(told)
    second.configure("another-of-a-test")
    await eventually(refuses)
    (second.home / "token").write_text("another-of-a-test")
    await eventually(reads)


async def _lives(
    observer: Observer, first: RealGateway, second: RealGateway, reading: Observer
) -> None:
    seen: dict[SandboxState, str] = {}
    """With the reason each was told first."""

    async def state_of(name: str) -> tuple[GatewayState | None, str]:
        got = await observer.observe()
        for gateway, sandbox in zip(got.gateways, got.sandboxes, strict=True):
            if gateway.name == name:
                seen.setdefault(sandbox.state, sandbox.reason)
                return gateway.state, sandbox.reason
        return None, ""

    async def shows(one: RealGateway, wanted: GatewayState, words: str, limit: float) -> None:
        async def probe() -> bool:
            state, reason = await state_of(one.state.name)
            assert state is wanted, (state, reason)
            assert words in reason, reason
            return True

        await eventually(probe, limit=limit, what=one.said)

    assert (await state_of(".openclaw"))[0] is GatewayState.ABSENT
    first.start()
    await shows(first, GatewayState.SETTLING, "It is starting", BOOT_S)
    await shows(first, GatewayState.READY, "", BOOT_S)
    # On a machine that is busy elsewhere one that has started may be slow to say so.
    assert "but slow" in seen.get(SandboxState.UNKNOWN, "but slow"), seen
    assert SandboxState.BROKEN not in seen

    second.configure("of-a-test-alone")
    second.start()
    await shows(second, GatewayState.READY, "", BOOT_S)
    assert (await state_of(first.state.name))[0] is GatewayState.READY

    await _reads(reading, second)

    first.send(signal.SIGSTOP)
    await shows(first, GatewayState.HUNG, "suspended by a signal", 15)
    assert (await state_of(second.state.name))[0] is GatewayState.READY
    first.send(signal.SIGCONT)
    await shows(first, GatewayState.READY, "", 30)

    first.send(signal.SIGKILL)
    assert first.lock(), "it leaves its lock"
    await shows(first, GatewayState.DOWN, "It is not running", 15)
    server = await asyncio.start_server(_page, "127.0.0.1", first.port)
    async with server:
        await shows(first, GatewayState.WRONG, f"Port {first.port} is answered by something", 15)

    second.send(signal.SIGTERM)
    await shows(second, GatewayState.DOWN, "It is not running", 60)
    (second.state / "openclaw.json").write_text("{gateway: {port: 1")
    await shows(second, GatewayState.UNKNOWN, "Its configuration cannot be read", 15)


async def _page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi")
    writer.close()
