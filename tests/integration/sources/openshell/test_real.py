"""The real `openshell` against a gateway process: every fault seen, repaired or named.

No real gateway server is run: what only one can show stays untested here
(upstream/openshell: Real command in tests).
"""

from __future__ import annotations

import asyncio
import http.server
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from services.clock import SystemClock
from services.config.settings import Settings, SourceSettings
from services.config.sources import OpenShellTable
from services.errors import UnavailableError
from services.logs.reader import LogRecord
from services.models import (
    Attempt,
    AttemptState,
    Gateway,
    GatewayState,
    Observation,
    SandboxId,
    SandboxState,
    ShellState,
    Verb,
)
from services.repair.attempts import Attempts
from services.sources.openshell.source import open_openshell
from services.sources.protocol.source import OpenSource
from services.sources.protocol.verdict import VerdictKind
from services.sources.registry import open_sources
from services.terminal.exec.requests import ShellChoice
from services.terminal.transport.base import CloseReason
from tests.support import kits
from tests.support.following import followed, notes, own
from tests.support.openshell_kit import PINS, Kit, kit
from tests.support.openshell_live import NAME, LiveGateway, live_gateway
from tests.support.ran import link_steps, ran
from tests.support.waiting import eventually
from tui.app import WakedeckApp
from widgets.panes.gateways import GatewayPane

ALPHA, BETA = SandboxId("os", f"{NAME}/alpha"), SandboxId("os", f"{NAME}/beta")
STOPPED = 7


@pytest.fixture(scope="module")
def real() -> Kit:
    return kit()


@pytest.fixture
def gateway(real: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveGateway]:
    with live_gateway(real.stubs(), tmp_path, monkeypatch) as made:
        yield made


def source(real: Kit, **options: object) -> OpenSource:
    chosen = OpenShellTable(binary=real.cli(), **options)  # type: ignore[arg-type]
    return open_openshell("os", chosen, SystemClock())


async def until(one: OpenSource, holds: Callable[[Observation], bool]) -> Observation:
    async def looked() -> Observation | None:
        try:
            seen = await one.observer.observe()
        except UnavailableError as late:  # a machine that holds the real command up for seconds
            raise AssertionError(late.sentence) from late
        assert holds(seen), seen
        return seen

    found = await eventually(looked)
    assert found is not None
    return found


def front(seen: Observation) -> Gateway:
    (only,) = seen.gateways
    return only


async def repair(one: OpenSource, verb: Verb, sandbox: SandboxId, locks: Path) -> Attempt:
    attempts = Attempts({"os": one}, SystemClock(), locks, lambda _: None)
    try:
        return await attempts.request(verb, sandbox).wait()
    finally:
        await attempts.close()


async def test_gateways_sandboxes_policy_and_rules_are_seen(
    real: Kit, gateway: LiveGateway
) -> None:
    gateway.order(phase={"beta": STOPPED}, rules={"alpha": 2})
    seen = await until(
        source(real), lambda look: any(n == "network rules" for n, _ in look.sandboxes[0].evidence)
    )
    assert front(seen).state is GatewayState.READY
    assert ("gateway version", "0.0.111") in front(seen).evidence
    alpha, beta = seen.sandboxes
    assert (alpha.state, beta.state) == (SandboxState.READY, SandboxState.ASLEEP)
    told = dict(alpha.evidence)
    assert told["network rules"] == "2 waiting: rule-0, rule-1"
    assert told["label"] == "team=blue" and told["policy"] == "version: 1"
    assert told["settings"] == "No settings available."


@pytest.mark.parametrize("version", list(PINS))
async def test_every_generation_names_a_dead_gateway(
    real: Kit, gateway: LiveGateway, version: str
) -> None:
    gateway.kill()
    one = open_openshell("os", OpenShellTable(binary=real.cli(version)), SystemClock())
    seen = await until(one, lambda look: front(look).state is GatewayState.DOWN)
    assert front(seen).reason.startswith("Connection refused at http")
    verdict = await one.observer.probe(ALPHA)
    assert verdict.kind is VerdictKind.REPAIRABLE
    assert verdict.wakeable is (version == "0.0.16")


@pytest.mark.parametrize(
    ("fault", "state", "words"),
    [
        ("unauthenticated", GatewayState.WRONG, "does not accept this login"),
        ("denied", GatewayState.UNKNOWN, "not allowed"),
        ("unimplemented", GatewayState.UNKNOWN, "cannot be listed"),
        ("degraded", GatewayState.READY, ""),
        ("hang", GatewayState.HUNG, "does not answer"),
    ],
)
async def test_a_sick_gateway_is_named(
    real: Kit, gateway: LiveGateway, fault: str, state: GatewayState, words: str
) -> None:
    one = source(real)
    await one.observer.observe()
    gateway.order(fault=fault)
    seen = await one.observer.observe()
    assert front(seen).state is state
    assert words in front(seen).reason.lower()
    if fault != "degraded":
        assert [sandbox.stale for sandbox in seen.sandboxes] == [True, True]
    if fault == "unauthenticated":
        verdict = await one.observer.probe(ALPHA)
        assert verdict.kind is VerdictKind.TERMINAL and not verdict.wakeable


