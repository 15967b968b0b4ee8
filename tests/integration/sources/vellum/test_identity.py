"""Who answers and who lives, over real processes: nothing here is taken for what it is not."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from services.models import (
    AttemptState,
    Gateway,
    GatewayState,
    Sandbox,
    SandboxState,
    Step,
    StepState,
    Verb,
)
from services.process.identity import ProcessId
from services.repair.limits import Limits
from services.sources.vellum import http_probe
from services.sources.vellum.http_probe import HttpOutcome
from tests.support.ports import free_port
from tests.support.vellum import ACCESS, ID, REFRESH, SANDBOX, Bench, Ground
from tests.support.vellum_processes import GATEWAY, Processes

pytestmark = pytest.mark.real_identity
LIMITS = replace(Limits(), verify_s=10.0, settling_s=20.0)


@dataclass
class Site:
    """One registered assistant with a good credential; nothing of it runs yet."""

    port: int
    ground: Ground
    processes: Processes

    def bench(self) -> Bench:
        return Bench(self.ground.open(), self.ground.root / "locks", LIMITS)

    def gateway(self, port: int | None = None) -> subprocess.Popen[bytes]:
        """A gateway of its own, known by its folder, and recorded."""
        where = self.port if port is None else port
        child = self.processes.listener(where, GATEWAY, str(self.ground.instance))
        self.ground.write_pid("gateway.pid", str(child.pid))
        return child

    def daemon(self) -> subprocess.Popen[bytes]:
        child = self.processes.idle("--vellum-daemon", str(self.ground.instance))
        self.ground.write_pid("workspace/vellum.pid", str(child.pid))
        return child

    def starts_gateway(self, *, dies: bool = False) -> None:
        """The command starts a gateway that listens, or ends at once; it says all is well."""
        words = [GATEWAY, str(self.ground.instance)]
        script = self.ground.root / "gateway.py"
        script.write_text(_GATEWAY)
        code = (
            "import pathlib, subprocess, sys\n"
            f"argv = [sys.executable, '-S', {str(script)!r}, '{self.port}', *{words!r}]\n"
            f"child = subprocess.Popen({['true'] if dies else None!r} or argv,\n"
            "    start_new_session=True, stdin=-3, stdout=-3, stderr=-3)\n"
            f"pathlib.Path({str(self.ground.instance)!r}, '.vellum/gateway.pid')"
            ".write_text(str(child.pid))\n"
            f"pathlib.Path({str(self.ground.root)!r}, 'pid').write_text(str(child.pid))\n"
        )
        self.ground.command(self.ground.python(code))


_GATEWAY = """
import http.server, sys
class Peer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{"status": "ok", "ready": true}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Peer).serve_forever()
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    port = free_port()
    ground = Ground(tmp_path, port)
    ground.write_token()
    ground.command()
    with Processes(tmp_path) as processes:
        made = Site(port, ground, processes)
        try:
            yield made
        finally:
            started = tmp_path / "pid"
            if started.exists():
                subprocess.run(["kill", "-9", started.read_text()], check=False, stderr=-3)


async def rows(site: Site) -> tuple[Gateway, Sandbox]:
    seen = await site.ground.open().observer.observe()
    return seen.gateways[0], seen.sandboxes[0]


async def test_its_own_gateway_serves_and_takes_the_credential(site: Site) -> None:
    site.gateway()
    gateway, sandbox = await rows(site)
    assert (gateway.state, sandbox.state) == (GatewayState.READY, SandboxState.READY)
    assert sandbox.needs == (gateway.id,)
    async with site.bench() as bench:
        done = await bench.press(Verb.RECONNECT)
    assert done.state is AttemptState.DONE, done
    assert f"Bearer {ACCESS}" in site.processes.received()


@pytest.mark.parametrize("recorded", [False, True], ids=["unrecorded", "recorded"])
@pytest.mark.parametrize("access_s", [3600, -10], ids=["valid", "expired"])
async def test_a_stranger_on_the_port_gets_no_byte_of_a_credential(
    site: Site, recorded: bool, access_s: float
) -> None:
    """It answers every probe as a gateway would, and its number may even be in our pid file."""
    stranger = site.processes.listener(site.port, "dashboard")
    if recorded:
        site.ground.write_pid("gateway.pid", str(stranger.pid))
    site.ground.write_token(access_s=access_s)
    site.ground.command("echo token; exit 0")
    gateway, sandbox = await rows(site)
    assert gateway.state is GatewayState.WRONG
    assert f"Port {site.port} is used by" in gateway.reason
    assert f"(pid {stranger.pid})" in gateway.reason
    assert sandbox.state is not SandboxState.READY
    async with site.bench() as bench:
        for verb in Verb:
            done = await bench.press(verb)
            assert done.state is AttemptState.FAILED
        # The link steps by themselves, without the look before them.
        steps = [one async for one in bench.source.actor.connect(SANDBOX)]
        assert isinstance(steps[-1], Step)
        assert steps[-1].state is StepState.FAILED
    heard = site.processes.received()
    assert "uthorization" not in heard
    assert ACCESS not in heard
    assert REFRESH not in heard
    assert site.ground.called() == [], "the command would hand it the credential too"


async def test_a_listener_that_changes_under_our_hands_gets_nothing(site: Site) -> None:
    """The same process has to prove itself before the connection is made and after."""
    site.processes.listener(site.port, "dashboard")
    gateway, other = ProcessId(1, 1, "boot"), ProcessId(2, 1, "boot")
    for proofs in ([None], [gateway, None], [gateway, other]):
        told = iter(proofs)
        reply = await http_probe.mint(site.port, ACCESS, 5.0, lambda told=told: next(told))  # type: ignore[misc]
        assert reply.answer is HttpOutcome.UNPROVEN
    assert site.processes.received() == ""
    reply = await http_probe.mint(site.port, ACCESS, 5.0, lambda: gateway)
    assert reply.status == 200
    assert ACCESS in site.processes.received()


