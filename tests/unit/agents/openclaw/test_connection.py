"""One connection over a channel in memory: its handshake, answers in any order, its end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from services.agents.openclaw import connection as speaking
from services.agents.openclaw.connection import (
    ChannelLostError,
    GatewayConnection,
    GatewayRefusedError,
)
from services.agents.openclaw.wire import GatewayCredential, GatewayPush
from services.errors import DeadlineError, UnavailableError
from tests.support.clock import FakeClock
from tests.support.openclaw_peer import RECORDED
from tests.support.waiting import eventually

HELLO = {"type": "res", "id": "1", "ok": True, "payload": RECORDED["hello"]["payload"]}


class MemoryChannel:
    """Frames as they are put; what was sent."""

    def __init__(self, *frames: object) -> None:
        self.sent: list[dict[str, Any]] = []
        self.frames: asyncio.Queue[object] = asyncio.Queue()
        for one in frames:
            self.frames.put_nowait(one)

    async def send(self, text: str) -> None:
        self.sent.append(json.loads(text))

    async def receive(self) -> bytes:
        one = await self.frames.get()
        if one is None:
            raise ChannelLostError("Gone.")
        return one if isinstance(one, bytes) else json.dumps(one).encode()

    async def close(self) -> None:
        await self.frames.put(None)

    def answer(self, request: dict[str, Any], payload: object) -> None:
        self.frames.put_nowait({"type": "res", "id": request["id"], "ok": True, "payload": payload})


def speak(channel: MemoryChannel) -> tuple[GatewayConnection, list[tuple[GatewayPush, bool]]]:
    pushed: list[tuple[GatewayPush, bool]] = []
    made = GatewayConnection(channel, FakeClock(), lambda *told: pushed.append(told))
    return made, pushed


async def show() -> GatewayCredential:
    return GatewayCredential("password", "s3cret")


async def hide() -> GatewayCredential:
    raise UnavailableError("It is shown no credential.")


async def test_nothing_is_sent_before_the_challenge() -> None:
    channel = MemoryChannel({"type": "event", "event": "tick"}, RECORDED["challenge"], HELLO)
    connection, _ = speak(channel)
    hello = await connection.enter("1.0", show)
    assert hello.version == "2026.9.6"
    (sent,) = channel.sent
    assert sent["method"] == "connect"
    assert sent["params"]["auth"] == {"password": "s3cret"}


async def test_a_credential_that_may_not_be_shown_is_not_sent() -> None:
    channel = MemoryChannel(RECORDED["challenge"])
    connection, _ = speak(channel)
    with pytest.raises(UnavailableError, match="shown no credential"):
        await connection.enter("1.0", hide)
    assert not channel.sent


async def test_a_handshake_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaking, "HANDSHAKE_S", 0.01)
    connection, _ = speak(MemoryChannel(RECORDED["challenge"], {**HELLO, "id": "77"}))
    with pytest.raises(ChannelLostError, match="handshake"):
        await connection.enter("1.0", show)


async def test_a_refused_handshake_has_its_code() -> None:
    channel = MemoryChannel(RECORDED["challenge"], RECORDED["wrong token"])
    connection, _ = speak(channel)
    with pytest.raises(GatewayRefusedError) as raised:
        await connection.enter("1.0", show)
    assert raised.value.refusal.code == "AUTH_TOKEN_MISMATCH"


async def test_answers_come_in_any_order_and_of_strangers_none() -> None:
    channel = MemoryChannel()
    connection, pushed = speak(channel)
    reader = asyncio.ensure_future(connection.run())
    calls = [asyncio.ensure_future(connection.call(one)) for one in ("status", "cron.list")]
    await eventually(lambda: len(channel.sent) == 2)
    first, second = channel.sent
    channel.answer({"id": "nobody's"}, "?")
    channel.answer(second, {"of": second["method"]})
    channel.answer(second, {"of": "twice"})
    channel.frames.put_nowait({"type": "event", "event": "tick", "seq": 1})
    channel.frames.put_nowait({"type": "event", "event": "shutdown", "payload": {"a": 1}, "seq": 4})
    channel.answer(first, {"of": first["method"]})
    assert await asyncio.gather(*calls) == [{"of": "status"}, {"of": "cron.list"}]
    assert [(push.event, dict(push.fields), missed) for push, missed in pushed] == [
        ("tick", {}, False),
        ("shutdown", {"a": 1}, True),
    ]
    waits = asyncio.ensure_future(connection.call("status"))
    await eventually(lambda: len(channel.sent) == 3)
    await channel.close()
    with pytest.raises(ChannelLostError, match="ended before it answered"):
        await waits
    with pytest.raises(ChannelLostError, match="Gone"):
        await reader


async def test_no_answer_and_too_many_questions() -> None:
    connection, _ = speak(MemoryChannel())
    with pytest.raises(DeadlineError, match="did not answer status"):
        await connection.call("status", limit_s=0.01)
    calls = [asyncio.ensure_future(connection.call("status", limit_s=60)) for _ in range(33)]
    done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    with pytest.raises(UnavailableError, match="Too many"):
        await done.pop()
    for one in calls:
        one.cancel()
    assert all(
        isinstance(e, BaseException) for e in await asyncio.gather(*calls, return_exceptions=True)
    )
