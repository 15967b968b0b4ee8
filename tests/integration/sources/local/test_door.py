"""Who gets to the embedded gateway and whom its token reaches: real sockets, another real user."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from services.errors import ShellError
from services.models import GatewayState, Verb
from services.net import unix_sockets
from services.process.identity import Liveness
from services.sources.local import door, process_records, world
from services.sources.local.faults import InjectedFault, inject
from services.sources.local.layout import World
from services.sources.protocol.verdict import VerdictKind
from services.terminal.exec.requests import ShellChoice
from tests.support import stranger
from tests.support.local_world import LiveWorld, gateway, live_world
from tests.support.nanoclaw import short_folder
from tests.support.shells import ROOT, RunningGateway, opened, read_until, running_gateway
from tests.support.waiting import eventually, eventually_sync
from tests.support.world_processes import over

NAME = "data-pull"
FILES, CONNECTIONS = 160, 400


@pytest.fixture
def own() -> Iterator[RunningGateway]:
    with short_folder() as folder, running_gateway(folder / "world") as running:
        yield running


@asynccontextmanager
async def ready_world() -> AsyncIterator[LiveWorld]:
    with short_folder() as folder:
        async with live_world(folder) as live:
            await live.ready()
            yield live


def socket_of(place: World) -> str:
    record = place.read_record("gateway")
    assert record is not None and record.socket
    return record.socket


def asking(path: str, token: str = "", host: str = door.HOST_HEADER) -> bytes:
    credential = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{credential}\r\n".encode()


def let_in(place: World, *, everybody: bool = True) -> None:
    """Undo what keeps other users out of the folders, so that the sockets stand alone."""
    for folder in (place.root.parent, place.root, place.root / "run"):
        folder.chmod(0o777 if everybody else 0o700)


async def test_by_default_there_is_no_port() -> None:
    async with ready_world() as live:
        record = live.world.read_record("gateway")
        assert record is not None and record.port is None
        assert gateway(await live.source.observer.observe()).address == record.socket
        assert Path(record.socket).stat().st_mode & 0o077 == 0
        transport = live.source.actor.shell(live.id(NAME), ShellChoice())
        async with opened(transport):
            await read_until(transport, b"$ ")


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (asking("/healthz"), "200"),
        (asking("/healthz", host="evil.example"), "403"),
        (asking("/healthz", host="127.0.0.1:80"), "403"),
        (b"GET /healthz HTTP/1.1\r\n\r\n", "403"),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", "403"),
        (asking("//[::1/healthz"), "400"),
        (asking("/sandboxes/box/terminal?" + "a=1&" * 40), "400"),
        (asking("/sandboxes"), "401"),
        (asking("/" + "%00" * 20), "404"),
        (b"nonsense\r\n\r\n", ""),
    ],
)
def test_requests_over_the_socket(own: RunningGateway, request_line: bytes, status: str) -> None:
    answer = stranger.knock(socket_of(own.world), request_line)
    assert answer.startswith(f"HTTP/1.1 {status}") if status else "200" not in answer
    assert "Traceback" not in own.log.read_text()


def test_what_a_refused_peer_sent_is_in_no_log(own: RunningGateway) -> None:
    """Credentials, ours and foreign ones, wherever a request can hold them."""
    canary = "c4n4ry-of-a-secret"
    for secret in (own.token, canary):
        head = f"HTTP/1.1\r\nHost: {door.HOST_HEADER}\r\n"
        for request in (
            asking("/sandboxes", secret, host="evil.example"),
            f"GET /sandboxes?token={secret} {head}\r\n".encode(),
            f"GET /{secret} {head}\r\n".encode(),
            f"GET //[{secret}/healthz {head}\r\n".encode(),
            f"{secret} / {head}\r\n".encode(),
            f"GET / {head}Cookie: {secret}\r\nAuthorization: Basic {secret}\r\n\r\n".encode(),
            f"GET / {head}{secret}: {secret}\r\n\r\n".encode(),
            f"GET / {head}Sec-WebSocket-Protocol: {secret}\r\nUpgrade: websocket\r\n\r\n".encode(),
            f"{secret}\r\n\r\n".encode(),
        ):
            stranger.knock(socket_of(own.world), request)
    stranger.knock(socket_of(own.world), asking("/sandboxes", canary))
    for path in (own.log, *own.world.root.rglob("*.log")):
        said = path.read_text(errors="replace")
        assert canary not in said and own.token not in said, path


@stranger.needs_root
def test_another_user_gets_nothing_whatever_the_folders_let_through(own: RunningGateway) -> None:
    let_in(own.world)
    Path(socket_of(own.world)).chmod(0o777)
    path, port, token = socket_of(own.world), own.port, own.token

    def tries() -> object:
        host = f"127.0.0.1:{port}"
        answers = [stranger.knock(path, asking(page, token)) for page in ("/healthz", "/sandboxes")]
        answers += [
            stranger.knock(("127.0.0.1", port), asking(page, token, host))
            for page in ("/healthz", "/readyz", "/sandboxes", "/sandboxes/box/terminal")
        ]
        with suppress(OSError):
            answers.append(own.world.token.read_text())
        return answers

    answers = stranger.as_stranger(tries)
    assert isinstance(answers, list)
    # Refused before it is read: the answer may be cut off by what was still to be read.
    assert len(answers) == 6
    assert {*answers} <= {"HTTP/1.1 403 Forbidden", "ConnectionResetError", "BrokenPipeError"}
    for _ in range(30):
        stranger.as_stranger(lambda: stranger.knock(path, asking("/")))
    assert own.log.read_text().count("another user") == 1
    assert stranger.knock(path, asking("/sandboxes", token)).startswith("HTTP/1.1 200")


@stranger.needs_root
async def test_another_user_hears_nothing_over_kills_and_restarts() -> None:
    async with ready_world() as live:
        await asyncio.to_thread(lambda: asyncio.run(world.keep_up(live.world, tcp=True)))
        tokens = set()
        for _ in range(4):
            await live.ready()
            port, token, path = (
                world.tcp_port(live.world),
                door.token(live.world),
                socket_of(live.world),
            )
            assert port is not None and token not in tokens
            tokens.add(token)
            let_in(live.world)
            inject(live.world, NAME, InjectedFault.GATEWAY_KILL)
            record = live.world.read_record("gateway")
            assert record is not None
            await asyncio.to_thread(eventually_sync, over(record))
            Path(path).unlink()
            with ExitStack() as stack:
                heard = [
                    stack.enter_context(stranger.listening(address))
                    for address in (path, ("127.0.0.1", port))
                ]
                let_in(live.world, everybody=False)
                seen = await live.source.observer.observe()
                assert gateway(seen).state is GatewayState.DOWN
                with pytest.raises(ShellError, match="not running"):
                    await live.source.actor.shell(live.id(NAME), ShellChoice()).open(80, 24)
                assert world.tcp_port(live.world) is None
                assert (await live.repair(Verb.WAKE, NAME)).state.value == "done"
                assert [one() for one in heard] == [b"", b""]


async def test_a_socket_that_was_replaced_is_told_from_the_gateway() -> None:
    async with ready_world() as live:
        shell = live.source.actor.shell(live.id(NAME), ShellChoice())
        path = Path(socket_of(live.world))
        aside = path.with_suffix(".aside")
        path.rename(aside)
        with stranger.listening(str(path), os.geteuid()) as heard:
            seen = await live.source.observer.observe()
            assert gateway(seen).state is GatewayState.WRONG
            verdict = await live.source.observer.probe(live.id(NAME))
            assert verdict.kind is VerdictKind.TERMINAL and "another program" in verdict.reason
            with pytest.raises(ShellError, match="nothing was sent"):
                await shell.open(80, 24)
            assert heard() == b""
        aside.replace(path)
        # The same offer again proves the peer again.
        async with opened(shell):
            await read_until(shell, b"$ ")


async def test_a_stopped_gateway_with_a_full_backlog_is_silent_not_foreign() -> None:
    async with ready_world() as live:
        record = live.world.read_record("gateway")
        assert record is not None
        os.kill(record.pid, signal.SIGSTOP)
        await eventually(lambda: process_records.alive(record) is Liveness.STOPPED)
        with ExitStack() as stack:
            for _ in range(300):
                one = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                one.setblocking(False)
                if one.connect_ex(record.socket):
                    break
            else:
                pytest.fail("its backlog is never full")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await unix_sockets.connect(record.socket, record.pid)
        os.kill(record.pid, signal.SIGCONT)
        await live.ready()


async def test_a_folder_too_long_for_a_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with short_folder() as runtime:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
        await _in_a_long_folder(tmp_path, runtime)


async def _in_a_long_folder(tmp_path: Path, runtime: Path) -> None:
    folder = tmp_path / ("long-" * 30)
    folder.mkdir()
    async with live_world(folder) as live:
        await live.ready()
        path = Path(socket_of(live.world))
        assert path.parent == runtime / "wakedeck"
        assert path.parent.stat().st_mode & 0o777 == 0o700
    assert not path.exists()


def test_where_no_folder_is_short_enough_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unix_sockets, "LONGEST_PATH", 10)
    with pytest.raises(Exception, match="is too long for a socket") as caught:
        unix_sockets.socket_path(tmp_path, "gateway.sock")
    assert "root = " in getattr(caught.value, "advice", "")


def _connect(one: socket.socket, path: str) -> None:
    """Also while its backlog is full."""
    eventually_sync(lambda: one.connect_ex(path) == 0)


def test_idle_connections_fill_no_log(tmp_path: Path) -> None:
    with running_gateway(tmp_path / "world") as own, ExitStack() as stack:
        own.process.terminate()
        own.process.wait()
        log = own.world.log("limited")
        command = [sys.executable, "-m", "services.sources.local.gateway", "--world"]
        with log.open("ab") as stream:
            limited = subprocess.Popen(
                ["sh", "-c", f'ulimit -n {FILES}; exec "$@"', "sh", *command, str(own.world.root)],
                cwd=ROOT,
                stderr=stream,
            )
        stack.callback(limited.wait)
        stack.callback(limited.kill)
        eventually_sync(lambda: "ready" in log.read_text())
        token, path = own.token, socket_of(own.world)
        with ExitStack() as held:
            for _ in range(CONNECTIONS):
                one = held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                one.settimeout(10)
                _connect(one, path)
                with suppress(OSError):
                    one.sendall(b"GET /")
            eventually_sync(lambda: "full: " in log.read_text())
            answer = stranger.knock(path, b"")
            assert answer in ("HTTP/1.1 503 Service Unavailable", "ConnectionResetError")
        eventually_sync(lambda: "no longer full" in log.read_text())
        said = log.read_text()
        assert said.count("full: ") == said.count("no longer full") == 1
        assert len(said) < 4096 and "Traceback" not in said and token not in said
        assert stranger.knock(path, asking("/sandboxes", token)).startswith("HTTP/1.1 200")


def test_the_record_says_where_and_since_when(own: RunningGateway) -> None:
    fields = json.loads(own.world.record("gateway").read_text())
    assert {"pid", "created", "port", "socket", "start_ticks", "boot_id"} <= set(fields)
    assert fields["port"] == own.port
