"""Every row of a table, made to happen (upstream/terminal: Why a session ends)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.clock import Clock, SystemClock
from services.errors import ShellError, UnavailableError
from services.models import Retry, ShellState
from services.sources.pods import sign_in
from services.sources.pods.access import Access, Cluster, Helper, Identity
from services.sources.pods.credential import KubeCredential
from services.sources.pods.errors import argo_refusal, centml_refusal, kube_refusal
from services.terminal.transport import websocket
from services.terminal.transport.base import CloseReason
from services.terminal.transport.close_reasons import HandshakeRefusedError
from services.terminal.transport.framing import Framing
from services.terminal.transport.json_frames import Dialect, JsonFraming
from services.terminal.transport.k8s_channels import ChannelFraming
from services.terminal.transport.keepalive import watch_keepalive
from services.terminal.transport.websocket import WebSocketTransport
from tests.support.clock import FakeClock
from tests.support.http_peer import Exchange, WebSocket, http_peer
from tests.support.kube_api import status
from tests.support.kube_exec import V5, not_run
from tests.support.ports import free_port
from tests.support.tls import Authority

SECRET = "secret-token-that-must-not-show"
HEADERS = {"Authorization": f"Bearer {SECRET}"}


def transport(url: str, framing: Framing | None = None, **options: object) -> WebSocketTransport:
    return WebSocketTransport(
        f"{url}?pod=box&token=query-must-not-show",
        HEADERS,
        framing=framing or JsonFraming(),
        **options,  # type: ignore[arg-type]
    )


async def refusal(one: WebSocketTransport) -> ShellError:
    """Why it could not be opened; the sentence holds no secret."""
    with pytest.raises(ShellError) as caught:
        await one.open(80, 24)
    await one.close()
    said = f"{caught.value.sentence} {caught.value.advice}"
    assert SECRET not in said and "must-not-show" not in said
    return caught.value


async def ending_of(one: WebSocketTransport) -> CloseReason:
    """How it ended after it was open."""
    await one.open(80, 24)
    try:
        async with asyncio.timeout(60):
            while not isinstance(got := await one.read(), CloseReason):
                pass
    finally:
        await one.close()
    assert SECRET not in got.reason
    return got


@asynccontextmanager
async def listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """A bare server; its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


# Before there is a connection


async def test_a_name_that_cannot_be_resolved() -> None:
    error = await refusal(transport("wss://no-such-host.invalid/x"))
    assert error.sentence == "cannot resolve no-such-host.invalid"
    assert error.retry is Retry.AUTO


async def test_a_port_nobody_listens_on() -> None:
    port = free_port()
    error = await refusal(transport(f"ws://127.0.0.1:{port}/x"))
    assert error.sentence == f"127.0.0.1:{port} refused the connection"
    assert error.retry is Retry.AUTO


async def test_a_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "OPEN_TIMEOUT_S", 0.3)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(silent) as port:
        error = await refusal(transport(f"ws://127.0.0.1:{port}/x"))
    assert "no answer" in error.sentence and "proxy" in error.advice
    assert error.retry is Retry.AUTO


async def answer_nothing(exchange: Exchange) -> None:
    await exchange.answer(200)


@pytest.mark.parametrize("days", [2, -1], ids=["unknown authority", "expired"])
async def test_a_certificate_that_is_not_trusted(tmp_path: Path, days: int) -> None:
    authority = Authority(tmp_path)
    async with http_peer(answer_nothing, authority.server("localhost", days=days)) as peer:
        context = ssl.create_default_context()
        if days < 0:
            context.load_verify_locations(authority.certificate)
        error = await refusal(transport(f"wss://localhost:{peer.port}/x", tls=context))
    assert "certificate of localhost was not accepted" in error.sentence
    assert ("expired" in error.sentence) == (days < 0)
    assert error.retry is Retry.NO and "skip" not in error.advice