async def test_another_program_on_the_port_is_not_taken_for_a_gateway(
    real: Kit, gateway: LiveGateway
) -> None:
    gateway.kill()

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", gateway.port), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            seen = await source(real).observer.observe()
        finally:
            await asyncio.to_thread(server.shutdown)
            thread.join()
    assert front(seen).state is GatewayState.WRONG
    assert "not an OpenShell gateway" in front(seen).reason


async def test_a_silent_port_is_hung_and_restarts_nothing(
    real: Kit, gateway: LiveGateway, tmp_path: Path
) -> None:
    gateway.kill()
    with socket.socket() as silent:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        silent.bind(("127.0.0.1", gateway.port))
        silent.listen()
        one = source(real, start={NAME: ("touch", str(tmp_path / "started"))})
        ended = await repair(one, Verb.RECONNECT, ALPHA, tmp_path / "locks")
    assert ended.state is AttemptState.FAILED and "does not answer" in ended.original
    assert not (tmp_path / "started").exists()


async def test_a_rotated_certificate_is_told_from_a_dead_gateway(
    real: Kit, gateway: LiveGateway, tmp_path: Path
) -> None:
    kits.need("openssl")
    for name in ("old", "new"):
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"),
                *("ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", "/CN=me"),
                *("-addext", "subjectAltName=IP:127.0.0.1"),
                *("-keyout", str(tmp_path / f"{name}.key"), "-out", str(tmp_path / f"{name}.crt")),
            ],
            check=True,
            capture_output=True,
            timeout=30,
        )
    gateway.kill()
    shutil.rmtree(gateway.folder)
    gateway.tls = (tmp_path / "new.key", tmp_path / "new.crt")
    gateway.register("https", "mtls")
    bundle = gateway.folder / "openshell" / "gateways" / NAME / "mtls"
    seen = await source(real).observer.observe()
    assert "is missing on this machine" in front(seen).reason
    bundle.mkdir()
    for target, made in (("ca.crt", "old.crt"), ("tls.crt", "old.crt"), ("tls.key", "old.key")):
        shutil.copy(tmp_path / made, bundle / target)
    gateway.start()
    one = source(real, start={NAME: ("touch", str(tmp_path / "started"))})
    seen = await one.observer.observe()
    assert front(seen).state is GatewayState.WRONG and "another identity" in front(seen).reason
    ended = await repair(one, Verb.RECONNECT, ALPHA, tmp_path / "locks")
    assert ended.state is AttemptState.FAILED and "another identity" in ended.original
    assert not (tmp_path / "started").exists()


async def test_a_killed_gateway_is_started_and_the_sandbox_proven(
    real: Kit, gateway: LiveGateway, tmp_path: Path
) -> None:
    one = source(real, start={NAME: gateway.starter()})
    gateway.kill()
    ended = await repair(one, Verb.RECONNECT, ALPHA, tmp_path / "locks")
    assert ended.state is AttemptState.DONE, ended
    assert "connection refused" in ended.original
    assert [step.name for step in ended.steps][-3:] == ["sandbox", "forward", "connect"]
    done = await ran(one.actor, ALPHA, ["sh", "-c", "echo here; exit 4"], 20, ShellChoice())
    assert (done.stdout, done.code) == (b"here\n", 4)


async def test_a_stopped_sandbox_is_woken(real: Kit, gateway: LiveGateway, tmp_path: Path) -> None:
    gateway.order(phase={"beta": STOPPED})
    ended = await repair(source(real), Verb.WAKE, BETA, tmp_path / "locks")
    assert ended.state is AttemptState.DONE, ended
    seen = await source(real).observer.observe()
    assert [one.state for one in seen.sandboxes] == [SandboxState.READY, SandboxState.READY]


async def test_a_lost_supervisor_and_a_missing_sandbox_are_named(
    real: Kit, gateway: LiveGateway
) -> None:
    gateway.order(fault="supervisor")
    one = source(real)
    steps = await link_steps(one.actor, ALPHA)
    assert steps[-1].transient and "supervisor session not connected" in steps[-1].detail
    verdict = await one.observer.probe(SandboxId("os", f"{NAME}/nobody"))
    assert verdict.kind is VerdictKind.TERMINAL and "no sandbox nobody" in verdict.reason


