"""Gateways as an operator meets them: real files, real ports, and this process as the gateway."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.agents.openclaw import probes
from services.clock import SystemClock
from services.config.sources import OpenClawTable
from services.errors import UnavailableError
from services.models import Capability, Gateway, GatewayState, SandboxId, SandboxState
from services.process.identity import ProcessId
from services.sources.openclaw import watch as watching
from services.sources.openclaw.rows import UNSEEN
from services.sources.openclaw.source import open_openclaw
from services.sources.protocol.observer import Listens
from services.sources.protocol.verdict import VerdictKind
from services.terminal.exec.requests import ShellChoice
from tests.support.clock import FakeClock
from tests.support.http_peer import Exchange, HttpPeer, http_peer
from tests.support.ports import free_port
from tests.support.waiting import eventually

FOUND = OpenClawTable()
LIVE = {"ok": True, "status": "live"}
STARTED = {"ok": True, "status": "started", "version": "2026.9.6", "uptimeMs": 61_080}
READY = {"ready": True, "failing": [], "eventLoop": {"degraded": False, "delayP99Ms": 21}}


@asynccontextmanager
async def gateway(**answers: object) -> AsyncIterator[HttpPeer]:
    """A port that answers the probes as the gateway does, and every other path with its page."""
    told: dict[str, object] = {"/healthz": LIVE, "/startupz": STARTED, "/readyz": READY}
    told |= {f"/{name}": value for name, value in answers.items()}

    async def handle(exchange: Exchange) -> None:
        assert exchange.request.method == "GET"
        assert not {"authorization", "cookie"} & set(exchange.request.headers)
        value = told.get(exchange.request.path)
        if value is None:
            await exchange.answer(200, "<!doctype html>", kind="text/html")
        else:
            status, body = value if isinstance(value, tuple) else (200, value)
            await exchange.json(status, body)

    async with http_peer(handle) as peer:
        yield peer


def write_lock(state: Path, port: int, process: ProcessId | None = None, **more: object) -> None:
    """The lock as the gateway writes it, padded with blanks."""
    process = process or ProcessId.capture()
    assert process is not None
    folder = state / "tmp" / f"openclaw-{os.getuid()}"
    folder.mkdir(parents=True, exist_ok=True)
    fields = {
        "pid": process.pid,
        "createdAt": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
        "port": port,
        "startTime": process.start_ticks,
        "stateDir": str(state),
        **more,
    }
    (folder / "gateway.state.lock").write_text(json.dumps(fields, indent=2) + "\n" + " \t" * 40)


def unlock(home: Path) -> None:
    next((home / ".openclaw" / "tmp").glob("*/*.lock")).unlink()


@pytest.fixture(name="free_port")
def port() -> int:
    """A port that nobody listens on."""
    return free_port()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with one configured gateway, and no systemd to ask."""
    (tmp_path / ".openclaw").mkdir()
    (tmp_path / "bin").mkdir()
    return tmp_path


def configure(state: Path, **gateway: object) -> None:
    state.mkdir(exist_ok=True)
    (state / "openclaw.json").write_text(json.dumps({"gateway": gateway}))


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours that does nothing."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield child
    child.kill()
    child.wait()


async def look(
    home: Path, table: OpenClawTable = FOUND, **variables: str
) -> dict[str, tuple[Gateway, SandboxState, str]]:
    """Each gateway by its name, with the state of its agents and why."""
    environ: Mapping[str, str] = {"HOME": str(home), "PATH": str(home / "bin"), **variables}
    source = open_openclaw("oc", table, SystemClock(), Path("/nowhere"), environ)
    try:
        seen = await source.observer.observe()
    finally:
        await source.observer.close()
    return {
        gateway.name: (gateway, sandbox.state, sandbox.reason)
        for gateway, sandbox in zip(seen.gateways, seen.sandboxes, strict=True)
    }


async def test_a_gateway_that_holds_its_lock_and_answers_is_ready(home: Path) -> None:
    async with gateway() as peer:
        write_lock(home / ".openclaw", peer.port)
        ((found, agents, why),) = (await look(home)).values()
    assert (found.state, agents, why) == (GatewayState.READY, SandboxState.READY, UNSEEN)
    facts = dict(found.evidence)
    assert facts["version"] == "2026.9.6"
    assert facts["listens"] == "the process of the lock"
    assert {one.path for one in peer.requests} == {"/healthz", "/startupz", "/readyz"}


