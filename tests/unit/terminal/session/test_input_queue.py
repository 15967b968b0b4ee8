"""Two lanes: keys overtake pastes, pastes wait to be read, Ctrl-C drops them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.clock import SystemClock
from services.terminal.session import input_queue
from services.terminal.session.input_queue import PIECE_BYTES, InputQueue
from services.terminal.transport.base import CloseReason
from tests.support.clock import settle
from tests.support.waiting import eventually


class Slow:
    """Takes what it is given when it is told to."""

    notice = ""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.taken = asyncio.Event()
        self.writable = asyncio.Event()
        self.writable.set()
        self.knows = True

    async def open(self, columns: int, lines: int) -> None:
        raise AssertionError

    async def read(self) -> bytes | CloseReason:
        raise AssertionError

    async def write(self, data: bytes) -> None:
        await self.writable.wait()
        self.written.append(data)

    async def acknowledge(self) -> bool:
        if self.knows:
            await self.taken.wait()
            self.taken.clear()
        return self.knows

    async def ping(self) -> bool:
        return True

    async def resize(self, columns: int, lines: int) -> None:
        raise AssertionError

    async def close(self) -> None:
        raise AssertionError


@asynccontextmanager
async def outbox(transport: Slow, blocked: list[bool] | None = None) -> AsyncIterator[InputQueue]:
    seen = blocked if blocked is not None else []
    box = InputQueue(transport, SystemClock(), seen.append)
    tasks = [asyncio.create_task(part()) for part in (box.send_keys, box.send_pastes)]
    try:
        yield box
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_paste_is_at_most_one_piece_ahead_of_its_reader() -> None:
    transport = Slow()
    async with outbox(transport) as box:
        box.paste(b"a" * (3 * PIECE_BYTES))
        await settle()
        assert [len(data) for data in transport.written] == [PIECE_BYTES]
        assert box.unsent_paste_bytes == 2 * PIECE_BYTES and box.outstanding
        for pieces in (2, 3):
            transport.taken.set()
            await settle()
            assert len(transport.written) == pieces
        transport.taken.set()
        await settle()
        assert (box.outstanding, box.unsent_paste_bytes) == (False, 0)


async def test_pieces_are_cut_between_characters() -> None:
    transport = Slow()
    transport.knows = False
    text = "a" + "漢🚀é" * 4000
    async with outbox(transport) as box:
        box.paste(text.encode())
        await eventually(lambda: not box.unsent_paste_bytes and not box.outstanding)
    assert "".join(data.decode() for data in transport.written) == text
    assert all(len(data) <= PIECE_BYTES for data in transport.written)


async def test_bytes_that_are_no_text_do_not_stop_a_paste() -> None:
    transport = Slow()
    transport.knows = False
    async with outbox(transport) as box:
        box.paste(b"\xf0" * (2 * PIECE_BYTES))
        await eventually(lambda: not box.unsent_paste_bytes and not box.outstanding)
    assert b"".join(transport.written) == b"\xf0" * (2 * PIECE_BYTES)


async def test_keys_overtake_and_ctrl_c_drops_the_rest() -> None:
    transport = Slow()
    async with outbox(transport) as box:
        box.paste(b"p" * (5 * PIECE_BYTES))
        await settle()
        box.type(b"k")
        await settle()
        assert transport.written[1:] == [b"k"]
        assert box.unsent_paste_bytes == 4 * PIECE_BYTES
        box.type(b"\x03")
        assert box.unsent_paste_bytes == 0
        transport.taken.set()
        await settle()
        assert transport.written[1:] == [b"k", b"\x03"]
        assert not box.outstanding


async def test_a_new_paste_after_a_dropped_one_is_sent() -> None:
    transport = Slow()
    async with outbox(transport) as box:
        box.paste(b"old" * PIECE_BYTES)
        await settle()
        box.drop_paste()
        box.paste(b"new")
        await settle()
        assert transport.written[-1] != b"new"
        transport.taken.set()
        await settle()
        assert transport.written[-1] == b"new"


async def test_keys_typed_while_a_write_blocks_go_together_in_order() -> None:
    transport = Slow()
    transport.writable.clear()
    async with outbox(transport) as box:
        for key in (b"a", b"b", b"c"):
            box.type(key)
            await settle()
        transport.writable.set()
        await settle()
        assert b"".join(transport.written) == b"abc"


async def test_no_sign_of_reading_is_told_and_taken_back() -> None:
    transport, blocked = Slow(), list[bool]()
    before = input_queue.BLOCKED_S
    input_queue.BLOCKED_S = 0.02
    try:
        async with outbox(transport, blocked) as box:
            box.paste(b"x")
            await eventually(lambda: True in blocked)
            assert box.outstanding
            transport.taken.set()
            await eventually(lambda: not blocked[-1])
    finally:
        input_queue.BLOCKED_S = before


async def test_answers_of_the_emulator_are_bounded() -> None:
    transport = Slow()
    transport.writable.clear()
    async with outbox(transport) as box:
        box.type(b"k")
        await settle()
        for _ in range(100_000):
            box.reply(b"\x1b[0n")
        transport.writable.set()
        await settle()
        assert 60_000 < len(b"".join(transport.written)) <= 64 * 1024 + 1
