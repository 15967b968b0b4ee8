"""What a connection asks by itself: only what reads, seldom enough, and nothing it was refused."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping
from copy import deepcopy
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.agents.openclaw import link as linking
from services.agents.openclaw.connection import ChannelLostError
from services.agents.openclaw.device import DeviceIdentity
from services.agents.openclaw.evidence import ConnectionState
from services.agents.openclaw.link import GatewayLink
from services.agents.openclaw.wire import FOLLOWED, READS, GatewayCredential
from services.errors import UnavailableError
from tests.support.clock import FakeClock, settle
from tests.support.openclaw_peer import RECORDED
from tests.support.waiting import eventually

EVENTS = (*FOLLOWED, "task", "cron", "config.changed", "plugins.changed", "tick", "chat", "agent")
GONE = object()


class Gateway:
    """Answers as recorded, over as many channels as are opened; a door for a link."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.opened = 0
        self.asked: list[tuple[float, str, Mapping[str, Any]]] = []
        self.connects: list[Mapping[str, Any]] = []
        self.hello = deepcopy(RECORDED["hello"])
        self.refused: set[str] = set()
        self.unreachable = False
        self.frames: asyncio.Queue[object] = asyncio.Queue()

    async def open(self) -> Gateway:
        if self.unreachable:
            raise UnavailableError("Nobody is there.")
        self.opened += 1
        self.frames = asyncio.Queue()
        self.frames.put_nowait(RECORDED["challenge"])
        return self

    async def credential(self) -> GatewayCredential | None:
        return GatewayCredential("token", "s3cret")

    async def device(self) -> DeviceIdentity | None:
        return None

    async def fingerprint(self) -> str:
        return "same"

    async def send(self, text: str) -> None:
        frame = json.loads(text)
        method = frame["method"]
        if method == "connect":
            self.connects.append(frame["params"])
            self.frames.put_nowait({**self.hello, "id": frame["id"]})
            return
        self.asked.append((self.clock.monotonic(), method, frame["params"]))
        if method in self.refused or method not in RECORDED:
            answer = RECORDED["exec.approval.list"]
        else:
            answer = RECORDED[method]
        self.frames.put_nowait({**answer, "id": frame["id"]})

    async def receive(self) -> bytes:
        one = await self.frames.get()
        if one is GONE:
            raise ChannelLostError("It ended.")
        return json.dumps(one).encode()

    async def close(self) -> None:
        self.frames.put_nowait(GONE)

    def push(self, event: str, payload: object = None, seq: int | None = None) -> None:
        self.frames.put_nowait({"type": "event", "event": event, "payload": payload, "seq": seq})

    def times(self, method: str) -> list[float]:
        return [at for at, name, _ in self.asked if name == method]


def linked(gateway: Gateway) -> GatewayLink:
    return GatewayLink(gateway, gateway.clock, "1.0", asyncio.Event(), random.Random(1))


async def begin(link: GatewayLink) -> None:
    """Start it, and give it turns until it reads."""
    link.start()
    for _ in range(50):
        if link.heard().connection is ConnectionState.READING:
            return
        await settle()
    raise AssertionError(link.heard())


ACTIONS = st.one_of(
    st.tuples(st.just("push"), st.sampled_from(EVENTS) | st.text(max_size=8), st.integers(0, 9)),
    st.tuples(st.just("pass"), st.floats(0.5, 90.0), st.just(0)),
    st.tuples(st.just("touch"), st.sampled_from(sorted(READS)), st.just(0)),
)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.lists(ACTIONS, max_size=25))
def test_whatever_comes_nothing_is_sent_but_what_reads_and_seldom(
    actions: list[tuple[str, Any, int]],
) -> None:
    async def live() -> None:
        gateway = Gateway(FakeClock())
        link = linked(gateway)
        await begin(link)
        for kind, what, number in actions:
            if kind == "push":
                gateway.push(what, {"reason": "x"}, number)
                await settle()
            elif kind == "pass":
                await gateway.clock.advance(what)
            else:
                link.touch(what)
        await gateway.clock.advance(5.0)
        await link.stop()
        assert {method for _, method, _ in gateway.asked} <= set(READS)
        for method in READS:
            at = gateway.times(method)
            least = 60.0 if method == "config.get" else 15.0
            assert all(b - a >= least for a, b in pairwise(at)), (method, at)
        for params in gateway.connects:
            assert (params["scopes"], params["caps"]) == (["operator.read"], [])
            assert params["role"] == "operator"

    asyncio.run(live())


def test_its_list_of_sessions_is_bounded_and_no_probe_is_asked_of_it() -> None:
    async def live() -> None:
        gateway = Gateway(FakeClock())
        link = linked(gateway)
        await begin(link)
        await gateway.clock.advance(130.0)
        await link.stop()
        for _, method, params in gateway.asked:
            assert "probe" not in params, "it would call providers"
            assert not method.startswith("sessions.") or params["limit"] <= 60
        assert "sessions.usage" not in {method for _, method, _ in gateway.asked}
        assert len(gateway.connects) == 1

    asyncio.run(live())


async def test_what_it_does_not_have_or_refuses_is_not_asked_again() -> None:
    gateway = Gateway(FakeClock())
    gateway.hello["payload"]["features"]["methods"].remove("cron.list")
    gateway.refused = {"status"}
    link = linked(gateway)
    await begin(link)
    await gateway.clock.advance(400.0)
    await link.stop()
    assert not gateway.times("cron.list")
    assert len(gateway.times("status")) == 1
    assert len(gateway.times("channels.status")) > 5


async def test_without_the_right_to_read_nothing_is_asked() -> None:
    gateway = Gateway(FakeClock())
    gateway.hello["payload"]["auth"]["scopes"] = ["operator.admin", "operator.write"]
    link = linked(gateway)
    link.start()
    await link.settled(20)
    await gateway.clock.advance(60.0)
    assert link.heard().connection is ConnectionState.REFUSED
    assert not gateway.asked
    await link.stop()


async def test_a_connection_without_a_sign_of_life_is_made_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(linking, "FIRST_WAIT_S", 0.0)
    gateway = Gateway(FakeClock())
    gateway.hello["payload"]["policy"]["tickIntervalMs"] = 5000
    link = linked(gateway)
    await begin(link)
    await gateway.clock.advance(9.0)
    assert gateway.opened == 1
    gateway.push("tick")
    await gateway.clock.advance(9.0)
    assert gateway.opened == 1
    await gateway.clock.advance(3.0)
    assert link.heard().connection is ConnectionState.LOST
    assert "silent" in link.heard().problem
    link.start()
    await eventually(lambda: gateway.opened == 2)
    await link.stop()


async def test_each_failure_waits_longer_to_half_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    enough = asyncio.Event()

    async def pause(_: GatewayLink, seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 8:
            enough.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(GatewayLink, "_pause", pause)
    gateway = Gateway(FakeClock())
    gateway.unreachable = True
    link = linked(gateway)
    link.start()
    await enough.wait()
    await link.stop()
    aims = [1, 2, 4, 8, 16, 30, 30, 30]
    assert all(0.8 * aim <= wait <= 1.2 * aim for wait, aim in zip(waits, aims, strict=True))
    assert len(set(waits)) == 8, "with jitter"


async def test_after_its_end_it_is_connected_only_once_its_probes_are_good() -> None:
    gateway = Gateway(FakeClock())
    link = linked(gateway)
    await begin(link)
    gateway.frames.put_nowait(GONE)
    await settle()
    assert link.heard().connection is ConnectionState.LOST
    link.retry()
    await eventually(lambda: gateway.opened == 2)
    await link.stop()