async def test_a_certificate_of_another_name(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = ssl.create_default_context(cafile=str(authority.certificate))
    async with http_peer(answer_nothing, authority.server("other.example")) as peer:
        error = await refusal(transport(f"wss://localhost:{peer.port}/x", tls=context))
    assert error.sentence == "the name on the certificate is not localhost"
    assert "tls-server-name" in error.advice and error.retry is Retry.NO


@pytest.mark.parametrize("cuts", [True, False])
async def test_tls_spoken_to_a_port_that_does_not(cuts: bool) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        if cuts:
            Exchange.abort(_Cut(writer))  # type: ignore[arg-type]
        else:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await writer.drain()

    async with listening(serve) as port:
        error = await refusal(transport(f"wss://localhost:{port}/x"))
    assert error.sentence == f"localhost:{port} does not speak TLS"
    assert error.retry is Retry.NO


class _Cut:
    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer


async def test_no_tls_spoken_to_a_port_that_wants_it(tmp_path: Path) -> None:
    context = Authority(tmp_path).server("localhost")
    async with http_peer(answer_nothing, context) as peer:
        error = await refusal(transport(f"ws://localhost:{peer.port}/x"))
    assert "WebSocket endpoint" in error.sentence or "closed the connection" in error.sentence


async def test_a_server_that_speaks_something_else() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        await writer.drain()
        await reader.read()

    async with listening(serve) as port:
        error = await refusal(transport(f"ws://localhost:{port}/x"))
    assert "is not a WebSocket endpoint" in error.sentence and error.retry is Retry.NO


async def answered(
    answer: Callable[[Exchange], Awaitable[None]], framing: Framing | None = None
) -> ShellError:
    async with http_peer(answer) as peer:
        return await refusal(transport(f"ws://localhost:{peer.port}/x", framing))


async def test_a_login_page_instead_of_a_terminal() -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer(302, headers={"Location": "https://login.example/?next=secret"})

    error = await answered(answer)
    assert "no terminal" in error.sentence and error.retry is Retry.NO


@pytest.mark.parametrize("code", [407, 403])
async def test_a_proxy_that_says_no(code: int) -> None:
    async def answer(exchange: Exchange) -> None:
        assert exchange.request.method == "CONNECT"
        await exchange.answer(code)

    async with http_peer(answer) as peer:
        proxy = f"http://127.0.0.1:{peer.port}"
        error = await refusal(transport("wss://far.example/x", proxy=proxy))
    assert (
        error.sentence
        == f"the proxy 127.0.0.1:{peer.port} refused to connect to far.example:443 ({code})"
    )
    assert error.retry is Retry.NO


async def test_a_web_server_answers() -> None:
    error = await answered(answer_nothing)
    assert "a web server answered" in error.sentence and error.retry is Retry.NO


@pytest.mark.parametrize(
    ("code", "headers", "retry", "words"),
    [
        (409, {}, Retry.AUTO, "409"),
        (429, {"Retry-After": "17"}, Retry.AUTO, "try again in 17 s"),
        (500, {}, Retry.AUTO, "500"),
        (503, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, Retry.AUTO, "503"),
    ],
)
async def test_a_server_that_is_busy(
    code: int, headers: dict[str, str], retry: Retry, words: str
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer(code, f"upstream said {SECRET}", headers)

    error = await answered(answer)
    assert words in error.sentence and error.retry is retry
    assert isinstance(error, HandshakeRefusedError)
    assert error.failure.retry_after_s == (17 if code == 429 else None)


async def failure_of(code: int, body: str | dict[str, object]) -> HandshakeRefusedError:
    async def answer(exchange: Exchange) -> None:
        if isinstance(body, dict):
            await exchange.json(code, body)
        else:
            await exchange.answer(code, body)

    error = await answered(answer, ChannelFraming())
    assert isinstance(error, HandshakeRefusedError)
    return error


NO_HOST = "pod box does not have a host assigned"
FORBIDDEN = 'pods "box" is forbidden: User "me" cannot create resource "pods/exec"'


@pytest.mark.parametrize(
    ("code", "body", "words", "advice", "retry"),
    [
        (400, status(400, "BadRequest", NO_HOST), NO_HOST, "", Retry.NO),
        (401, status(401, "Unauthorized", "Unauthorized"), "credential", "reconnect", Retry.ASK),
        (403, status(403, "Forbidden", FORBIDDEN), FORBIDDEN, "pods/exec", Retry.NO),
        (403, "", "neither v5 nor v4", "", Retry.NO),
        (404, status(404, "NotFound", 'pods "box" not found'), "is gone", "list", Retry.NO),
    ],
)
async def test_kubernetes_refuses(
    code: int, body: str | dict[str, object], words: str, advice: str, retry: Retry
) -> None:
    error = kube_refusal((await failure_of(code, body)).failure, "box")
    assert words in error.sentence and advice in error.advice and error.retry is retry


@pytest.mark.parametrize(
    ("code", "body", "words", "retry"),
    [
        (401, '{"detail":"expired"}', "token", Retry.ASK),
        (404, '{"detail":"Not Found"}', "deployment 7 or its pod box is not known", Retry.NO),
        (502, "", "busy or failing (502)", Retry.AUTO),
    ],
)
async def test_centml_refuses(code: int, body: str, words: str, retry: Retry) -> None:
    error = centml_refusal((await failure_of(code, body)).failure, "7", "box")
    assert words in error.sentence and error.retry is retry


@pytest.mark.parametrize(
    ("code", "body", "words"),
    [
        (400, "Auth cookie not found", "Auth cookie not found"),
        (401, "invalid session", "the role lacks a right"),
        (403, "", "namespace"),
        (404, "", "switched off"),
        (404, "App not found", "application shop is not known"),
        (500, "tree failed", "tree failed"),
    ],
)
async def test_argo_refuses(code: int, body: str, words: str) -> None:
    error = argo_refusal((await failure_of(code, body)).failure, "shop", "box")
    assert words in error.sentence


async def test_a_server_without_our_subprotocols() -> None:
    async def answer(exchange: Exchange) -> None:
        opened = await exchange.accept("something.else")
        async for _ in opened.frames():
            pass

    error = await answered(answer, ChannelFraming())
    assert "not a server this panel can talk to" in error.sentence and error.retry is Retry.NO


async def test_a_server_that_names_an_empty_subprotocol() -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: \r\n\r\n"
        )
        await exchange.writer.drain()

    error = await answered(answer, ChannelFraming())
    assert error.retry is Retry.NO


# While it is open


Script = Callable[[WebSocket], Awaitable[None]]


async def served(script: Script, framing: Framing | None = None, **options: object) -> CloseReason:
    """How a session ends whose server plays `script`, then reads until we are gone."""

    async def answer(exchange: Exchange) -> None:
        opened = await exchange.accept(V5)
        await script(opened)
        async for _ in opened.frames():
            pass

    async with http_peer(answer) as peer:
        url = f"ws://localhost:{peer.port}/x"
        return await ending_of(transport(url, framing or ChannelFraming(), **options))


async def test_a_container_that_is_not_running() -> None:
    async def script(one: WebSocket) -> None:
        said = 'unable to upgrade connection: container not found ("main")'
        await one.send(not_run(said))
        await one.close()

    ending = await served(script)
    assert "container is not running" in ending.reason
    assert (ending.state, ending.retry, ending.tries) == (ShellState.FAILED, Retry.AUTO, 3)


@pytest.mark.parametrize(
    ("code", "reason", "state", "retry", "words"),
    [
        (1000, "", ShellState.ENDED, Retry.ASK, "exit code unknown"),
        (1001, "", ShellState.ENDED, Retry.AUTO, "going away"),
        (1012, "", ShellState.LOST, Retry.AUTO, "restarting or busy"),
        (1013, "", ShellState.LOST, Retry.AUTO, "restarting or busy"),
        (1002, "bad", ShellState.LOST, Retry.NO, "protocol error (1002): bad"),
        (1003, "", ShellState.LOST, Retry.NO, "unsupported data (1003)"),
        (1007, "", ShellState.LOST, Retry.NO, "invalid text (1007)"),
        (None, "", ShellState.ENDED, Retry.ASK, "ended"),
        (1008, f"bad {SECRET}", ShellState.LOST, Retry.NO, "refused by policy: bad"),
        (1009, "", ShellState.LOST, Retry.ASK, "too much at once"),
        (1011, "boom", ShellState.LOST, Retry.AUTO, "the server failed: boom"),
        (4321, "custom", ShellState.LOST, Retry.ASK, "4321: custom"),
    ],
)
async def test_what_a_close_code_means(
    code: int | None, reason: str, state: ShellState, retry: Retry, words: str
) -> None:
    async def script(one: WebSocket) -> None:
        await one.send(b"\x01output")
        await one.close(code, reason)

    ending = await served(script)
    assert (ending.state, ending.retry, ending.code) == (state, retry, None)
    assert words in ending.reason
    if code == 1011:
        assert ending.tries == 2


async def test_a_connection_that_is_reset() -> None:
    async def script(one: WebSocket) -> None:
        await one.send(b"\x01output")
        one.reset()

    ending = await served(script)
    assert (ending.state, ending.retry) == (ShellState.LOST, Retry.AUTO)
    assert "outcome unknown" in ending.reason


@pytest.mark.parametrize(
    ("framing", "state"),
    [
        (ChannelFraming(), ShellState.LOST),
        (JsonFraming(), ShellState.LOST),
        (JsonFraming(Dialect.ARGO), ShellState.ENDED),
    ],
    ids=["kubernetes", "centml", "argo"],
)
async def test_an_end_without_a_close_frame(framing: Framing, state: ShellState) -> None:
    async def script(one: WebSocket) -> None:
        await one.drop()

    ending = await served(script, framing)
    assert (ending.state, ending.code, ending.retry) == (state, None, Retry.ASK)


async def test_a_middle_box_that_cuts_idle_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "is_loopback", lambda host: False)
    clock = FakeClock()

    async def script(one: WebSocket) -> None:
        await clock.advance(60)
        await one.drop()

    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    ending = await served(script, clock=clock, allow_plain=True)
    assert "60 s of silence" in ending.reason and ending.retry is Retry.AUTO


