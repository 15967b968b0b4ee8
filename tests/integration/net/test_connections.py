"""Requests that are called off while their connection opens leave no socket behind."""

from __future__ import annotations

import asyncio
import gc
import ssl
import warnings
from pathlib import Path

import pytest

from services.errors import UnavailableError
from services.net.http import Http, KeptHttp
from tests.support.http_peer import Exchange, http_peer
from tests.support.tls import Authority
from tests.support.waiting import eventually

TURNS = 35
"""Of the loop, more than an opening takes."""


async def _answer(exchange: Exchange) -> None:
    await exchange.answer(200, "fine")


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("first", ["called off", "closed"])
async def test_ended_at_every_turn(tmp_path: Path, secure: bool, first: str) -> None:
    authority = Authority(tmp_path) if secure else None
    client = None if authority is None else ssl.create_default_context(cafile=authority.certificate)
    server = None if authority is None else authority.server("127.0.0.1")
    lost: dict[int, list[str]] = {}
    gc.freeze()
    async with http_peer(_answer, server) as peer:
        base = f"{'https' if secure else 'http'}://127.0.0.1:{peer.port}"
        for turns in range(TURNS):
            http = Http(base, "peer", dict, context=lambda: client)
            asking = asyncio.create_task(http.get("/"))
            for _ in range(turns):
                await asyncio.sleep(0)  # one turn of the loop
            if first == "called off":
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
            await http.close()
            await asyncio.gather(asking, return_exceptions=True)
            del asking
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always", ResourceWarning)
                gc.collect()
            lost |= {turns: [str(one.message) for one in told]} if told else {}
    gc.unfreeze()
    assert not lost


async def test_what_is_closed_is_not_opened_again() -> None:
    async with http_peer(_answer) as peer:
        http = Http(f"http://127.0.0.1:{peer.port}", "peer", dict)
        assert await http.get("/") == b"fine"
        await http.close()
        with pytest.raises(UnavailableError, match="The connection to peer was closed"):
            await http.get("/")
        unused = KeptHttp(lambda: http)
        await unused.close()
        with pytest.raises(UnavailableError, match="The source was closed"):
            unused.opened()


async def test_an_opening_that_nobody_waits_for_does_not_hold_up_the_end() -> None:
    """A server that never finishes the handshake: half a second, then it is cut."""
    writers: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    context = ssl.create_default_context()
    http = Http(f"https://127.0.0.1:{port}", "peer", dict, context=lambda: context)
    asking = asyncio.create_task(http.get("/"))
    await eventually(lambda: bool(writers))
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    began = asyncio.get_running_loop().time()
    await http.close()
    assert asyncio.get_running_loop().time() - began < 2
    for writer in writers:
        writer.close()
    silent.close()
