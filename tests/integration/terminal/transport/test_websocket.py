"""The WebSocket transport against real servers that behave well, badly and not at all."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from services.errors import ShellError
from services.models import Retry, ShellState
from services.net.failures import is_loopback
from services.terminal.transport import websocket
from services.terminal.transport.base import CloseReason
from services.terminal.transport.json_frames import Dialect, JsonFraming
from services.terminal.transport.websocket import WebSocketTransport
from tests.support.ports import free_port
from tests.support.shells import TOKEN, opened, read_to_end, read_until
from tests.support.waiting import LIMIT_S, eventually

Handler = Callable[[ServerConnection], Awaitable[None]]


def out(text: str) -> str:
    return json.dumps({"data": text})


@asynccontextmanager
async def server(
    handler: Handler, refuse: Callable[[ServerConnection, Request], Response | None] | None = None
) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0, process_request=refuse) as running:
        port = running.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/terminal?pod=a&secret={TOKEN}"


@asynccontextmanager
async def raw_server(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    running = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    async with running:
        yield f"ws://127.0.0.1:{running.sockets[0].getsockname()[1]}/terminal?secret={TOKEN}"


def transport(url: str, dialect: Dialect = Dialect.CENTML) -> WebSocketTransport:
    return WebSocketTransport(
        url, {"Authorization": f"Bearer {TOKEN}"}, framing=JsonFraming(dialect), notice="hello"
    )


async def ending_of(
    handler: Handler, dialect: Dialect = Dialect.CENTML
) -> tuple[bytes, CloseReason]:
    async with server(handler) as url:
        shell = transport(url, dialect)
        async with opened(shell):
            return await read_to_end(shell)


async def failure_of(url: str) -> ShellError:
    with pytest.raises(ShellError) as raised:
        await transport(url).open(80, 24)
    said = repr(raised.value) + raised.value.advice + str(raised.value.__cause__)
    assert TOKEN not in said
    return raised.value


async def test_the_size_is_the_first_frame_and_comes_again_after_the_first_output() -> None:
    frames: list[object] = []
    auth: list[str] = []

    async def handler(connection: ServerConnection) -> None:
        assert connection.request is not None
        auth.extend(connection.request.headers.get_all("Authorization"))
        assert connection.protocol.extensions == []
        frames.append(json.loads(await connection.recv()))
        await connection.send(out("one"))
        frames.append(json.loads(await connection.recv()))
        await connection.send(out("two"))
        frames.append(json.loads(await connection.recv()))
        frames.append(json.loads(await connection.recv()))

    async with server(handler) as url:
        shell = transport(url)
        async with opened(shell, 100, 30):
            await read_until(shell, b"two")
            await shell.write(b"ls\r")
            await shell.resize(70_000, 0)
            _, ending = await read_to_end(shell)
    size = {"operation": "resize", "rows": 30, "cols": 100}
    assert frames == [
        size,
        size,
        {"operation": "stdin", "data": "ls\r", "rows": 30, "cols": 100},
        {"operation": "resize", "rows": 1, "cols": 65_535},
    ]
    assert auth == [f"Bearer {TOKEN}"]
    assert ending.state is ShellState.ENDED
    assert shell.notice == "hello"


async def test_output_in_any_dress_is_read() -> None:
    async def handler(connection: ServerConnection) -> None:
        for frame in (out("text "), out("binary ").encode(), '{"data":"\\ud83d "}', "{}", "null"):
            await connection.send(frame)
        await connection.send('{"error":"went\\u001b[2J wrong","data":"both "}')

    output, ending = await ending_of(handler)
    assert output == b"text binary ? both \r\nwent wrong\r\n"
    assert ending.state is ShellState.ENDED


async def test_an_error_and_nothing_else_is_a_failure_in_the_servers_words() -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send('{"error":"pod is not running"}')

    output, ending = await ending_of(handler)
    assert ending == CloseReason(ShellState.FAILED, "pod is not running")
    assert output == b"\r\npod is not running\r\n"


async def test_three_frames_of_nonsense_are_a_protocol_failure() -> None:
    async def handler(connection: ServerConnection) -> None:
        for frame in ("[]", out("fine"), "{", "7", '{"data":1}'):
            await connection.send(frame)
        await connection.wait_closed()

    output, ending = await ending_of(handler)
    assert output == b"fine"
    assert (ending.state, ending.retry) == (ShellState.FAILED, Retry.NO)


async def test_a_renewed_argo_token_asks_for_a_new_shell() -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send(out("notice"))
        while True:
            await connection.send('{"Code":1}')
            await asyncio.sleep(0)  # a turn of the loop for the side that reads

    _, ending = await ending_of(handler, Dialect.ARGO)
    assert (ending.state, ending.retry) == (ShellState.LOST, Retry.AUTO)


async def test_a_dropped_connection_is_argos_normal_end_and_centmls_loss() -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send(out("last"))
        connection.transport.close()

    for dialect, state in ((Dialect.ARGO, ShellState.ENDED), (Dialect.CENTML, ShellState.LOST)):
        output, ending = await ending_of(handler, dialect)
        assert output == b"last"
        assert ending.state is state


@pytest.mark.parametrize(
    ("code", "state", "retry"),
    [
        (1000, ShellState.ENDED, Retry.ASK),
        (1001, ShellState.ENDED, Retry.AUTO),
        (1008, ShellState.LOST, Retry.NO),
        (1011, ShellState.LOST, Retry.AUTO),
        (1012, ShellState.LOST, Retry.AUTO),
        (4321, ShellState.LOST, Retry.ASK),
    ],
)
async def test_a_close_code_tells_the_ending(code: int, state: ShellState, retry: Retry) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.close(code, f"since {TOKEN} and \x1b[2J")

    _, ending = await ending_of(handler)
    assert (ending.state, ending.retry, ending.code) == (state, retry, None)
    assert TOKEN not in ending.reason and "\x1b" not in ending.reason


async def test_a_reset_is_a_loss() -> None:
    async def handler(connection: ServerConnection) -> None:
        raw = connection.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.transport.abort()

    _, ending = await ending_of(handler)
    assert ending.state is ShellState.LOST
    assert "unknown" in ending.reason


async def test_a_message_too_big_is_named() -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send(out("x" * (1 << 20)))
        await connection.wait_closed()

    _, ending = await ending_of(handler)
    assert ending.reason == "the server sent a message above 1 MiB"


async def test_text_that_is_no_utf8_is_named() -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send(b'{"data":"\xff"}', text=True)
        await connection.wait_closed()

    _, ending = await ending_of(handler)
    assert ending.reason == "the server sent invalid text (1007)"
    assert ending.retry is Retry.NO


async def test_a_refusal_is_told_in_the_servers_words_without_the_token() -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response:
        said = f"no exec for {request.headers['Authorization']} at {request.path}"
        return connection.respond(HTTPStatus.FORBIDDEN, json.dumps({"message": said}))

    async def handler(_: ServerConnection) -> None:
        raise AssertionError

    async with server(handler, refuse) as url:
        error = await failure_of(url)
    assert "refused access (403): no exec for •••" in error.sentence
    assert "secret=" not in error.sentence
    assert error.retry is Retry.NO


async def test_a_redirect_to_a_login_page_is_named_without_its_address() -> None:
    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 302 Found\r\nLocation: https://login.example/?next=" + TOKEN.encode()
        )
        writer.write(b"\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with raw_server(redirect) as url:
        error = await failure_of(url)
    assert "a page that is no terminal" in error.sentence
    assert error.__suppress_context__ and error.__cause__ is None


async def test_a_stalled_handshake_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "OPEN_TIMEOUT_S", 0.2)

    async def stall(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw_server(stall) as url:
        error = await failure_of(url)
    assert "no answer from 127.0.0.1" in error.sentence
    assert error.retry is Retry.AUTO


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "is not a WebSocket endpoint"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "closed the connection before it answered"),
        (b"", "closed the connection before it answered"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "a web server answered"),
    ],
)
async def test_what_is_no_websocket_is_said(said: bytes, words: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()

    async with raw_server(answer) as url:
        assert words in (await failure_of(url)).sentence


async def test_tls_to_a_port_without_it_is_said() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with raw_server(answer) as url:
        error = await failure_of(url.replace("ws://", "wss://"))
    assert "does not speak TLS" in error.sentence


async def test_nobody_there_is_said() -> None:
    port = free_port()
    error = await failure_of(f"ws://127.0.0.1:{port}/x")
    assert error.sentence == f"127.0.0.1:{port} refused the connection"


@pytest.mark.parametrize("url", ["", "http://h/", "ws://", "ws://h:99999/", "ws://[::1/"])
async def test_what_is_no_address_is_said(url: str) -> None:
    assert "is not a ws or wss URL" in (await failure_of(url)).sentence


async def test_a_credential_does_not_travel_in_the_clear() -> None:
    error = await failure_of("ws://pods.example/terminal")
    assert error.sentence == "a credential would travel to pods.example:80 without TLS"
    assert error.retry is Retry.NO


@pytest.mark.parametrize(
    ("host", "here"),
    [("localhost", True), ("127.0.0.9", True), ("::1", True), ("10.0.0.1", False), ("h", False)],
)
def test_what_is_this_machine(host: str, here: bool) -> None:
    assert is_loopback(host) is here


async def test_nothing_of_it_reaches_a_log_however_loud(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(out("pod-output"))

    logging.getLogger("websockets.server").setLevel(logging.CRITICAL)
    caplog.set_level(logging.DEBUG)
    async with server(handler) as url:
        shell = transport(url)
        async with opened(shell):
            await shell.write(b"typed-text")
            await read_to_end(shell)
    assert TOKEN not in caplog.text
    assert "pod-output" not in caplog.text and "typed-text" not in caplog.text


async def test_a_server_that_does_not_close_is_dropped() -> None:
    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from base64 import b64encode
        from hashlib import sha1

        request = await reader.readuntil(b"\r\n\r\n")
        key = request.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
        accept = b64encode(sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        await writer.drain()
        if await reader.read(1):
            asked.set()
        await reader.read()

    asked = asyncio.Event()
    before = asyncio.all_tasks()
    async with raw_server(stall) as url:
        shell = transport(url)
        await shell.open(80, 24)
        reading = asyncio.create_task(shell.read())
        closing = asyncio.create_task(shell.close())
        await asyncio.wait_for(asked.wait(), LIMIT_S)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        assert (await asyncio.wait_for(reading, 60)).state is ShellState.LOST  # type: ignore[union-attr]
        await shell.close()
        await shell.write(b"nothing happens")
    await eventually(lambda: asyncio.all_tasks() <= before)


async def test_using_it_before_it_is_open_is_said() -> None:
    with pytest.raises(ShellError, match="not open"):
        await transport("ws://127.0.0.1:1/").read()


async def test_a_ping_is_answered_until_the_connection_is_gone() -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with server(handler) as url:
        shell = transport(url)
        await shell.open(80, 24)
        assert await shell.ping() and await shell.acknowledge()
        await shell.close()
        assert not await shell.ping()
        await shell.close()


async def test_frames_that_say_nothing_do_not_hold_up_the_loop() -> None:
    async def handler(connection: ServerConnection) -> None:
        while True:
            for _ in range(200):
                await connection.send("{}")
            await asyncio.sleep(0)  # a turn of the loop for the side that reads

    async with server(handler) as url:
        shell = transport(url)
        async with opened(shell):
            reading = asyncio.create_task(shell.read())
            for _ in range(200):
                await asyncio.sleep(0)  # turns of the loop it leaves to others
            assert not reading.done()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
