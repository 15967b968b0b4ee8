"""The real vellum command over stand-in services: what the panel sees is what happens."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.clock import SystemClock
from services.config.sources import VellumTable
from services.models import AttemptState, GatewayState, Verb
from services.repair.limits import Limits
from services.sources.protocol.source import OpenSource
from services.sources.protocol.verdict import VerdictKind
from services.sources.vellum.limits import WATCH_S
from services.sources.vellum.source import open_vellum
from tests.support.vellum import SANDBOX, Bench, Peer, serving, until
from tests.support.vellum_cli import CLI, OLD_CLI, Stub, had
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow
LIMITS = replace(Limits(), verify_s=10.0, settling_s=15.0)


@pytest.fixture(params=[CLI])
def stub(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Stub]:
    # A socket's path must be short.
    made = Stub(tmp_path_factory.mktemp("v"), had(request.param))
    try:
        yield made
    finally:
        made.end()


older_too = pytest.mark.parametrize("stub", [CLI, OLD_CLI], indirect=True, ids=["0.11.2", "0.10.5"])


def opened(stub: Stub) -> OpenSource:
    return open_vellum("vellum", VellumTable(), SystemClock(), stub.environ)


def bench(stub: Stub, locks: Path) -> Bench:
    return Bench(opened(stub), locks, LIMITS)


@older_too
async def test_cold_start_then_killed_gateway_then_two_panels(stub: Stub, tmp_path: Path) -> None:
    async with bench(stub, tmp_path) as one, bench(stub, tmp_path) as two:
        cold = await one.press(Verb.RECONNECT)
        assert cold.state is AttemptState.DONE, cold
        assert cold.wakes == 1
        assert cold.original == "It is asleep."
        details = {step.detail for told in one.told for step in told.steps}
        assert "starting the gateway" in details
        before = stub.pids()
        assert set(before) >= {"workspace/vellum.pid", "gateway.pid"}

        again = await one.press(Verb.RECONNECT)
        assert (again.state, again.wakes) == (AttemptState.DONE, 0)
        assert stub.pids() == before

        stub.kill("gateway.pid")
        verdict = await one.source.observer.probe(SANDBOX)
        assert verdict.kind is not VerdictKind.READY
        handles = [x.attempts.request(Verb.RECONNECT, SANDBOX) for x in (one, two)]
        async with asyncio.timeout(180):
            ended = [await handle.wait() for handle in handles]
        assert [x.state for x in ended] == [AttemptState.DONE] * 2, ended
        assert sum(x.wakes for x in ended) == 1
        after = stub.pids()
        assert after["workspace/vellum.pid"] == before["workspace/vellum.pid"]
        assert after["gateway.pid"] != before["gateway.pid"]


async def test_a_wake_that_ends_well_over_a_dead_gateway_is_a_failure(
    stub: Stub, tmp_path: Path
) -> None:
    stub.mode.write_text("exit")
    async with bench(stub, tmp_path) as one:
        async with asyncio.timeout(240):
            done = await one.attempts.request(Verb.RECONNECT, SANDBOX).wait()
        stub.pids()
        assert done.state is AttemptState.FAILED
        assert (done.wakes, done.connects) == (1, 0)
        assert done.original == "It is asleep."
        # The command would wait 30 s for it and then say that all is well.
        start = next(step for step in done.steps if step.name == "start")
        assert start.state.value == "failed"
        assert "The gateway that was started" in done.last
        assert start.started_at is not None
        assert start.ended_at is not None
        assert start.ended_at - start.started_at < 15


async def test_two_panels_at_once_over_a_sleeping_one(stub: Stub, tmp_path: Path) -> None:
    """Invariant 9, cold: the second waits, sees it serve, and wakes nothing."""
    async with bench(stub, tmp_path) as one, bench(stub, tmp_path) as two:
        handles = [x.attempts.request(Verb.RECONNECT, SANDBOX) for x in (one, two)]
        async with asyncio.timeout(180):
            ended = [await handle.wait() for handle in handles]
        assert [x.state for x in ended] == [AttemptState.DONE] * 2, ended
        assert sum(x.wakes for x in ended) == 1
        assert len(stub.pids()) == 3


async def test_a_restart_is_the_real_sleep_and_the_real_wake(stub: Stub, tmp_path: Path) -> None:
    async with bench(stub, tmp_path) as one:
        assert (await one.press(Verb.WAKE)).state is AttemptState.DONE
        before = stub.pids()
        assert one.source.proposer is not None
        proposal = await one.source.proposer.propose(SANDBOX, "restart")
        async with asyncio.timeout(240):
            done = await one.attempts.carry_out(proposal).wait()
        assert done.state is AttemptState.DONE, done
        after = stub.pids()
        for name in ("workspace/vellum.pid", "gateway.pid"):
            assert after[name] != before[name]


@older_too
async def test_without_bun_the_error_is_the_same_and_says_why(stub: Stub, tmp_path: Path) -> None:
    """Row 27, invariant 17: with the command there and its runtime gone."""
    stub.environ["PATH"] = f"{stub.tools.cli}:/usr/bin:/bin"
    async with bench(stub, tmp_path) as one:
        done = await one.press(Verb.RECONNECT)
    assert (done.state, done.wakes) == (AttemptState.FAILED, 0)
    assert done.original == "It is asleep."
    assert "it needs bun, which is not on the PATH" in done.advice
    assert stub.pids() == {}


async def test_a_foreign_program_on_the_assistants_port_is_never_called_serving(
    stub: Stub, tmp_path: Path
) -> None:
    """The command ends well and writes the stranger's pid down as its own; it is left alive."""
    code = (
        "import http.server as h, sys\n"
        "class Any(h.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200); self.end_headers(); self.wfile.write(b'welcome')\n"
        "h.HTTPServer(('127.0.0.1', int(sys.argv[1])), Any).serve_forever()"
    )
    stranger = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, str(stub.daemon_port)),
        cwd=tmp_path,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with bench(stub, tmp_path) as one:
            async with asyncio.timeout(240):
                done = await one.attempts.request(Verb.WAKE, SANDBOX).wait()
        stub.pids()
        assert done.state is AttemptState.FAILED, done
        assert done.original == "It is asleep."
        assert stranger.returncode is None
    finally:
        stranger.kill()
        await stranger.wait()


