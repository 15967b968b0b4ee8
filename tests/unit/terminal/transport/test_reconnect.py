"""A shell that opens itself again: only when asked to, only when it may, never sending twice."""

from __future__ import annotations

import asyncio
import random

import pytest

from services.errors import ShellError
from services.models import Retry, ShellState
from services.net.failures import ConnectionFailure
from services.terminal.transport.base import CloseReason
from services.terminal.transport.close_reasons import HandshakeRefusedError
from services.terminal.transport.reconnect import ReconnectingTransport, ReconnectPolicy
from tests.support.clock import FakeClock

LOST = CloseReason(ShellState.LOST, "the connection was reset, outcome unknown", retry=Retry.AUTO)


class Scripted:
    """A shell whose connection does as it is told."""

    notice = "scripted"

    def __init__(self, opens: ShellError | None, *reads: bytes | CloseReason) -> None:
        self.opens = opens
        self.reads = list(reads)
        self.written: list[bytes] = []
        self.size: tuple[int, int] | None = None
        self.closed = 0
        self.dead = asyncio.Event()

    async def open(self, columns: int, lines: int) -> None:
        self.size = (columns, lines)
        if self.opens is not None:
            raise self.opens

    async def read(self) -> bytes | CloseReason:
        if self.reads:
            return self.reads.pop(0)
        await self.dead.wait()
        return LOST

    async def write(self, data: bytes) -> None:
        self.written.append(data)

    async def acknowledge(self) -> bool:
        return True

    async def ping(self) -> bool:
        await asyncio.Event().wait()
        return True

    async def resize(self, columns: int, lines: int) -> None:
        self.size = (columns, lines)

    async def close(self) -> None:
        self.closed += 1
        self.dead.set()


class Largest(random.Random):
    """Jitter at its longest."""

    def uniform(self, a: float, b: float) -> float:
        return b


def made(clock: FakeClock, *shells: Scripted, resumes: bool = False) -> ReconnectingTransport:
    waiting = list(shells)
    return ReconnectingTransport(lambda: waiting.pop(0), clock, resumes=resumes, jitter=Largest())


async def after(
    clock: FakeClock, one: ReconnectingTransport, seconds: float
) -> bytes | CloseReason:
    reading = asyncio.ensure_future(one.read())
    await clock.advance(seconds)
    return await asyncio.wait_for(reading, 60)


