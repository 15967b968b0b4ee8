"""Conditions, exit codes and health over gRPC, from a gateway process that speaks it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.clock import SystemClock
from services.config.sources import OpenShellTable
from services.models import GatewayState, Observation, SandboxId, SandboxState
from services.sources.openshell import grpc_client
from services.sources.openshell.records import Registration
from services.sources.openshell.source import open_openshell
from services.sources.protocol.source import OpenSource
from services.sources.protocol.verdict import VerdictKind
from tests.support import kits
from tests.support.openshell_kit import installed_stubs, kit
from tests.support.openshell_live import NAME, LiveGateway, live_gateway
from tests.support.openshell_script import Script, script
from tests.support.ports import free_port
from tests.support.tls import Authority

ERROR, PROVISIONING = 3, 1
ALPHA = SandboxId("os", f"{NAME}/alpha")
ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveGateway]:
    with live_gateway(installed_stubs(), tmp_path, monkeypatch, "alpha", "beta") as made:
        yield made


def seen_by(made: LiveGateway, folder: Path, patch: pytest.MonkeyPatch, **state: object) -> Script:
    """A CLI that knows this gateway, and lists its sandboxes without a reason."""
    told = {
        "gateways": {NAME: "connected"},
        "active": NAME,
        "endpoint": f"http://127.0.0.1:{made.port}",
        "sandboxes": {NAME: {"alpha": "Error", "beta": "Provisioning"}},
        **state,
    }
    played = script(folder / "os", patch, **told)
    patch.setenv("XDG_CONFIG_HOME", str(made.folder))
    return played


def source() -> OpenSource:
    return open_openshell("os", OpenShellTable(), SystemClock())


async def look() -> Observation:
    return await source().observer.observe()


async def test_reasons_and_exit_codes_that_no_list_tells(
    gateway: LiveGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen_by(gateway, tmp_path, monkeypatch)
    gateway.order(
        phase={"alpha": ERROR, "beta": PROVISIONING},
        exits={"alpha": 137},
        conditions={
            "alpha": ["Ready", "False", "OOMKilled", "out of \x1b[2Jmemory"],
            "beta": ["Ready", "False", "SupervisorNotConnected", ""],
        },
    )
    alpha, beta = (await look()).sandboxes
    assert alpha.reason == "In Error: its main process ended with exit code 137, signal 9 (" + (
        "OOMKilled: out of memory)."
    )
    assert (alpha.state, beta.state) == (SandboxState.BROKEN, SandboxState.SETTLING)
    assert beta.reason == "Provisioning (SupervisorNotConnected)."
    told = dict(alpha.evidence)
    assert told["condition Ready"] == "False, OOMKilled, out of memory"
    assert told["exit code"] == "137"
    verdict = await source().observer.probe(ALPHA)
    assert verdict.kind is VerdictKind.TERMINAL and "OOMKilled" in verdict.reason


async def test_a_degraded_gateway_is_named(
    gateway: LiveGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen_by(gateway, tmp_path, monkeypatch)
    gateway.order(fault="degraded")
    (front,) = (await look()).gateways
    assert front.state is GatewayState.READY
    assert front.reason == "It answers, but calls itself degraded."
    assert ("health", "degraded") in front.evidence


async def test_every_page_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"box-{n:03}" for n in range(205)]
    with live_gateway(installed_stubs(), tmp_path, monkeypatch, *names) as made:
        made.order(conditions={name: ["Ready", "True", "", ""] for name in names})
        known = Registration(NAME, f"http://127.0.0.1:{made.port}", auth="plaintext")
        told = await grpc_client.ask(known, "0.0.111")
        assert len(told.sandboxes) == 205 and not told.problem


async def test_the_client_shows_its_certificate(
    gateway: LiveGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kits.need("openssl")
    authority = Authority(tmp_path / "ca")
    served, key = authority.issue("server", "127.0.0.1")
    mine, mine_key = authority.issue("me", use="clientAuth")
    gateway.kill()
    gateway.tls = (key, served, authority.certificate)
    gateway.start()
    gateway.order(conditions={"beta": ["Ready", "False", "Starting", ""]})
    seen_by(
        gateway, tmp_path, monkeypatch, auth="mtls", endpoint=f"https://127.0.0.1:{gateway.port}"
    )
    (front,) = (await look()).gateways
    assert "certificates cannot be read" in dict(front.evidence)["reasons"]
    bundle = gateway.folder / "openshell" / "gateways" / NAME / "mtls"
    bundle.mkdir()
    pairs = (("ca.crt", authority.certificate), ("tls.crt", mine), ("tls.key", mine_key))
    for name, made in pairs:
        shutil.copy(made, bundle / name)
    seen = await look()
    assert seen.sandboxes[1].reason == "Provisioning (Starting)."
    assert "reasons" not in dict(seen.gateways[0].evidence)
    other = Authority(tmp_path / "other")
    shutil.copy(other.certificate, bundle / "ca.crt")
    (front,) = (await look()).gateways
    assert dict(front.evidence)["reasons"] == "not to be had: unavailable"


async def test_a_wire_that_says_nothing_costs_the_reasons_and_no_row(
    gateway: LiveGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        place = f"http://127.0.0.1:{silent.getsockname()[1]}"
        seen_by(gateway, tmp_path, monkeypatch, endpoint=place)
        seen = await look()
    assert [one.name for one in seen.sandboxes] == ["alpha", "beta"]
    assert not any(one.stale for one in seen.sandboxes)
    assert dict(seen.gateways[0].evidence)["reasons"].startswith("not to be had")


@pytest.mark.parametrize(
    ("stubs", "auth", "version", "words"),
    [
        ((0, 1, 5), "plaintext", "0.0.111", "not of its version"),
        ((0, 0, 116), "plaintext", "", "not of its version"),
        ((0, 0, 116), "oidc", "0.0.111", "login oidc"),
        ((0, 0, 116), "cloudflare_jwt", "0.0.111", "login cloudflare_jwt"),
        (None, "plaintext", "0.0.111", ""),
    ],
)
async def test_where_it_cannot_be_spoken_the_cli_is_enough(
    monkeypatch: pytest.MonkeyPatch,
    stubs: tuple[int, int, int] | None,
    auth: str,
    version: str,
    words: str,
) -> None:
    monkeypatch.setattr(grpc_client, "stubs", lambda: stubs)
    told = await grpc_client.ask(Registration("g", "http://127.0.0.1:1", auth=auth), version)
    assert not told.sandboxes and words in told.problem and bool(words) is bool(told.problem)


_ASK = """\
import asyncio, sys
from services.sources.openshell import grpc_client
from services.sources.openshell.records import Registration, SandboxRow
where = Registration("stub", sys.argv[1], auth="plaintext")
told = asyncio.run(grpc_client.ask(where, sys.argv[2]))
print(told.problem or told.completed(SandboxRow("alpha", "Error")).why)
"""


@pytest.mark.parametrize("version", ["0.0.111", "0.1.5"])
def test_both_lines_of_the_stubs_are_spoken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """The stubs of two lines cannot be loaded into one process: each asks from one of its own."""
    stubs = kit().stubs(version)
    with live_gateway(stubs, tmp_path, monkeypatch) as made:
        made.order(conditions={"alpha": ["Ready", "False", "ImagePullFailed", "no such image"]})
        done = subprocess.run(
            [sys.executable, "-c", _ASK, f"http://127.0.0.1:{made.port}", version],
            env={**os.environ, "PYTHONPATH": os.pathsep.join((stubs.path, str(ROOT)))},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.stdout.strip(), done.stderr) == ("ImagePullFailed: no such image", "")


_LIFE = """\
import asyncio, json, sys
from services.sources.openshell import grpc_client, life_words, phases
from services.sources.openshell.records import Registration, SandboxRow
where = Registration("stub", sys.argv[1], auth="plaintext")
told = asyncio.run(grpc_client.ask(where, "0.1.5"))
row = told.completed(SandboxRow("alpha", "Starting"))
print(json.dumps([phases.reason_of(row, 1_800_000_000.0), life_words.needs_person(row),
                  dict(life_words.facts(row, 1_800_000_000.0)), told.problem]))