async def test_two_entries_on_one_port_both_say_so_and_the_owner_serves(site: Site) -> None:
    second = {**site.ground.entry(site.port), "assistantId": "two", "name": "Two"}
    second["resources"] = {"instanceDir": str(site.ground.home / "two"), "gatewayPort": site.port}
    site.ground.write_lockfile([site.ground.entry(site.port), second])
    site.gateway()
    seen = await site.ground.open().observer.observe()
    first, other = seen.gateways
    assert (first.state, other.state) == (GatewayState.READY, GatewayState.WRONG)
    assert first.reason == f"Port {site.port} is also that of Two."
    assert f"Port {site.port} is also that of Stub One" in other.reason
    assert seen.sandboxes[1].state is not SandboxState.READY


async def test_a_number_that_lives_is_not_a_process_that_lives(site: Site) -> None:
    other = site.processes.idle("somebody-else")
    site.ground.write_pid("workspace/vellum.pid", str(other.pid))
    gateway, sandbox = await rows(site)
    assert (gateway.state, sandbox.state) == (GatewayState.DOWN, SandboxState.DOWN)
    assert f"its pid {other.pid} is another program's" in sandbox.reason


@pytest.mark.parametrize(
    ("of", "state"), [("ours", SandboxState.SETTLING), ("another", SandboxState.ASLEEP)]
)
async def test_only_a_wake_of_the_same_registry_starts_it(
    site: Site, of: str, state: SandboxState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The assistant of another home may have the same name."""
    home = site.ground.home if of == "ours" else site.ground.root / "elsewhere"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    command = site.processes.idle("vellum", "wake", ID)
    _, sandbox = await rows(site)
    assert sandbox.state is state
    assert (f"vellum command (pid {command.pid})" in sandbox.reason) is (of == "ours")


@pytest.mark.parametrize("served", ["notes-of-vellum", "instance"])
async def test_what_is_only_given_a_folder_of_vellums_is_no_gateway(
    site: Site, served: str
) -> None:
    """A web server on its port that shows a folder: its arguments name the port and vellum."""
    folder = site.ground.instance if served == "instance" else site.ground.root / served
    stranger = site.processes.listener(site.port, "--directory", str(folder / "vellum"))
    site.ground.write_pid("gateway.pid", str(stranger.pid))
    gateway, _ = await rows(site)
    assert gateway.state is GatewayState.WRONG
    assert f"(pid {stranger.pid})" in gateway.reason
    steps = [one async for one in site.ground.open().actor.connect(SANDBOX)]
    assert isinstance(steps[-1], Step)
    assert steps[-1].state is StepState.FAILED
    assert ACCESS not in site.processes.received()


async def test_asleep_on_purpose_needs_no_attention(site: Site) -> None:
    _, sandbox = await rows(site)
    assert sandbox.state is SandboxState.ASLEEP
    assert sandbox.asleep_by_design


async def test_a_gateway_killed_soon_after_its_start_is_woken_at_once(site: Site) -> None:
    site.daemon()
    gateway = site.gateway()
    site.ground.write_pid("gateway.pid", str(gateway.pid), age_s=1)
    source = site.ground.open()
    assert (await source.observer.observe()).gateways[0].state is GatewayState.READY
    site.processes.kill(gateway)
    seen = await source.observer.observe()
    assert seen.gateways[0].state is GatewayState.DOWN
    assert "has stopped" in seen.gateways[0].reason
    site.starts_gateway()
    async with site.bench() as bench:
        done = await bench.press(Verb.WAKE)
    assert done.state is AttemptState.DONE, done
    assert done.wakes == 1
    wait = next(step for step in done.steps if step.name == "wait")
    assert wait.started_at is not None
    assert wait.ended_at is not None
    assert 5 <= wait.ended_at - wait.started_at < 10, "it is watched for five seconds"


async def test_a_gateway_that_ends_at_once_ends_the_wait(site: Site) -> None:
    site.daemon()
    site.starts_gateway(dies=True)
    async with site.bench() as bench:
        done = await bench.press(Verb.WAKE)
    assert done.state is AttemptState.FAILED
    assert "The gateway that was started" in done.last
    assert done.ended_at is not None
    assert done.ended_at - done.started_at < 9, "not the ten seconds of verifying"
    assert site.ground.called() == [f"wake {ID}"]


async def test_a_command_that_waits_for_a_dead_gateway_is_ended(site: Site) -> None:
    """The real one waits 30 s for it."""
    site.daemon()
    site.starts_gateway(dies=True)
    script = site.ground.bin / "vellum"
    script.write_text(f"{script.read_text()}\nexec sleep 60\n")
    async with site.bench() as bench:
        done = await bench.press(Verb.WAKE)
    assert done.state is AttemptState.FAILED
    assert "The gateway that was started" in done.last
    assert done.ended_at is not None
    assert done.ended_at - done.started_at < 15


async def test_the_end_of_a_recorded_process_is_news(site: Site) -> None:
    gateway = site.gateway()
    observer = site.ground.open().observer
    await observer.observe()
    site.processes.kill(gateway)
    await observer.news()  # type: ignore[attr-defined]


async def test_a_broken_registry_is_a_broken_file(site: Site) -> None:
    source = site.ground.open()
    site.gateway()
    await source.observer.observe()
    site.ground.lockfile.write_text("<html>")
    async with site.bench() as bench:
        done = await bench.press(Verb.WAKE)
    assert "list of assistants (lockfile" in done.original
    assert site.ground.called() == []
