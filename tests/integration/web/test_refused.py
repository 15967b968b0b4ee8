"""Who is not let in gets nothing: by raw sockets, so that no client mends what is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from services.web.gate import Gate
from services.web.server import MOST_STRANGERS
from tests.support.page_server import knock, looking, page_server

SECRETS = ("Set-Cookie", "textual", "script", "websocket-url")
UPGRADE = (
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
TAB = "0" * 32


@asynccontextmanager
async def served() -> AsyncIterator[Gate]:
    """A server whose panels would be seen: nothing of this may start one."""
    async with page_server(("/bin/false",)) as gate:
        yield gate


def host(gate: Gate) -> str:
    return f"Host: 127.0.0.1:{gate.place.port}"


def cookie(gate: Gate) -> str:
    return f"Cookie: {gate.cookie_name}={gate.cookie}"


def origin(gate: Gate) -> str:
    return f"Origin: {gate.place.base}"


async def test_the_token_becomes_a_cookie_and_leaves_the_address() -> None:
    async with served() as gate:
        status, answer = await knock(gate, f"/?token={gate.token}", host(gate))
        assert status == 303 and "Location: /\r\n" in answer
        said = next(one for one in answer.split("\r\n") if one.startswith("Set-Cookie"))
        assert gate.cookie in said and gate.token not in answer
        for word in ("HttpOnly", "SameSite=Strict", "Path=/"):
            assert word in said
        status, answer = await knock(gate, "/", host(gate), cookie(gate))
        assert status == 200 and f"ws://127.0.0.1:{gate.place.port}/ws" in answer
        assert gate.token not in answer and gate.cookie not in answer
        # A page that leads here with the token lets its own reader in, and nobody else.
        leads = (
            "Sec-Fetch-Site: cross-site",
            "Sec-Fetch-Mode: navigate",
            "Sec-Fetch-Dest: document",
        )
        assert (await knock(gate, f"/?token={gate.token}", host(gate), *leads))[0] == 303


async def test_the_page_fetches_from_and_tells_nobody_else() -> None:
    async with served() as gate:
        for target in ("/", "/static/page.js", "/static/none", "/nothing"):
            _, answer = await knock(gate, target, host(gate), cookie(gate))
            head, _, body = answer.partition("\r\n\r\n")
            for said in (
                "default-src 'none'",
                "script-src 'self';",
                "frame-ancestors 'none'",
                "Referrer-Policy: no-referrer",
                "X-Content-Type-Options: nosniff",
                "X-Frame-Options: DENY",
                "Cache-Control: no-store",
            ):
                assert said in head, (target, said)
            assert "aiohttp" not in head and "Python" not in head
            assert "https://" not in body and "http://" not in body


async def raw(gate: Gate, said: bytes, *, leave: bool = False) -> bytes:
    """Everything that is answered to these bytes; with `leave` the rest of them never comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.place.port)
    try:
        writer.write(said)
        if leave:
            writer.write_eof()
        async with asyncio.timeout(30):
            return await reader.read()
    finally:
        writer.close()


def is_ours(answer: bytes) -> None:
    """Each answer has our headers, tells of no program or version, and repeats nothing."""
    head, _, body = answer.partition(b"\r\n\r\n")
    for said in (
        b"Content-Security-Policy: default-src 'none'",
        b"X-Content-Type-Options: nosniff",
        b"X-Frame-Options: DENY",
        b"Cache-Control: no-store",
        b"Server: wakedeck\r\n",
    ):
        assert head.count(said) == 1, (said, answer)
    for told in (b"aiohttp", b"Python", b"textual", b"EVIL", b"<html", b"Traceback"):
        assert told not in answer, answer
    assert len(body) < 200


async def test_what_cannot_be_read_is_answered_by_us(caplog: pytest.LogCaptureFixture) -> None:
    async with served() as gate:
        mine = f"{host(gate)}\r\n{cookie(gate)}\r\n".encode()
        chunked = b"Transfer-Encoding: chunked\r\n"
        unread = {
            "a bad request line": b"EVIL\r\n\r\n",
            "no HTTP at all": b"\x16\x03\x01\x02\x00\x01EVIL\r\n\r\n",
            "another protocol": b"GET /EVIL HTTPS/7\r\n\r\n",
            "a method nobody has": b"<EVIL> / HTTP/1.1\r\n\r\n",
            "a bad header": b"GET / HTTP/1.1\r\n" + mine + b"EV IL\x00: 1\r\n\r\n",
            "a huge header": b"GET / HTTP/1.1\r\nEVIL: " + b"x" * 100_000 + b"\r\n\r\n",
            "a huge target": b"GET /" + b"EVIL" * 10_000 + b" HTTP/1.1\r\n\r\n",
            "two lengths": b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "length and chunks": b"GET / HTTP/1.1\r\nContent-Length: 1\r\n" + chunked + b"\r\n",
        }
        for what, said in unread.items():
            answer = await raw(gate, said)
            assert answer.startswith((b"HTTP/1.0 400 ", b"HTTP/1.1 400 ")), (what, answer)
            assert answer.endswith(b"\r\n\r\nThis is no request that a browser makes.\n")
            is_ours(answer)
        refused = {
            "a bad chunk": b"POST / HTTP/1.1\r\n" + mine + chunked + b"\r\nEVIL\r\n",
            "a body that stays out": b"POST / HTTP/1.1\r\n" + mine + b"Content-Length: 9\r\n\r\nE",
            "an expectation": b"GET / HTTP/1.1\r\n"
            + mine
            + b"Connection: close\r\nExpect: EVIL\r\n\r\n",
            "HTTP/0.9": b"GET /EVIL\r\n\r\n",
            "HTTP/1.0 without a name": b"GET / HTTP/1.0\r\n\r\n",
        }
        for what, said in refused.items():
            answer = await raw(gate, said)
            assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4", b"HTTP/0.9 4")), (what, answer)
            is_ours(answer)
        for part in (
            b"",
            b"GET",
            b"GET / HTTP/1.1\r\nHost",
            b"POST / HTTP/1.1\r\n" + mine,
            *refused.values(),
        ):
            assert await raw(gate, part, leave=True) == b""
        assert (await knock(gate, "/", host(gate), cookie(gate)))[0] == 200
    assert not caplog.records, caplog.text