def test_pauses_double_with_full_jitter_to_a_limit() -> None:
    policy = ReconnectPolicy()
    assert [policy.pause(n, Largest()) for n in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    spread = [policy.pause(3, random.Random(seed)) for seed in range(50)]
    assert min(spread) < 1 and max(spread) > 3


async def test_a_lost_shell_is_followed_by_a_new_one_and_says_so() -> None:
    clock = FakeClock()
    first, second = Scripted(None, b"hello", LOST), Scripted(None, b"again")
    one = made(clock, first, second)
    await one.open(80, 24)
    assert await one.read() == b"hello"
    said = await one.read()
    assert isinstance(said, bytes) and "trying again" in said.decode()
    await one.resize(132, 40)
    said = await after(clock, one, 1)
    assert isinstance(said, bytes) and "state of the previous one is gone" in said.decode()
    assert second.size == (132, 40)
    assert await one.read() == b"again"
    await one.close()
    assert first.closed == second.closed == 1


async def test_a_resumed_shell_is_no_new_one() -> None:
    clock = FakeClock()
    one = made(clock, Scripted(None, LOST), Scripted(None, b"x"), resumes=True)
    await one.open(80, 24)
    await one.read()
    said = await after(clock, one, 1)
    assert isinstance(said, bytes) and "connected again" in said.decode()
    await one.close()


@pytest.mark.parametrize(
    "ending",
    [
        CloseReason(ShellState.ENDED, "exited (0)", code=0),
        CloseReason(ShellState.LOST, "refused by policy", retry=Retry.NO),
        CloseReason(ShellState.LOST, "closed", retry=Retry.ASK),
    ],
)
async def test_other_ends_are_ends(ending: CloseReason) -> None:
    clock = FakeClock()
    one = made(clock, Scripted(None, ending))
    await one.open(80, 24)
    assert await one.read() == ending
    await one.close()


async def test_an_operator_in_the_middle_of_typing_is_asked() -> None:
    clock = FakeClock()
    one = made(clock, Scripted(None, LOST))
    await one.open(80, 24)
    await one.write(b"rm -rf ")
    await clock.advance(1)
    assert await one.read() == LOST
    await one.close()


async def test_a_key_stops_the_waiting_and_is_not_sent() -> None:
    clock = FakeClock()
    second = Scripted(None)
    one = made(clock, Scripted(None, LOST), second)
    await one.open(80, 24)
    await one.read()
    reading = asyncio.ensure_future(one.read())
    await clock.advance(0.1)
    await one.write(b"x")
    ending = await asyncio.wait_for(reading, 60)
    assert isinstance(ending, CloseReason)
    assert (ending.state, ending.retry) == (ShellState.LOST, Retry.ASK)
    assert second.size is None and not second.written
    await one.close()


async def test_it_gives_up_after_six_tries() -> None:
    clock = FakeClock()
    down = ShellError("nobody there", retry=Retry.AUTO)
    shells = [Scripted(None, LOST), *(Scripted(down) for _ in range(9))]
    one = made(clock, *shells)
    await one.open(80, 24)
    got = await one.read()
    rounds = 0
    while not isinstance(got, CloseReason):
        rounds += 1
        got = await after(clock, one, 31)
    assert rounds <= 6
    assert "could not connect again: nobody there" in got.reason
    await one.close()


async def test_a_failure_that_will_not_pass_ends_it_at_once() -> None:
    clock = FakeClock()
    gone = Scripted(ShellError("the pod is gone", retry=Retry.NO))
    one = made(clock, Scripted(None, LOST), gone)
    await one.open(80, 24)
    await one.read()
    ending = await after(clock, one, 1)
    assert isinstance(ending, CloseReason) and ending.retry is Retry.NO
    await one.close()


async def test_a_server_that_names_a_time_is_obeyed() -> None:
    clock = FakeClock()
    busy = HandshakeRefusedError(
        ConnectionFailure("busy", Retry.AUTO, status=503, retry_after_s=25.0)
    )
    last = Scripted(None, b"back")
    one = made(clock, Scripted(None, LOST), Scripted(busy), last)
    await one.open(80, 24)
    await one.read()
    said = await after(clock, one, 1)
    assert isinstance(said, bytes) and "25 s" in said.decode()
    reading = asyncio.ensure_future(one.read())
    await clock.advance(24)
    assert not reading.done() and last.size is None
    await clock.advance(2)
    await asyncio.wait_for(reading, 60)
    await one.close()


async def test_some_losses_are_tried_less_often() -> None:
    clock = FakeClock()
    boom = CloseReason(ShellState.LOST, "the server failed", retry=Retry.AUTO, tries=2)
    one = made(clock, *(Scripted(None, boom) for _ in range(9)))
    await one.open(80, 24)
    seen = 0
    got = await one.read()
    while not isinstance(got, CloseReason):
        seen += 1
        got = await after(clock, one, 31)
        if not isinstance(got, CloseReason):
            got = await one.read()
    assert (seen, got) == (2, boom)
    await one.close()


async def test_a_healthy_shell_starts_the_count_afresh() -> None:
    clock = FakeClock()
    once = CloseReason(ShellState.LOST, "renewed", retry=Retry.AUTO, tries=1)
    one = made(clock, Scripted(None, once), Scripted(None, b"x", once), Scripted(None, b"y"))
    await one.open(80, 24)
    await one.read()
    await after(clock, one, 31)
    assert await one.read() == b"x"
    await clock.advance(61)
    assert isinstance(await one.read(), bytes)
    await after(clock, one, 31)
    assert await one.read() == b"y"
    await one.close()


async def test_a_first_shell_that_does_not_open_is_the_operators_to_judge() -> None:
    one = made(FakeClock(), Scripted(ShellError("no", retry=Retry.AUTO)))
    with pytest.raises(ShellError, match="no"):
        await one.open(80, 24)
    await one.close()


async def test_a_shell_without_a_sign_of_life_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    from services.terminal.transport import reconnect

    monkeypatch.setattr(reconnect, "_PING_LIMIT_S", 0.05)
    clock = FakeClock()
    first = Scripted(None)
    one = made(clock, first, Scripted(None, b"x"))
    await one.open(80, 24)
    reading = asyncio.ensure_future(one.read())
    assert await one.ping()
    said = await asyncio.wait_for(reading, 60)
    assert isinstance(said, bytes) and "trying again" in said.decode()
    assert first.closed == 1
    await one.close()
