"""The embedded gateway as a process: who gets in, what a terminal there does, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from services.errors import ShellError
from services.models import Retry, ShellState
from services.sources.local.layout import write_private
from services.sources.local.leases import Lease
from services.sources.local.process_records import describe
from tests.support.shells import (
    DEAF,
    UP,
    RunningGateway,
    new_world,
    opened,
    read_to_end,
    read_until,
    running_gateway,
    start_gateway,
)
from tests.support.waiting import eventually, eventually_sync

PROVEN = {"Authorization": "Bearer TOKEN"}
"""With the token of the gateway that is asked in its place."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with running_gateway(tmp_path_factory.mktemp("world")) as running:
        yield running


@pytest.fixture
def own(tmp_path: Path) -> Iterator[RunningGateway]:
    with running_gateway(tmp_path / "world") as running:
        yield running


def ask(
    gateway: RunningGateway, path: str, headers: dict[str, str] | None = None, method: str = "GET"
) -> httpx.Response:
    headers = {
        name: value.replace("TOKEN", gateway.token) for name, value in (headers or {}).items()
    }
    with httpx.Client(trust_env=False) as client:
        return client.request(
            method, f"http://127.0.0.1:{gateway.port}{path}", headers=headers, timeout=20
        )


@pytest.mark.parametrize(
    ("path", "headers", "method", "status", "body"),
    [
        ("/healthz", {}, "GET", 200, {"status": "ok"}),
        ("/readyz", {}, "GET", 200, {"status": "ok", "ready": True}),
        ("/sandboxes", PROVEN, "GET", 200, {"sandboxes": [{"id": "box"}]}),
        ("/sandboxes", {}, "GET", 401, None),
        ("/sandboxes", {"Authorization": "Bearer nearly"}, "GET", 401, None),
        ("/sandboxes", {"Authorization": "Basic TOKEN"}, "GET", 401, None),
        ("/sandboxes/box/terminal", PROVEN, "GET", 426, None),
        ("/sandboxes/other/terminal", PROVEN, "GET", 404, None),
        ("/sandboxes/..%2Fgateway/terminal", PROVEN, "GET", 404, None),
        ("/sandboxes/box/terminal?shell=/bin/sh", PROVEN, "GET", 400, None),
        ("/", {}, "GET", 404, None),
        ("/healthz", {"Origin": "https://example.org"}, "GET", 403, None),
        ("/healthz", {}, "DELETE", 405, None),
    ],
)
def test_pages(
    gateway: RunningGateway,
    path: str,
    headers: dict[str, str],
    method: str,
    status: int,
    body: object,
) -> None:
    answer = ask(gateway, path, headers, method)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"
    said = answer.json()
    assert said == body if body is not None else isinstance(said["error"], str)


def test_its_own_pages_may_call_it(gateway: RunningGateway) -> None:
    for name in ("127.0.0.1", "localhost"):
        origin = {"Origin": f"http://{name}:{gateway.port}"}
        assert ask(gateway, "/healthz", origin).status_code == 200


def test_it_listens_on_this_machine_alone(gateway: RunningGateway) -> None:
    listening = [
        connection.laddr
        for connection in psutil.Process(gateway.process.pid).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert [(address.ip, address.port) for address in listening] == [("127.0.0.1", gateway.port)]


def test_its_files_are_the_owners(gateway: RunningGateway) -> None:
    for path in (gateway.world.record("gateway"), gateway.world.work("box")):
        if path.exists():
            assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("token", "sandbox", "shell", "words", "retry"),
    [
        ("wrong-token-value", "box", "bash", "does not accept the credential (401)", Retry.ASK),
        ("", "nobody", "bash", "knows no such terminal (404): no such sandbox", Retry.NO),
        ("", "box", "fish", "(400): no such shell here", Retry.NO),
    ],
)
async def test_a_refused_terminal_says_why_and_never_the_token(
    gateway: RunningGateway, token: str, sandbox: str, shell: str, words: str, retry: Retry
) -> None:
    with pytest.raises(ShellError) as raised:
        await gateway.transport(sandbox, shell, token).open(80, 24)
    assert words in raised.value.sentence
    assert raised.value.retry is retry
    for error in (raised.value, raised.value.__cause__):
        assert (token or gateway.token) not in repr(error) and "shell=" not in str(error)


async def test_a_foreign_page_cannot_open_a_terminal(gateway: RunningGateway) -> None:
    with pytest.raises(InvalidStatus) as raised:
        await connect(
            gateway.url(),
            additional_headers=gateway.headers,
            origin=Origin("http://evil.example"),
            proxy=None,
        )
    assert raised.value.response.status_code == 403


