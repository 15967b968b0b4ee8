"""One budget for all shells: nobody starves, paintings are capped, and the pump stops."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import pairwise
from time import perf_counter

from services.terminal.session.scheduler import BUDGET_S, CHUNK_BYTES, ParseScheduler
from tests.support.waiting import LIMIT_S, eventually


class Shell:
    """Has so much to parse and takes its time over each KiB."""

    def __init__(self, waiting: int, seconds_a_kib: float = 0.0) -> None:
        self.waiting = waiting
        self.skipping = self.answering = False
        self.parsed: list[int] = []
        self.painted: list[float] = []
        self.caught_up = 0
        self._cost = seconds_a_kib

    def catch_up(self) -> None:
        self.caught_up += 1
        self.waiting = min(self.waiting, 64 * 1024)

    def parse(self, limit: int) -> None:
        done = min(limit, self.waiting)
        self.waiting -= done
        self.parsed.append(done)
        until = perf_counter() + self._cost * done / 1024
        while perf_counter() < until:
            pass

    def paint(self) -> None:
        self.painted.append(perf_counter())


async def drained(shells: Iterable[Shell], scheduler: ParseScheduler) -> None:
    await eventually(lambda: not any(shell.waiting for shell in shells))


async def test_everything_is_parsed_and_the_last_of_it_painted() -> None:
    scheduler, shell = ParseScheduler(), Shell(1_000_000)
    scheduler.add(shell)
    scheduler.wake()
    await drained([shell], scheduler)
    assert sum(shell.parsed) == 1_000_000
    assert max(shell.parsed) <= CHUNK_BYTES
    last = perf_counter()
    await eventually(lambda: shell.painted and shell.painted[-1] >= last - 0.1)
    await scheduler.remove(shell)


async def test_paintings_are_capped() -> None:
    scheduler, shell = ParseScheduler(), Shell(0)
    scheduler.add(shell)
    began = perf_counter()
    while len(shell.painted) < 20:
        shell.waiting += 10
        scheduler.wake()
        await asyncio.sleep(0)  # a turn of the loop, in which the pump does its work
    took = perf_counter() - began
    await scheduler.remove(shell)
    assert len(shell.painted) <= took * 60 + 2


async def test_a_flood_is_painted_half_as_often() -> None:
    scheduler, shell = ParseScheduler(), Shell(10_000_000, 0.0005)
    shell.skipping = True
    scheduler.add(shell)
    began = perf_counter()
    scheduler.wake()

    def flooded() -> bool:
        shell.waiting = 10_000_000
        scheduler.wake()
        return len(shell.painted) >= 10

    await eventually(flooded)
    took = perf_counter() - began
    await scheduler.remove(shell)
    assert len(shell.painted) <= took * 30 + 2


async def test_a_flood_is_painted_as_often_as_calm_output_while_a_key_is_answered() -> None:
    scheduler, shell = ParseScheduler(), Shell(10_000_000, 0.00005)
    shell.skipping = shell.answering = True
    scheduler.add(shell)

    def painted_soon_again() -> bool:
        shell.waiting = 10_000_000
        scheduler.wake()
        return any(later - before < 1 / 30 for before, later in pairwise(shell.painted))

    await eventually(painted_soon_again)
    await scheduler.remove(shell)
    assert all(later - before > 1 / 61 for before, later in pairwise(shell.painted))


async def test_a_key_passes_through_many_tasks_between_two_slices() -> None:
    scheduler, flood = ParseScheduler(), Shell(10_000_000, 0.004)
    scheduler.add(flood)
    scheduler.wake()
    await eventually(lambda: len(flood.parsed) > 10)
    queues: list[asyncio.Queue[str]] = [asyncio.Queue() for _ in range(8)]

    async def hand_on(taken: asyncio.Queue[str], given: asyncio.Queue[str]) -> None:
        given.put_nowait(await taken.get())

    tasks = [asyncio.create_task(hand_on(*pair)) for pair in pairwise(queues)]
    await asyncio.sleep(0)  # a turn of the loop: all of them wait
    before = len(flood.parsed)
    queues[0].put_nowait("x")
    assert await queues[-1].get() == "x"
    assert len(flood.parsed) - before <= 2
    await asyncio.gather(*tasks)
    await scheduler.remove(flood)


async def test_a_flood_is_painted_once_the_newest_of_it_is_parsed() -> None:
    scheduler, shell = ParseScheduler(), Shell(10_000_000, 0.00008)
    shell.skipping = True
    parsed: list[int] = []
    paint = shell.paint

    def painted() -> None:
        parsed.append(sum(shell.parsed))
        shell.parsed.clear()
        shell.waiting += 500_000
        paint()

    shell.paint = painted  # type: ignore[method-assign]
    scheduler.add(shell)
    scheduler.wake()
    async with asyncio.timeout(60):
        while len(parsed) < 8 or max(parsed) < 64 * 1024:
            await asyncio.sleep(0)  # a turn of the loop, in which the pump does its work
            scheduler.wake()
    await scheduler.remove(shell)
    assert shell.caught_up >= len(parsed)
    # All of a frame takes some 5 ms; on a machine that is busy many are cut short.
    assert max(parsed) == 64 * 1024
    assert min(parsed) > 0


async def test_a_small_answer_is_parsed_while_floods_go_on() -> None:
    scheduler = ParseScheduler()
    floods = [Shell(10_000_000, 0.001) for _ in range(3)]
    calm = Shell(0)
    for shell in (*floods, calm):
        scheduler.add(shell)
    scheduler.wake()
    await eventually(lambda: all(flood.parsed for flood in floods))
    for _ in range(5):
        rounds = sum(len(flood.parsed) for flood in floods)
        calm.waiting = 100
        scheduler.wake()
        async with asyncio.timeout(LIMIT_S):
            while calm.waiting:
                await asyncio.sleep(0)  # a turn of the loop: the floods' progress is counted
        # Within one budget: never behind a whole flood.
        assert sum(len(flood.parsed) for flood in floods) - rounds < 20
    assert all(flood.parsed for flood in floods)
    shares = [sum(flood.parsed) for flood in floods]
    assert min(shares) > max(shares) / 5
    for shell in (*floods, calm):
        await scheduler.remove(shell)


async def test_a_slow_parser_is_given_small_chunks_and_gives_way() -> None:
    scheduler, slow = ParseScheduler(), Shell(2_000_000, 0.004)
    scheduler.add(slow)
    scheduler.wake()
    turns = 0
    while len(slow.parsed) < 60:
        await asyncio.sleep(0)  # a turn of the loop, which is what is counted
        turns += 1
    await scheduler.remove(slow)
    assert turns > 20
    assert min(slow.parsed) < 2048
    assert BUDGET_S <= 0.008


async def test_the_pump_runs_only_while_it_has_shells() -> None:
    scheduler, first, second = ParseScheduler(), Shell(10), Shell(10)
    before = asyncio.all_tasks()
    scheduler.add(first)
    scheduler.add(second)
    assert len(asyncio.all_tasks() - before) == 1
    await scheduler.remove(first)
    assert len(asyncio.all_tasks() - before) == 1
    await scheduler.remove(second)
    await scheduler.remove(second)
    assert asyncio.all_tasks() == before
    scheduler.add(first)
    scheduler.wake()
    await drained([first], scheduler)
    await scheduler.remove(first)
    assert asyncio.all_tasks() == before