async def test_profiles_are_gateways_of_their_own(home: Path) -> None:
    async with (
        gateway() as ready,
        gateway(
            startupz=(503, {"ok": False, "status": "starting", "pendingReason": "startup-sidecars"})
        ) as starting,
    ):
        write_lock(home / ".openclaw", ready.port)
        write_lock(home / ".openclaw-ops", starting.port)
        (home / ".openclaw-empty").mkdir()
        found = await look(home)
    assert {name: one[0].state for name, one in found.items()} == {
        ".openclaw": GatewayState.READY,
        ".openclaw-ops": GatewayState.SETTLING,
    }
    assert found[".openclaw-ops"][2] == "It is starting, waiting for startup-sidecars."


async def test_two_locks_on_one_port_are_said_in_both_rows(home: Path) -> None:
    async with gateway() as peer:
        for name in (".openclaw", ".openclaw-ops"):
            write_lock(home / name, peer.port)
        found = await look(home)
    assert {one[0].state for one in found.values()} == {GatewayState.WRONG}
    assert "the gateway of .openclaw-ops both claim" in found[".openclaw"][2]
    assert "the gateway of .openclaw both claim" in found[".openclaw-ops"][2]


async def test_the_gateway_of_another_profile_is_not_taken_for_ours(home: Path) -> None:
    async with gateway() as peer:
        configure(home / ".openclaw", port=peer.port)
        write_lock(home / ".openclaw-ops", peer.port)
        found = await look(home)
    assert found[".openclaw"][0].state is GatewayState.DOWN
    assert "is that of the gateway of .openclaw-ops" in found[".openclaw"][2]
    assert found[".openclaw-ops"][0].state is GatewayState.READY


async def test_a_page_on_the_port_is_no_gateway(home: Path) -> None:
    async with gateway(healthz=None) as peer:
        configure(home / ".openclaw", port=peer.port)
        ((found, agents, why),) = (await look(home)).values()
    assert (found.state, agents) == (GatewayState.WRONG, SandboxState.BROKEN)
    assert f"Port {peer.port} is answered by something else" in why
    assert f"pid {os.getpid()}" in why