async def test_a_node_that_is_lost() -> None:
    """Silence: no frame for 60 s, not even a pong."""
    over = asyncio.Event()

    async def script(one: WebSocket) -> None:
        one.deaf = True
        async for _ in one.frames():
            pass

    async def answer(exchange: Exchange) -> None:
        await script(await exchange.accept(V5))

    clock = FakeClock()
    async with http_peer(answer) as peer:
        one = transport(f"ws://localhost:{peer.port}/x", ChannelFraming())
        await one.open(80, 24)
        try:
            watching = asyncio.ensure_future(watch_keepalive(one, clock, lambda: 0.0, over.is_set))
            for _ in range(70):
                await clock.advance(1)
            ending = await asyncio.wait_for(watching, 60)
        finally:
            # Nothing answers the closing handshake either.
            one.abort()
            await one.close()
    assert (ending.state, ending.retry) == (ShellState.LOST, Retry.AUTO)
    assert "connection lost, outcome unknown" in ending.reason


async def test_a_message_that_is_too_large() -> None:
    async def script(one: WebSocket) -> None:
        await one.send(b"\x01" + bytes(2 << 20))

    ending = await served(script)
    assert "above 1 MiB" in ending.reason
    assert (ending.state, ending.retry) == (ShellState.LOST, Retry.ASK)


