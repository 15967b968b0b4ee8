"""Many hosts at once: links are made a few at a time, and hosts that are gone hold up nobody."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from services.config.sources import RemoteTable
from services.sources.remote import gate as module
from services.sources.remote.gate import AT_ONCE, LONGEST_S, ConnectGate
from services.sources.remote.source import open_remote
from tests.support.clock import FakeClock
from tests.support.waiting import eventually

HOSTS = 50


class CountingGate(ConnectGate):
    """Knows how many links were made, and how many at the same time."""

    def __init__(self) -> None:
        super().__init__(random.Random(26))
        self.made, self.now, self.most = 0, 0, 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        async with super().turn():
            self.made += 1
            self.now += 1
            self.most = max(self.most, self.now)
            try:
                yield
            finally:
                self.now -= 1


async def test_fifty_hosts_after_a_suspend_do_not_storm() -> None:
    """All of them are lost at one instant; they are tried again apart, and later and later."""
    clock, gate = FakeClock(), CountingGate()
    table = RemoteTable(command=("false",))
    sources = [open_remote(f"host{n}", table, clock, gate, False) for n in range(HOSTS)]
    links = [one.observer._link for one in sources]  # type: ignore[attr-defined]
    async with AsyncExitStack() as stack:
        for one in sources:
            stack.push_async_callback(one.observer.close)
        for link in links:
            link.start()
        await eventually(lambda: gate.made == HOSTS and not gate.now)
        await eventually(lambda: all(one.status.retry_at is not None for one in links))
        due = [one.status.retry_at - clock.now() for one in links]
        assert min(due) >= 1.0 and max(due) <= 2.0
        assert max(Counter(round(one, 1) for one in due).values()) <= HOSTS / 4, "all at one time"
        await clock.advance(0.9)
        assert gate.made == HOSTS, "tried again before anybody was due"
        await clock.advance(1.2)
        await eventually(lambda: gate.made == 2 * HOSTS and not gate.now)
        assert gate.most <= AT_ONCE


def test_pauses_grow_and_have_an_end() -> None:
    gate = ConnectGate(random.Random(1))
    for failures in range(1, 2000):
        pause = gate.pause_s(failures, lasting=False)
        assert min(2.0 ** min(failures, 6), LONGEST_S) / 2 <= pause <= LONGEST_S


async def test_hosts_that_are_gone_hold_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TURN_S", 0.01)
    gate = ConnectGate(random.Random(1))
    over = asyncio.Event()

    async def dead() -> None:
        async with gate.turn():
            await over.wait()

    waiting = [asyncio.create_task(dead()) for _ in range(5 * AT_ONCE)]
    async with asyncio.timeout(60), gate.turn():
        over.set()
    await asyncio.gather(*waiting)
    assert gate._turns._value == AT_ONCE, "a turn was given back twice, or never"
