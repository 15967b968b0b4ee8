"""Credit: never more under way than was granted, nobody waits for ever."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from services.wire.credit import Credit, Receipt


async def test_a_sender_stops_at_the_window_and_goes_on_when_granted() -> None:
    credit = Credit(100)
    assert await credit.take(70) == 70
    assert await credit.take(70) == 30
    waiting = asyncio.create_task(credit.take(50))
    await asyncio.sleep(0)  # a turn of the loop for the others
    assert not waiting.done() and not credit.all_taken
    credit.grant(20)
    assert await waiting == 20
    credit.grant(100)
    assert await credit.settled()


async def test_a_closed_stream_lets_everybody_go() -> None:
    credit = Credit(1)
    assert await credit.take(5) == 1
    waits = [asyncio.create_task(credit.take(1)), asyncio.create_task(credit.take(1))]
    settled = asyncio.create_task(credit.settled())
    await asyncio.sleep(0)  # a turn of the loop for the others
    credit.close()
    assert await asyncio.gather(*waits) == [0, 0]
    assert await settled is False
    assert await credit.spend(5) is False


@given(st.lists(st.integers(1, 90), min_size=1, max_size=60), st.integers(1, 100))
def test_who_keeps_to_its_credit_is_never_refused(sizes: list[int], window: int) -> None:
    """Sender and receiver agree, however late grants arrive, and nothing is lost on the way."""

    async def run() -> None:
        credit, receipt = Credit(window), Receipt(window)
        under_way: asyncio.Queue[int] = asyncio.Queue()

        async def use() -> None:
            while True:
                credit.grant(receipt.consumed(await under_way.get()))
                await asyncio.sleep(0)  # a turn of the loop for the others

        using = asyncio.create_task(use())
        async with asyncio.timeout(60):
            for wanted in sizes:
                rest = wanted
                while rest:
                    got = await credit.take(rest)
                    rest -= got
                    assert receipt.arrived(got)
                    under_way.put_nowait(got)
            assert await credit.settled()
        using.cancel()

    asyncio.run(run())


def test_a_quarter_of_the_window_is_granted_at_once() -> None:
    receipt = Receipt(100)
    receipt.arrived(60)
    assert receipt.consumed(24) == 0, "less than a quarter, and more is there to be used"
    assert receipt.consumed(1) == 25
    assert receipt.consumed(10) == 0
    assert receipt.consumed(25) == 35, "nothing is left that could bring the rest"


def test_more_than_the_window_is_noticed() -> None:
    receipt = Receipt(100)
    assert receipt.arrived(60) and receipt.arrived(60)
    assert not receipt.arrived(1)