async def test_frames_that_are_no_terminal() -> None:
    async def script(one: WebSocket) -> None:
        for _ in range(3):
            await one.send("{not json")

    ending = await served(script, JsonFraming())
    assert "protocol" in ending.reason
    assert (ending.state, ending.retry) == (ShellState.FAILED, Retry.NO)


async def test_an_error_of_the_proxy() -> None:
    async def script(one: WebSocket) -> None:
        await one.send('{"error":"the pod said no"}')
        await one.close()

    ending = await served(script, JsonFraming())
    assert ending == CloseReason(ShellState.FAILED, "the pod said no")


async def test_a_renewed_argo_token() -> None:
    async def script(one: WebSocket) -> None:
        await one.send('{"Code":1}')

    ending = await served(script, JsonFraming(Dialect.ARGO))
    assert (ending.state, ending.retry, ending.tries) == (ShellState.LOST, Retry.AUTO, 1)


async def test_a_status_that_cannot_be_read() -> None:
    async def script(one: WebSocket) -> None:
        await one.send(b"\x03{")

    ending = await served(script)
    assert (ending.state, ending.code) == (ShellState.ENDED, None)
    assert ending.reason == "the shell ended; exit code unknown: {"


# The credential


def helper(
    tmp_path: Path, script: str, clock: Clock | None = None, **how: object
) -> KubeCredential:
    program = tmp_path / "get-token"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    one = Helper((str(program),), "client.authentication.k8s.io/v1", **how)  # type: ignore[arg-type]
    access = Access("prod", Cluster("https://localhost:1"), Identity("me", helper=one))
    return KubeCredential(access, clock or SystemClock())