async def test_a_gateway_that_another_process_answers_for_is_wrong(
    home: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    async with gateway() as peer:
        write_lock(home / ".openclaw", peer.port, ProcessId.capture(sleeper.pid))
        ((found, _, why),) = (await look(home)).values()
    assert found.state is GatewayState.WRONG
    assert f"pid {os.getpid()}" in why


async def test_an_answer_without_a_lock_proves_nothing(home: Path) -> None:
    async with gateway() as peer:
        configure(home / ".openclaw", port=peer.port)
        ((found, agents, why),) = (await look(home)).values()
    assert (found.state, agents) == (GatewayState.UNKNOWN, SandboxState.UNKNOWN)
    assert "whose it is, is not known" in why


async def test_a_number_that_lives_is_not_the_process_of_the_lock(
    home: Path, free_port: int, sleeper: subprocess.Popen[bytes]
) -> None:
    living = ProcessId.capture(sleeper.pid)
    assert living is not None
    stale = ProcessId(living.pid, living.start_ticks - 1, living.boot_id)
    write_lock(home / ".openclaw", free_port, stale)
    configure(home / ".openclaw")
    ((found, agents, _),) = (await look(home)).values()
    assert (found.state, agents) == (GatewayState.DOWN, SandboxState.DOWN)
    assert dict(found.evidence)["lock"].startswith("stale")
    write_lock(home / ".openclaw", free_port, living)
    ((found, agents, why),) = (await look(home)).values()
    assert (found.state, agents) == (GatewayState.SETTLING, SandboxState.SETTLING)
    assert f"process {sleeper.pid}" in why


async def test_a_suspended_process_and_a_dead_one(
    home: Path, free_port: int, sleeper: subprocess.Popen[bytes]
) -> None:
    write_lock(home / ".openclaw", free_port, ProcessId.capture(sleeper.pid))
    sleeper.send_signal(signal.SIGSTOP)
    os.waitpid(sleeper.pid, os.WUNTRACED)
    ((found, agents, why),) = (await look(home)).values()
    assert (found.state, agents) == (GatewayState.HUNG, SandboxState.STUCK)
    assert "suspended by a signal" in why
    sleeper.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    ((found, agents, _),) = (await look(home)).values()
    assert (found.state, agents) == (GatewayState.DOWN, SandboxState.DOWN), "a zombie holds nothing"


async def test_a_process_that_let_go_of_its_lock_is_not_gone(
    home: Path, free_port: int, sleeper: subprocess.Popen[bytes]
) -> None:
    configure(home / ".openclaw", port=free_port)
    write_lock(home / ".openclaw", free_port, ProcessId.capture(sleeper.pid))
    environ = {"HOME": str(home), "PATH": str(home / "bin")}
    source = open_openclaw("oc", FOUND, SystemClock(), Path("/nowhere"), environ)
    try:
        await source.observer.observe()
        unlock(home)
        seen = await source.observer.observe()
        assert seen.gateways[0].state is GatewayState.SETTLING
        assert f"Process {sleeper.pid} has let go of its lock" in seen.gateways[0].reason
        sleeper.kill()
        sleeper.wait()
        seen = await source.observer.observe()
        assert seen.gateways[0].state is GatewayState.DOWN
    finally:
        await source.observer.close()


async def test_a_lock_that_is_removed_from_a_ready_gateway_is_no_start(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "PROBE_S", 0.5)
    told: dict[str, tuple[int, object]] = {}
    over = asyncio.Event()

    async def handle(exchange: Exchange) -> None:
        if exchange.request.path not in told:
            await over.wait()
        await exchange.json(*told.get(exchange.request.path, (503, {})))

    def tell(status: int, word: str) -> None:
        told["/healthz"], told["/readyz"] = (200, LIVE), (status, {**READY, "ready": status == 200})
        told["/startupz"] = (status, {**STARTED, "ok": status == 200, "status": word})

    environ = {"HOME": str(home), "PATH": str(home / "bin")}
    source = open_openclaw("oc", FOUND, SystemClock(), Path("/nowhere"), environ)

    async def says(state: GatewayState, words: str) -> None:
        async def looked() -> bool:
            seen = await source.observer.observe()
            got = seen.gateways[0].state, seen.sandboxes[0].reason
            assert got[0] is state, got
            assert words in got[1], got
            return True

        await eventually(looked)

    between = f"Process {os.getpid()} has let go of its lock and still runs"
    try:
        async with http_peer(handle) as peer:
            removed = (
                f"Process {os.getpid()} answers on port {peer.port}, but no longer holds the lock"
            )
            configure(home / ".openclaw", port=peer.port)
            write_lock(home / ".openclaw", peer.port)
            tell(503, "starting")
            await says(GatewayState.SETTLING, "It is starting")
            unlock(home)
            await says(GatewayState.SETTLING, between)
            write_lock(home / ".openclaw", peer.port)
            tell(200, "started")
            await says(GatewayState.READY, UNSEEN)
            unlock(home)
            await says(GatewayState.UNKNOWN, removed)
            told.clear()
            write_lock(home / ".openclaw", peer.port)
            await says(GatewayState.SETTLING, "it does not answer yet")
            tell(200, "started")
            await says(GatewayState.READY, UNSEEN)
            unlock(home)
            await says(GatewayState.UNKNOWN, removed)
            tell(503, "draining")
            await says(GatewayState.SETTLING, between)
            over.set()
    finally:
        over.set()
        await source.observer.close()


async def test_the_port_of_another_is_no_start_of_who_held_the_lock(
    home: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    environ = {"HOME": str(home), "PATH": str(home / "bin")}
    source = open_openclaw("oc", FOUND, SystemClock(), Path("/nowhere"), environ)
    try:
        async with gateway() as peer:
            configure(home / ".openclaw", port=peer.port)
            write_lock(home / ".openclaw", peer.port, ProcessId.capture(sleeper.pid))
            seen = await source.observer.observe()
            assert seen.gateways[0].state is GatewayState.WRONG
            unlock(home)
            seen = await source.observer.observe()
        assert seen.gateways[0].state is GatewayState.UNKNOWN
        assert "no living process holds the lock" in seen.sandboxes[0].reason
        assert f"pid {os.getpid()}" in seen.sandboxes[0].reason
    finally:
        await source.observer.close()


@pytest.mark.parametrize(("takes_s", "looks"), [(0.0, 3), (2.0, 1)])
async def test_a_look_is_repeated_only_where_a_poll_leaves_time_for_it(
    home: Path, takes_s: float, looks: int
) -> None:
    """The lock changes hands in every look; a fake clock says how long each takes."""
    clock, asked = FakeClock(), 0
    told = {"/healthz": LIVE, "/startupz": STARTED, "/readyz": READY}

    async def handle(exchange: Exchange) -> None:
        nonlocal asked
        if exchange.request.path == "/healthz":
            asked += 1
            clock.jump(clock.now() + takes_s)
            if asked % 2:
                unlock(home)
            else:
                write_lock(home / ".openclaw", peer.port)
        await exchange.json(200, told[exchange.request.path])

    environ = {"HOME": str(home), "PATH": str(home / "bin")}
    source = open_openclaw("oc", FOUND, clock, Path("/nowhere"), environ)
    try:
        async with http_peer(handle) as peer:
            configure(home / ".openclaw", port=peer.port)
            write_lock(home / ".openclaw", peer.port)
            await source.observer.observe()
    finally:
        await source.observer.close()
    assert asked == looks


async def test_a_slow_start_is_no_hang_before_it_said_that_it_started(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a loaded machine its port is open long before it answers in time."""
    monkeypatch.setattr(probes, "PROBE_S", 0.5)
    told: dict[str, object] = {}
    over = asyncio.Event()

    async def handle(exchange: Exchange) -> None:
        if exchange.request.path in told:
            await exchange.json(200, told[exchange.request.path])
        else:
            await over.wait()

    environ = {"HOME": str(home), "PATH": str(home / "bin")}
    source = open_openclaw("oc", FOUND, SystemClock(), Path("/nowhere"), environ)

    async def says(gateway: GatewayState, agents: SandboxState, words: str) -> None:
        async def looked() -> bool:
            seen = await source.observer.observe()
            states.append(seen.sandboxes[0].state)
            assert (seen.gateways[0].state, states[-1]) == (gateway, agents)
            assert words in seen.sandboxes[0].reason
            return True

        await eventually(looked)

    states: list[SandboxState] = []
    try:
        async with http_peer(handle) as peer:
            write_lock(home / ".openclaw", peer.port)
            await says(GatewayState.SETTLING, SandboxState.SETTLING, "does not answer yet")
            told["/healthz"] = LIVE
            await says(GatewayState.SETTLING, SandboxState.SETTLING, "does not say yet")
            assert set(states) == {SandboxState.SETTLING}
            told |= {"/startupz": STARTED, "/readyz": READY}
            await says(GatewayState.READY, SandboxState.READY, "")
            told.clear()
            await says(GatewayState.HUNG, SandboxState.STUCK, "keeps its port but does not answer")
            over.set()
    finally:
        over.set()
        await source.observer.close()


@pytest.mark.parametrize("change", ["ends", "is stopped", "lock", "config", "port"])
async def test_what_changes_on_this_machine_is_heard_between_two_polls(
    home: Path,
    free_port: int,
    sleeper: subprocess.Popen[bytes],
    change: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = home / ".openclaw"
    configure(state, port=free_port)
    write_lock(state, free_port, ProcessId.capture(sleeper.pid))
    monkeypatch.setattr(watching, "SETTLING_S", 60.0)
    if change == "port":
        sleeper.kill()
        sleeper.wait()
    environ = {"HOME": str(home), "PATH": str(home / "bin")}
    source = open_openclaw("oc", FOUND, SystemClock(), Path("/nowhere"), environ)
    observer = source.observer
    assert isinstance(observer, Listens)
    taken: list[socket.socket] = []
    try:
        await observer.observe()
        heard = asyncio.ensure_future(observer.news())
        done, _ = await asyncio.wait([heard], timeout=1.2)
        assert not done, "nothing has changed"
        if change == "ends":
            sleeper.kill()
            sleeper.wait()
        elif change == "is stopped":
            sleeper.send_signal(signal.SIGSTOP)
        elif change == "lock":
            next((state / "tmp").glob("*/*.lock")).unlink()
        elif change == "config":
            configure(state, port=free_port, bind="lan")
        else:
            taken.append(socket.create_server(("127.0.0.1", free_port)))
        async with asyncio.timeout(20):
            await heard
    finally:
        await observer.close()
        for one in taken:
            one.close()


UNIT = """#!/bin/sh
echo "$@" >>"$HOME/asked"
printf '%s\\n' LoadState=loaded {lines}
"""


@pytest.mark.parametrize(
    ("lines", "gateway_state", "agents", "sentence"),
    [
        (
            "ActiveState=inactive SubState=dead Result=success NRestarts=0 ExecMainStatus=0",
            *(GatewayState.DOWN, SandboxState.ASLEEP, "its service can start it"),
        ),
        (
            "ActiveState=failed SubState=failed Result=exit-code NRestarts=10 ExecMainStatus=1",
            *(GatewayState.DOWN, SandboxState.BROKEN, "gave up after 10 restarts (exit 1)"),
        ),
        (
            "ActiveState=failed SubState=failed Result=exit-code NRestarts=0 ExecMainStatus=78",
            *(GatewayState.DOWN, SandboxState.BROKEN, "configuration is not accepted (exit 78)"),
        ),
        (
            "ActiveState=activating SubState=auto-restart NRestarts=5 ExecMainStatus=1",
            *(GatewayState.DOWN, SandboxState.BROKEN, "crashes again and again"),
        ),
    ],
)
async def test_what_its_service_says(
    home: Path,
    free_port: int,
    lines: str,
    gateway_state: GatewayState,
    agents: SandboxState,
    sentence: str,
) -> None:
    configure(home / ".openclaw-ops", port=free_port)
    tool = home / "bin" / "systemctl"
    tool.write_text(UNIT.format(lines=lines))
    tool.chmod(0o755)
    found = (await look(home))[".openclaw-ops"]
    assert (found[0].state, found[1]) == (gateway_state, agents)
    assert sentence in found[2]
    asked = (home / "asked").read_text()
    assert asked.startswith("--user show openclaw-gateway-ops.service -p LoadState,")
    assert asked.count("\n") == 1


async def test_a_gateway_that_is_elsewhere_is_not_down(home: Path) -> None:
    configure(
        home / ".openclaw", mode="remote", remote={"url": "wss://u:secret@far.example:7/x?t=k"}
    )
    ((found, agents, why),) = (await look(home)).values()
    assert (found.state, agents) == (GatewayState.UNKNOWN, SandboxState.UNKNOWN)
    assert why == "This OpenClaw uses the gateway at wss://far.example:7."


async def test_nothing_there_is_said(home: Path) -> None:
    ((found, agents, why),) = (await look(home)).values()
    assert (found.state, agents) == (GatewayState.ABSENT, SandboxState.ABSENT)
    assert str(home / ".openclaw") in why


@pytest.mark.parametrize(
    "text",
    [
        b"// a comment\n{gateway: {port: 1}",
        b"{" * 99,
        b"\xff\xfe",
        b"[" * 70_000,
        b" " * (2 << 20),
    ],
)
async def test_a_configuration_that_is_not_read_is_said(home: Path, text: bytes) -> None:
    (home / ".openclaw" / "openclaw.json").write_bytes(text)
    ((found, _, why),) = (await look(home)).values()
    assert found.state is GatewayState.UNKNOWN
    assert why.startswith("Its configuration cannot be read (")


@pytest.mark.parametrize(
    "fields",
    [b"", b"[]", b'{"pid": true}', b'{"pid": -4}', b'{"pid": "1"}', b"{" * 99, b"\x00" * (1 << 17)],
)
async def test_a_lock_that_is_not_read_proves_nothing(home: Path, fields: bytes) -> None:
    write_lock(home / ".openclaw", 1)
    next((home / ".openclaw" / "tmp").glob("*/*.lock")).write_bytes(fields)
    ((found, agents, _),) = (await look(home)).values()
    assert (found.state, agents) == (GatewayState.UNKNOWN, SandboxState.UNKNOWN)


async def test_one_by_its_address(home: Path, free_port: int) -> None:
    async with gateway() as peer:
        table = OpenClawTable(url=f"ws://127.0.0.1:{peer.port}")
        ((found, agents, _),) = (await look(home, table)).values()
        assert (found.state, agents) == (GatewayState.READY, SandboxState.READY)
        assert found.name == f"127.0.0.1:{peer.port}"
    table = OpenClawTable(url=f"ws://127.0.0.1:{free_port}")
    ((found, _, why),) = (await look(home, table)).values()
    assert found.state is GatewayState.UNKNOWN
    assert "refused the connection. Its state is not known." in why


@pytest.mark.parametrize(
    "url",
    [
        "far",
        "ws://far.example:1",
        "http://10.0.0.1",
        "wss://u:p@far",
        "wss://far/x",
        "wss://[::",
        "ftp://a",
    ],
)
def test_an_address_that_may_not_be_asked(url: str) -> None:
    with pytest.raises(UnavailableError):
        open_openclaw("oc", OpenClawTable(url=url), SystemClock(), Path("/nowhere"), {})


async def test_a_probe_is_a_verdict_and_a_start_its_one_verb(home: Path) -> None:
    async with gateway() as peer:
        write_lock(home / ".openclaw", peer.port)
        source = open_openclaw(
            "oc", OpenClawTable(), SystemClock(), Path("/nowhere"), {"HOME": str(home)}
        )
        here = SandboxId("oc", "openclaw")
        assert (await source.observer.probe(here)).kind is VerdictKind.READY
        gone = await source.observer.probe(SandboxId("oc", "openclaw-gone"))
        assert gone.kind is VerdictKind.TERMINAL
        await source.observer.close()
    assert source.info.capabilities == {Capability.WAKE, Capability.LOGS}
    with pytest.raises(UnavailableError, match="has no inside of its own"):
        source.actor.shell(here, ShellChoice())