async def test_a_terminal_is_a_real_shell_of_the_asked_size(gateway: RunningGateway) -> None:
    transport = gateway.transport()
    async with opened(transport, 101, 33):
        await read_until(transport, b"box $ ")
        await transport.write("stty size; echo wörd-$WAKEDECK_SANDBOX; pwd\r".encode())
        seen = await read_until(transport, b"/work\r\n")
        assert b"33 101\r\n" in seen
        assert "wörd-box\r\n".encode() in seen
        await transport.write(b"env | cut -d= -f1 | sort | tr '\\n' ,; echo e''nd\r")
        listed = (await read_until(transport, b",end\r\n")).partition(b",end\r\n")[0]
        names = listed.decode().splitlines()[-1]
        assert set(names.split(",")) - {"_", "PWD", "OLDPWD", "SHLVL"} == {
            "HISTFILE",
            "HOME",
            "LANG",
            "PATH",
            "PS1",
            "SHELL",
            "TERM",
            "USER",
            "WAKEDECK_SANDBOX",
        }
        await transport.write(b"exit 5\r")
        _, ending = await read_to_end(transport)
    assert (ending.state, ending.code) == (ShellState.ENDED, None)


@pytest.mark.parametrize("shell", ["bash", "sh"])
async def test_characters_split_between_reads_arrive_whole(
    gateway: RunningGateway, shell: str
) -> None:
    transport = gateway.transport(shell=shell)
    async with opened(transport):
        await read_until(transport, b"$ ")
        script = (
            'for b in 360 237 232 200 344 270 255; do printf "\\\\$b"; sleep 0.02; done;'
            " echo e''nd"
        )
        await transport.write(script.encode() + b"\r")
        assert "🚀中end".encode() in await read_until(transport, b"end\r\n")


async def test_bytes_that_are_no_text_show_as_marks(gateway: RunningGateway) -> None:
    transport = gateway.transport()
    async with opened(transport):
        await read_until(transport, b"$ ")
        await transport.write(b"printf 'a\\377b\\n'\r")
        await read_until(transport, "a\ufffdb\r\n".encode())


async def test_a_flood_is_read_and_interrupted(gateway: RunningGateway) -> None:
    transport = gateway.transport()
    async with opened(transport):
        await read_until(transport, b"$ ")
        await transport.write(b"yes\r")
        read = 0
        async with asyncio.timeout(60):
            while read < 4_000_000:
                data = await transport.read()
                assert isinstance(data, bytes)
                read += len(data)
        await transport.write(b"\x03")
        await read_until(transport, b"^C")
        await transport.write(b"echo al''ive\r")
        await read_until(transport, b"alive\r\n")