def given(version: str, **status: str) -> str:
    api = f"client.authentication.k8s.io/{version}"
    return json.dumps({"apiVersion": api, "kind": "ExecCredential", "status": status})


def until(instant: str) -> str:
    return given("v1", token="x", expirationTimestamp=instant)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            "echo >&2; echo 'expired, log in' >&2; echo more >&2; exit 3",
            r"\(exit code 3\): expired, log in\.",
        ),
        (f"echo 'token: {SECRET}' >&2; exit 1", r"failed \(exit code 1\): token: "),
        ("exit 4", r"failed \(exit code 4\)\."),
        (
            f"echo '{given('v1', token='x', expirationTimestamp='2026-01-01T00:00:00Z')}'",
            "expired already",
        ),
        (
            f"echo '{given('v1', token='x', expirationTimestamp='0001-01-01T00:00:00')}'",
            "credential",
        ),
        ("echo not json", "printed no credential"),
        ("echo '{}'", "printed no credential"),
        ("echo null", "printed no credential"),
        (f"echo '{given('v1beta1', token='x')}'", "another version"),
        (f"echo '{given('v1')}'", "neither token nor certificate"),
    ],
)
async def test_a_credential_helper_that_fails(tmp_path: Path, script: str, words: str) -> None:
    with pytest.raises(UnavailableError, match=words) as caught:
        await sign_in.sign_in(helper(tmp_path, script))
    assert "get-token" in caught.value.sentence and SECRET not in caught.value.sentence


async def test_a_credential_helper_that_is_not_installed(tmp_path: Path) -> None:
    one = helper(tmp_path, "exit 0", advice="Install get-token from its maker.")
    (tmp_path / "get-token").unlink()
    with pytest.raises(UnavailableError, match="get-token cannot be run") as caught:
        await sign_in.sign_in(one)
    assert caught.value.advice == "Install get-token from its maker."


async def test_a_credential_helper_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in, "HELPER_LIMIT_S", 0.3)
    with pytest.raises(UnavailableError, match=r"did not answer in 0\.3 s"):
        await sign_in.sign_in(helper(tmp_path, "exec sleep 60"))


async def test_a_credential_helper_that_asks_questions(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="asks questions"):
        await sign_in.sign_in(helper(tmp_path, "touch ran", interactive=True))


async def test_a_credential_ends_when_its_helper_says(tmp_path: Path) -> None:
    clock = FakeClock()
    until = datetime.fromtimestamp(clock.now() + 10, UTC).isoformat()
    answer = given("v1", token=SECRET, expirationTimestamp=until)
    one = helper(tmp_path, f"echo '{answer}'", clock)
    await sign_in.sign_in(one)
    assert one.headers()
    clock.jump(clock.now() + 10)
    with pytest.raises(UnavailableError, match="has expired") as caught:
        one.headers()
    assert SECRET not in repr(one.access) and "sign in" in caught.value.advice