async def test_an_open_line_says_no_more_than_a_page() -> None:
    async with served() as gate:
        lines = (host(gate), cookie(gate), origin(gate), *UPGRADE, "Connection: Upgrade")
        asked = "\r\n".join((f"GET /ws/{TAB} HTTP/1.1", *lines, "", "")).encode()
        answer = await raw(gate, asked)
        assert answer.startswith(b"HTTP/1.1 101")
        head = answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        is_ours(head)


async def test_what_is_asked_for_wrongly_gets_nothing() -> None:
    async with served() as gate:
        mine, known, home = host(gate), cookie(gate), origin(gate)
        port = gate.place.port
        frame = ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe")
        fetch = ("Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: no-cors")
        token, socket = f"/?token={gate.token}", f"/ws/{TAB}"
        cases: list[tuple[str, tuple[str, ...], int]] = [
            ("/", (mine,), 403),
            ("/static/textual.js", (mine,), 403),
            ("/?token=", (mine,), 403),
            ("/?token=wrong", (mine, known), 403),
            (f"/?token=wrong&token={gate.token}", (mine,), 403),
            (f"/nothing?token={gate.token}", (mine,), 403),
            ("/", (mine, f"Cookie: {gate.cookie_name}={gate.token}"), 403),
            ("/", (mine, f"Cookie: {gate.cookie_name}=wrong"), 403),
            ("/", (f"Host: evil.example:{port}", known), 421),
            (token, (f"Host: evil.example:{port}",), 421),
            (token, ("Host: 127.0.0.1",), 421),
            ("/", (mine, known, "Origin: https://evil.example"), 403),
            ("/", (mine, known, *frame), 403),
            (token, (mine, *frame), 403),
            ("/static/page.js", (mine, known, *fetch), 403),
            (socket, (mine, home, *UPGRADE, "Connection: Upgrade"), 403),
            (socket, (mine, known, *UPGRADE, "Connection: Upgrade"), 403),
            (socket, (mine, known, "Origin: null", *UPGRADE, "Connection: Upgrade"), 403),
            (
                socket,
                (mine, known, "Origin: http://evil.example", *UPGRADE, "Connection: Upgrade"),
                403,
            ),
            (
                socket,
                (f"Host: evil.example:{port}", known, home, *UPGRADE, "Connection: Upgrade"),
                421,
            ),
            ("/ws/../../etc/passwd", (mine, known, home), 404),
            ("/static/..%2f..%2fgate.py", (mine, known), 404),
        ]
        for target, lines, wanted in cases:
            status, answer = await knock(gate, target, *lines)
            assert status == wanted, (target, lines, answer)
            assert not any(one in answer.partition("\r\n\r\n")[2] for one in SECRETS)
            assert "Set-Cookie" not in answer
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT"):
            status, answer = await knock(gate, "/", mine, known, method=method)
            assert status in (400, 405) and "Set-Cookie" not in answer


async def test_a_line_that_says_nonsense_is_cut() -> None:
    """The panel ends at once here: what matters is that nothing of it is an error of the server."""
    async with served() as gate:
        reader, writer = await asyncio.open_connection("127.0.0.1", gate.place.port)
        lines = (host(gate), cookie(gate), origin(gate), *UPGRADE, "Connection: Upgrade")
        asked = [f"GET /ws/{TAB}?width=99999999&height=-1 HTTP/1.1", *lines, "", ""]
        writer.write("\r\n".join(asked).encode())
        async with asyncio.timeout(60):
            answer = await reader.readuntil(b"ended unexpectedly")
        writer.close()
        assert answer.startswith(b"HTTP/1.1 101")


async def test_words_nobody_knows_end_the_line() -> None:
    async with page_server(("/bin/cat",)) as gate:
        for said in ("{}", "[]", "nonsense", json.dumps(["stdin", 7]), "[[[[1]]]]"):
            async with looking(gate) as page:
                await page.line.send(said)
                async with asyncio.timeout(60):
                    await page.line.wait_closed()


async def test_connections_that_say_nothing_keep_nobody_out() -> None:
    async with page_server(("/bin/cat",)) as gate:
        at = ("127.0.0.1", gate.place.port)
        async with AsyncExitStack() as stack:
            kept, known = await asyncio.open_connection(*at)
            stack.callback(known.close)
            asked = ("GET / HTTP/1.1", host(gate), cookie(gate), "", "")
            for number in range(MOST_STRANGERS + 20):
                reader, writer = await asyncio.open_connection(*at)
                stack.callback(writer.close)
                writer.write(b"GET / HTTP/1.1\r\nHost: ")
                if number == 0:
                    oldest = reader
                    known.write("\r\n".join(asked).encode())
                    assert b"200 OK" in await kept.readline()
            async with asyncio.timeout(60):
                assert await oldest.read() == b"", "the oldest is not ended"
            assert (await knock(gate, "/", host(gate), cookie(gate)))[0] == 200
            # Who showed the cookie is kept, however many come after.
            known.write("\r\n".join(asked).encode())
            async with asyncio.timeout(60):
                while b"200 OK" not in (line := await kept.readline()):
                    assert line, "it was ended"