async def test_a_shell_knows_its_size_and_its_loss(real: Kit, gateway: LiveGateway) -> None:
    shell = source(real).actor.shell(ALPHA, ShellChoice(shell="sh"))
    await shell.open(101, 31)
    output = b""
    try:
        async with asyncio.timeout(60):
            await shell.write(b"stty size\n")
            while b"31 101" not in output:
                data = await shell.read()
                assert isinstance(data, bytes), data
                output += data
            await shell.resize(77, 22)
            while b"22 77" not in output:
                await shell.write(b"stty size\n")
                data = await shell.read()
                assert isinstance(data, bytes), data
                output += data
            gateway.kill()
            while isinstance(data := await shell.read(), bytes):
                output += data
    finally:
        await shell.close()
    assert isinstance(data, CloseReason)
    assert data.state is ShellState.LOST and data.code is None, data


async def test_a_log_survives_the_death_of_its_gateway(
    real: Kit, gateway: LiveGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.logs.follower.FIRST_WAIT_S", 0.2)
    observer = source(real).observer

    def reader(since: float | None) -> AsyncIterator[LogRecord]:
        return observer.logs(ALPHA, "", since)

    async with followed(reader, SystemClock()) as told:
        await eventually(lambda: len(told) >= 4)
        gateway.kill()
        await eventually(lambda: bool(notes(told)))
        gateway.start()
        again = len(own(told))
        await eventually(lambda: len(own(told)) > again + 3)
    lines = own(told)
    assert len(lines) == len(set(lines))
    assert all("[gateway" in line for line in lines)


def settings(real: Kit, gateway: LiveGateway) -> Settings:
    table = OpenShellTable(
        binary=real.cli(), interval_s=1.0, start={NAME: tuple(gateway.starter())}
    )
    return Settings("default", (SourceSettings("os", "openshell", table),), animation=False)


async def test_one_key_in_a_live_panel_brings_a_killed_gateway_back(
    real: Kit, gateway: LiveGateway, tmp_path: Path
) -> None:
    chosen = settings(real, gateway)
    clock = SystemClock()
    app = WakedeckApp(chosen, open_sources(chosen, clock), clock, state=tmp_path)
    async with app.run_test(size=(160, 45)) as pilot:

        async def wait(holds: Callable[[], bool]) -> float:
            began = time.monotonic()
            await eventually(
                holds,
                what=lambda: (
                    [(one.session.shell.reason, one.emulator.display[:3]) for one in app.shells],
                    app.engine.board.sandboxes,
                ),
            )
            await pilot.pause()
            return time.monotonic() - began

        def state() -> GatewayState | None:
            return next((one.state for one in app.engine.board.gateways.values()), None)

        await wait(lambda: state() is GatewayState.READY and len(app.engine.board.sandboxes) == 2)
        gateway.kill()
        took = await wait(lambda: state() is GatewayState.DOWN)
        assert took < 10, "generous: 5 s on an idle machine"
        assert app.dashboard.query_one(GatewayPane).table.total == 1
        await pilot.press("r")
        await wait(
            lambda: (
                (attempt := app.engine.latest_attempt(ALPHA)) is not None
                and attempt.state is AttemptState.DONE
            )
        )
        await wait(lambda: state() is GatewayState.READY)
        await pilot.press("s")
        await wait(lambda: any(one.session.shell.state is ShellState.OPEN for one in app.shells))
        (shell,) = app.shells
        await pilot.press(*"echo", "space", *"deep$((40", "+", *"2))", "enter")
        await wait(lambda: "deep42" in "".join(shell.emulator.display))
        app.action_leave()
        await wait(lambda: not app.is_running)


def test_reconnect_from_the_command_line(real: Kit, gateway: LiveGateway, tmp_path: Path) -> None:
    file = tmp_path / "wakedeck.toml"
    argv = ", ".join(f'"{word}"' for word in gateway.starter())
    file.write_text(
        f'[sources.os]\nkind = "openshell"\nbinary = "{real.cli()}"\n'
        f"[sources.os.start]\n{NAME} = [{argv}]\n"
    )
    last = gateway.folder / "openshell" / "gateways" / NAME / "last_sandbox"
    last.write_text("default\nalpha\n")
    gateway.kill()
    done = subprocess.run(
        [
            *(sys.executable, "-c", "from tui.cli.main import main; main()"),
            *("--config", str(file), "reconnect", "os/alpha"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=dict(os.environ),
        cwd=Path(__file__).resolve().parents[4],
    )
    assert done.returncode == 0, done.stderr
    assert "connection refused" in done.stderr + done.stdout
    names = [line.split()[0] for line in done.stderr.splitlines() if line.strip()]
    assert list(dict.fromkeys(names)) == [
        *("check", "select", "start", "wait", "sandbox", "forward", "connect")
    ]