"""


def test_the_life_of_a_sandbox_is_told_by_a_gateway_of_0_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a gateway of ours that speaks the published stubs of 0.1.5."""
    stubs = kit().stubs("0.1.5")
    with live_gateway(stubs, tmp_path, monkeypatch) as made:
        made.order(
            conditions={"alpha": ["Ready", "False", "CrashLoop", ""]},
            life={
                "alpha": {
                    "restart_count": 57,
                    "next_restart_time": "2027-01-15T08:01:40Z",
                    "endpoint_statuses": [
                        {
                            "host": "tools.example.com",
                            "ports": [443],
                            "last_result": "ENDPOINT_RESULT_CREDENTIAL_UNAVAILABLE",
                            "last_reported_time": "2027-01-15T07:59:00Z",
                        }
                    ],
                    "configuration_admission": {
                        "state": "CONFIGURATION_ADMISSION_STATE_REJECTED",
                        "error": "unknown provider",
                    },
                }
            },
        )
        done = subprocess.run(
            [sys.executable, "-c", _LIFE, f"http://127.0.0.1:{made.port}"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join((stubs.path, str(ROOT)))},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    reason, waits, facts, problem = json.loads(done.stdout or "[0, 0, 0, 0]")
    assert (problem, done.stderr) == ("", "")
    assert reason == (
        "Configuration refused: unknown provider. Starting ↻ 57: next try in 1m40 (CrashLoop)."
    )
    assert waits == "Configuration refused: unknown provider."
    assert facts["endpoint tools.example.com:443"] == "credentials missing, 60 s ago"


def test_nothing_of_it_is_loaded_before_it_is_asked() -> None:
    code = (
        "import sys\n"
        "from services.clock import SystemClock\n"
        "from services.config.sources import OpenShellTable\n"
        "from services.sources.openshell.source import open_openshell\n"
        "open_openshell('os', OpenShellTable(), SystemClock())\n"
        "sys.exit('grpc' in sys.modules or 'openshell' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 0


async def test_a_refused_wire_writes_nothing_on_the_operators_terminal(
    capfd: pytest.CaptureFixture[str],
) -> None:
    installed_stubs()
    known = Registration("g", f"http://127.0.0.1:{free_port()}", auth="plaintext")
    told = await asyncio.wait_for(grpc_client.ask(known, "0.0.111"), 60)
    assert told.problem in ("unavailable", "deadline_exceeded", "no answer in time")
    assert capfd.readouterr().err == ""