async def test_a_docker_entry_is_started_and_judged_by_its_gateway(
    stub: Stub, tmp_path: Path
) -> None:
    """The real command over a docker that writes its arguments down: `start`, and nothing else."""
    raw = json.loads(stub.lockfile.read_text())
    raw["assistants"][0]["cloud"] = "docker"
    stub.lockfile.write_text(json.dumps(raw))
    folder, log = tmp_path / "docker", tmp_path / "docker.log"
    folder.mkdir()
    script = folder / "docker"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {log}\n')
    script.chmod(0o755)
    stub.environ["PATH"] = f"{folder}:{stub.environ['PATH']}"

    async def comes_up(peer: Peer) -> None:
        await eventually(lambda: log.exists() and " start" in f" {log.read_text()}")
        await peer.__aenter__()

    peer = Peer(serving(), port=stub.port)
    coming = asyncio.create_task(comes_up(peer))
    try:
        async with bench(stub, tmp_path) as one:
            done = await one.press(Verb.RECONNECT)
            assert (done.state, done.wakes) == (AttemptState.DONE, 1), done
            assert one.source.proposer is not None
            proposal = await one.source.proposer.propose(SANDBOX, "restart")
            assert "without a container" in proposal.refusal
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
        await peer.stop()
    asked = log.read_text().splitlines()
    assert len([line for line in asked if line.startswith("start ")]) == 3
    assert not any(line.split()[0] in ("rm", "run", "kill", "stop") for line in asked)


async def test_a_foreign_program_on_the_port_is_named_and_left_alone(
    stub: Stub, tmp_path: Path
) -> None:
    async with Peer({"/healthz": (200, {"status": "other"})}, port=stub.port) as peer:
        async with bench(stub, tmp_path) as one:
            done = await one.press(Verb.WAKE)
        assert done.state is AttemptState.FAILED
        assert f"answers on port {stub.port}, but not as a gateway does" in done.original
        assert stub.pids() == {}
        assert peer.asked("/healthz") >= 1


async def test_a_cancelled_wake_leaves_what_came_up_and_the_next_adopts_it(
    stub: Stub, tmp_path: Path
) -> None:
    async with bench(stub, tmp_path) as one:
        handle = one.attempts.request(Verb.WAKE, SANDBOX)
        await until(lambda: "workspace/vellum.pid" in stub.pids())
        handle.cancel()
        async with asyncio.timeout(60):
            cancelled = await handle.wait()
        assert cancelled.state is AttemptState.CANCELLED
        daemon = stub.pids()["workspace/vellum.pid"]
        # However young what was begun is, the next wake does not wait for it.
        done = await one.press(Verb.WAKE)
        assert done.original != "It is asleep."
        assert next(step for step in done.steps if step.name == "check").state.value == "ok"
        assert done.wakes == 1
        assert done.state is AttemptState.DONE, done
        assert stub.pids()["workspace/vellum.pid"] == daemon


@pytest.mark.real_identity
async def test_a_gateway_killed_soon_after_its_start_is_back_and_watched(
    stub: Stub, tmp_path: Path
) -> None:
    """What answers again is watched for five seconds before it is called serving."""
    async with bench(stub, tmp_path) as one:
        assert (await one.press(Verb.WAKE)).state is AttemptState.DONE
        stub.kill("gateway.pid")
        gateway = (await one.source.observer.observe()).gateways[0]
        assert gateway.state is GatewayState.DOWN
        assert "has stopped" in gateway.reason
        one.told.clear()
        began = time.monotonic()
        handle = one.attempts.request(Verb.WAKE, SANDBOX)

        def watched() -> bool:
            return any("being watched" in step.detail for step in handle.attempt.steps)

        await eventually(watched)
        answering = time.monotonic() - began
        async with asyncio.timeout(60):
            done = await handle.wait()
        assert (done.state, done.wakes) == (AttemptState.DONE, 1), done
        assert time.monotonic() - began >= answering + WATCH_S - 1
        assert answering < 20