def written_by(program: str, gateway: RunningGateway) -> int:
    """How many bytes a program in a shell of the gateway has written."""
    for one in psutil.Process(gateway.process.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if one.name() == program:
                return int(one.io_counters().write_chars)
    return 0


async def test_a_reader_that_stops_stops_the_shell_and_not_the_gateway(
    gateway: RunningGateway,
) -> None:
    transport, other = gateway.transport(), gateway.transport()
    async with opened(transport), opened(other):
        await read_until(transport, b"$ ")
        await transport.write(b"yes | head -c 6000000; echo; echo d''one\r")
        looks = [written_by("head", gateway)]

        def stands_still() -> bool:
            looks.append(written_by("head", gateway))
            return looks[-1] > 0 and len(looks) > 5 and len(set(looks[-5:])) == 1

        await eventually(stands_still, what=lambda: looks)
        memory = psutil.Process(gateway.process.pid).memory_info().rss
        await read_until(other, b"$ ")
        for _ in range(20):
            await other.write(b"clear; echo qu''ick\r")
            await read_until(other, b"quick\r\n")
        assert written_by("head", gateway) - looks[-1] < 1_000_000
        assert psutil.Process(gateway.process.pid).memory_info().rss - memory < 4_000_000
        seen = 0
        async with asyncio.timeout(60):
            tail = b""
            while b"done\r\n" not in tail:
                data = await transport.read()
                assert isinstance(data, bytes)
                seen += len(data)
                tail = (tail + data)[-64:]
        assert seen > 6_000_000


async def test_a_pong_means_that_the_shell_has_taken_the_input(gateway: RunningGateway) -> None:
    transport = gateway.transport()
    async with opened(transport):
        await read_until(transport, b"$ ")
        await transport.write(DEAF)
        await read_until(transport, UP)
        taken = 0
        with pytest.raises(TimeoutError):
            while taken < 200:
                await transport.write(b"echo r''an\n" * 370)
                await asyncio.wait_for(transport.acknowledge(), 1)
                taken += 1
        await transport.write(b"\x03")
        assert await asyncio.wait_for(transport.ping(), 60)
        await transport.write(b"echo al''ive\r")
        assert b"ran" not in (await read_until(transport, b"alive\r\n")).rpartition(b"^C")[2]


async def test_two_hundred_sizes_in_a_row_end_at_the_last(gateway: RunningGateway) -> None:
    transport = gateway.transport()
    async with opened(transport):
        await read_until(transport, b"$ ")
        for size in range(200):
            await transport.resize(40 + size, 10 + size)
        await transport.write(b"stty size\r")
        await read_until(transport, b"209 239\r\n")


async def test_a_client_that_leaves_takes_its_shell_with_it(gateway: RunningGateway) -> None:
    transport = gateway.transport()
    async with opened(transport):
        await read_until(transport, b"$ ")
        await transport.write(b"trap '' HUP; echo p''id=$$. ; sleep 300\r")
        seen = await read_until(transport, b".\r\n")
        pid = int(seen.rpartition(b"pid=")[2].split(b".")[0])
        assert psutil.pid_exists(pid)
    await asyncio.to_thread(eventually_sync, lambda: not psutil.pid_exists(pid))


@pytest.mark.parametrize(
    "frame", ["{", "[]", '{"operation":"resize","rows":"x"}', '{"operation":3}']
)
async def test_nonsense_ends_a_terminal_and_nothing_else(
    gateway: RunningGateway, frame: str
) -> None:
    async with connect(gateway.url(), additional_headers=gateway.headers, proxy=None) as client:
        with pytest.raises(ConnectionClosed) as raised:
            for _ in range(3):
                await client.send(frame)
            async for _ in client:
                pass
            await client.recv()
    assert raised.value.rcvd is not None and raised.value.rcvd.code == 1003
    assert ask(gateway, "/healthz").status_code == 200


async def test_a_half_made_sandbox_gets_its_folder(gateway: RunningGateway) -> None:
    gateway.world.sandbox("half").mkdir(exist_ok=True)
    transport = gateway.transport("half")
    async with opened(transport):
        await read_until(transport, b"half $ ")
    assert gateway.world.work("half").is_dir()


async def test_a_folder_that_cannot_be_made_is_said(gateway: RunningGateway) -> None:
    gateway.world.sandbox("blocked").mkdir(exist_ok=True)
    gateway.world.work("blocked").touch()
    try:
        with pytest.raises(ShellError, match="the folder of this sandbox is not there yet"):
            await gateway.transport("blocked").open(80, 24)
    finally:
        gateway.world.work("blocked").unlink()
        gateway.world.sandbox("blocked").rmdir()


def test_a_second_one_does_not_start(gateway: RunningGateway) -> None:
    record = gateway.world.read_record("gateway")
    process, log = start_gateway(gateway.world)
    assert process.wait(20) == 1
    assert "runs" in log.read_text()
    assert gateway.world.read_record("gateway") == record


def test_a_record_of_a_living_one_is_enough_to_refuse(tmp_path: Path) -> None:
    world = new_world(tmp_path / "world")
    world.write_record(describe("gateway"))
    process, log = start_gateway(world)
    assert process.wait(20) == 1
    assert f"runs already (pid {os.getpid()})" in log.read_text()


def test_a_record_of_somebody_elses_pid_does_not_stop_it(tmp_path: Path) -> None:
    world = new_world(tmp_path / "world")
    me = describe("gateway")
    assert me.start_ticks is not None
    world.write_record(replace(me, start_ticks=me.start_ticks - 1))
    process, log = start_gateway(world)
    try:
        eventually_sync(lambda: "ready" in log.read_text())
    finally:
        process.terminate()
        assert process.wait(20) == 0


def test_where_no_token_can_be_written_it_says_so_and_ends(tmp_path: Path) -> None:
    world = new_world(tmp_path / "world")
    world.token.mkdir()
    process, log = start_gateway(world)
    assert process.wait(20) == 1
    said = log.read_text()
    assert "cannot start" in said and str(world.token) in said and "Traceback" not in said


def test_it_leaves_when_nobody_needs_the_world(own: RunningGateway) -> None:
    lease = Lease(own.world)
    own.world.keep.unlink()
    with pytest.raises(subprocess.TimeoutExpired):
        own.process.wait(1.5)
    lease.close()
    assert own.process.wait(20) == 0
    assert own.world.read_record("gateway") is None


async def test_asked_to_end_it_ends_its_shells_and_says_goodbye(own: RunningGateway) -> None:
    transport = own.transport()
    async with opened(transport):
        await read_until(transport, b"$ ")
        await transport.write(b"trap '' HUP; echo p''id=$$.; sleep 300\r")
        pid = int((await read_until(transport, b".\r\n")).rpartition(b"pid=")[2].split(b".")[0])
        own.process.terminate()
        _, ending = await read_to_end(transport)
    assert ending.state is ShellState.ENDED and ending.retry is Retry.AUTO
    assert await asyncio.to_thread(own.process.wait, 20) == 0
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def test_killed_mid_stream_is_lost_and_never_a_success(own: RunningGateway) -> None:
    transport = own.transport()
    async with opened(transport):
        await read_until(transport, b"$ ")
        await transport.write(b"yes\r")
        await read_until(transport, b"y\r\ny\r\n")
        own.process.kill()
        _, ending = await read_to_end(transport)
    assert (ending.state, ending.code) == (ShellState.LOST, None)
    assert "unknown" in ending.reason


async def test_the_refused_credential_fault(own: RunningGateway) -> None:
    await asyncio.to_thread(own.obey, '{"credential_refused": true}')
    await asyncio.to_thread(
        eventually_sync, lambda: ask(own, "/sandboxes", PROVEN).status_code == 403
    )
    assert ask(own, "/healthz").status_code == 200
    with pytest.raises(ShellError, match="the credential was refused") as raised:
        await own.transport().open(80, 24)
    assert raised.value.retry is Retry.NO
    await asyncio.to_thread(own.obey, "{}")
    await asyncio.to_thread(
        eventually_sync, lambda: ask(own, "/sandboxes", PROVEN).status_code == 200
    )


async def test_the_drain_fault(own: RunningGateway) -> None:
    transport = own.transport()
    async with opened(transport):
        await read_until(transport, b"$ ")
        await asyncio.to_thread(own.obey, json.dumps({"drain_until": time.time() + 2.5}))
        await asyncio.to_thread(eventually_sync, lambda: ask(own, "/readyz").status_code == 503)
        assert ask(own, "/readyz").json() == {"status": "draining"}
        with pytest.raises(ShellError, match="draining") as raised:
            await own.transport().open(80, 24)
        assert raised.value.retry is Retry.AUTO
        await transport.write(b"echo still h''ere\r")
        await read_until(transport, b"still here\r\n")
        _, ending = await read_to_end(transport)
    assert ending.state is ShellState.ENDED
    assert await asyncio.to_thread(own.process.wait, 20) == 0


async def test_the_dropped_shell_fault(own: RunningGateway) -> None:
    own.world.sandbox("other").mkdir()
    victim, bystander = own.transport(), own.transport("other")
    async with opened(victim), opened(bystander):
        await read_until(victim, b"$ ")
        await read_until(bystander, b"$ ")
        await asyncio.to_thread(own.obey, json.dumps({"drop_shells": {"box": time.time()}}))
        _, ending = await read_to_end(victim)
        assert ending.state is ShellState.LOST
        await bystander.write(b"echo sp''ared\r")
        await read_until(bystander, b"spared\r\n")
    again = own.transport()
    async with opened(again):
        await read_until(again, b"$ ")
        own.process.send_signal(signal.SIGUSR1)
        await again.write(b"echo k''ept\r")
        await read_until(again, b"kept\r\n")


@pytest.mark.parametrize("content", ["", "[1]", '{"drop_shells": 3, "drain_until": "soon"}', "{"])
def test_corrupt_faults_are_no_faults(own: RunningGateway, content: str) -> None:
    own.obey(content)
    if "drop_shells" not in content:
        eventually_sync(lambda: "none are obeyed" in own.log.read_text())
    assert ask(own, "/readyz").status_code == 200
    assert ask(own, "/sandboxes", PROVEN).status_code == 200


async def test_another_token_in_the_file_opens_nothing(own: RunningGateway) -> None:
    first = own.token
    write_private(own.world.token, "another-token-altogether\n")
    with pytest.raises(ShellError, match="401"):
        await own.transport().open(80, 24)
    transport = own.transport(token=first)
    async with opened(transport):
        await read_until(transport, b"$ ")
