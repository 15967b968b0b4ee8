"""Answers of a server: which are one, how long they may be, and whose fault a failure is."""

from __future__ import annotations

import ssl

import httpx
import pytest

from services.errors import UnavailableError
from services.net import http as module
from services.net.http import ApiError, Http
from services.net.proxies import Proxy
from tests.support.http_peer import Exchange, http_peer


def client(port: int) -> Http:
    return Http(f"http://127.0.0.1:{port}", "box", dict)


@pytest.mark.parametrize(
    ("status", "answers"), [(200, True), (204, True), (206, False), (302, False), (404, False)]
)
async def test_only_a_whole_success_is_an_answer(status: int, answers: bool) -> None:
    async def handle(exchange: Exchange) -> None:
        await exchange.answer(status, b"" if status == 204 else b"said")

    async with http_peer(handle) as peer:
        asked = client(peer.port)
        try:
            if answers:
                assert await asked.get("/x") == (b"" if status == 204 else b"said")
            else:
                with pytest.raises(ApiError) as refused:
                    await asked.get("/x")
                assert refused.value.status == status
        finally:
            await asked.close()


async def test_an_answer_may_be_as_long_as_the_limit_and_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def handle(exchange: Exchange) -> None:
        await exchange.answer(200, b"x" * int(exchange.request.one("n")))

    monkeypatch.setattr(module, "LARGEST", 1000)
    async with http_peer(handle) as peer:
        asked = client(peer.port)
        try:
            assert len(await asked.get("/x", (("n", "1000"),))) == 1000
            with pytest.raises(UnavailableError, match="more than"):
                await asked.get("/x", (("n", "1001"),))
        finally:
            await asked.close()


def failed(proxy: Proxy | None, cause: OSError) -> UnavailableError:
    asked = Http("https://far.example", "far.example", dict)
    asked._proxy = proxy
    error = httpx.ConnectError("no")
    error.__cause__ = cause
    return asked._failed(error)


def test_a_connection_that_fails_is_the_proxys_fault_only_where_there_is_one() -> None:
    proxy = Proxy("http://proxy.example:3128", "proxy.example:3128")
    refused = ConnectionRefusedError(111, "refused")
    assert "The proxy on the way to far.example" in failed(proxy, refused).sentence
    assert "proxy" not in failed(None, refused).sentence
    speaks_no_tls = ssl.SSLError(1, "wrong version number")
    assert "The proxy on the way" not in failed(proxy, speaks_no_tls).sentence, "the server's own"
