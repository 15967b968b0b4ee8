"""Every fault of certificates and more strikes at once, under a live panel and the real command.

Each gateway has its true name within the five seconds of a look, and nothing is ever done for one.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from services.clock import SystemClock
from services.config.settings import Settings, SourceSettings
from services.config.sources import OpenShellTable
from services.models import GatewayId, GatewayState, SandboxId, Verb
from services.sources.registry import open_sources
from tests.integration.sources.openshell.test_commands import run
from tests.support.certificates import Pem, bundle, pem
from tests.support.openshell_kit import kit
from tests.support.openshell_live import LiveGateway
from tests.support.ports import free_port
from tests.support.waiting import eventually
from tui.app import WakedeckApp

LIMIT_S = 5.0
DAY = 86_400.0
NOW = time.time()
SPAN = (NOW - DAY, NOW + 30 * DAY)
OVER = (NOW - 9 * DAY, NOW - DAY)
AHEAD = (NOW + DAY, NOW + 9 * DAY)
HERE = "127.0.0.1"
CA = pem("authority", *SPAN)
OTHER = pem("another authority", *SPAN)
NAMESAKE = pem("authority", *SPAN)
SERVER = pem("server", *SPAN, CA, HERE)
CLIENT = pem("client", *SPAN, CA)


@dataclass(frozen=True)
class Fault:
    """What is wrong, and what is said of it."""

    state: GatewayState
    words: str
    server: Pem = SERVER
    client: Pem = CLIENT
    ca: Pem = CA
    files: tuple[tuple[str, bytes | None], ...] = ()
    scheme: str = "https"
    tls: bool = True
    up: bool = True


WRONG = GatewayState.WRONG
FAULTS = {
    "well": Fault(GatewayState.READY, ""),
    "client soon": Fault(
        GatewayState.READY,
        "your certificate expires in",
        client=pem("client", NOW - DAY, NOW + 3 * DAY, CA),
    ),
    "client expired": Fault(WRONG, "Your certificate", client=pem("client", *OVER, CA)),
    "client early": Fault(WRONG, "valid only from", client=pem("client", *AHEAD, CA)),
    "client of another": Fault(
        WRONG, "closed the TLS connection", client=pem("client", *SPAN, OTHER)
    ),
    "key garbage": Fault(WRONG, "tls.key", files=(("tls.key", b"rubbish"),)),
    "key empty": Fault(WRONG, "tls.key", files=(("tls.key", b""),)),
    "key missing": Fault(WRONG, "tls.key", files=(("tls.key", None),)),
    "key of another": Fault(WRONG, "does not belong to tls.crt", files=(("tls.key", OTHER.key),)),
    "certificate garbage": Fault(WRONG, "tls.crt", files=(("tls.crt", b"rubbish"),)),
    "certificate missing": Fault(WRONG, "tls.crt", files=(("tls.crt", None),)),
    "CA garbage": Fault(WRONG, "ca.crt", files=(("ca.crt", b"rubbish"),)),
    "CA missing": Fault(WRONG, "ca.crt", files=(("ca.crt", None),)),
    "CA rotated": Fault(WRONG, "another identity", ca=OTHER),
    "CA rotated, same name": Fault(WRONG, "another identity", ca=NAMESAKE),
    "server expired": Fault(WRONG, "expired on", server=pem("server", *OVER, CA, HERE)),
    "server early": Fault(WRONG, "valid only from", server=pem("server", *AHEAD, CA, HERE)),
    "wrong name": Fault(WRONG, "another address", server=pem("server", *SPAN, CA, "10.0.0.1")),
    "https of a plain one": Fault(WRONG, "registered as https", tls=False),
    "plain of a TLS one": Fault(WRONG, "does not answer as it should", scheme="http"),
    "refused": Fault(GatewayState.DOWN, "Connection refused", up=False),
}
STRUCK = {name.replace(" ", "-").replace(",", ""): one for name, one in FAULTS.items()}
OF_ITS_OWN = {
    "stopped": (GatewayState.HUNG, "not answer within"),
    "killed": (GatewayState.DOWN, "Connection refused"),
    "denied": (GatewayState.UNKNOWN, "not allowed"),
    "signed-out": (GatewayState.WRONG, "ot accept this login"),
}
"""Faults of a process, and of what is asked of it; each has a gateway of its own."""
ACTS = frozenset(
    ("start", "stop", "select", "create", "delete", "add", "remove", "destroy", "exec", "login")
)


@dataclass
class Faults:
    """Gateways that are all well until `strike`."""

    folder: Path
    shared: LiveGateway
    ports: dict[Pem, int]
    plain: int
    own: dict[str, LiveGateway]
    cli: Path
    real: str
    binary: str = field(init=False)

    def __post_init__(self) -> None:
        self.binary = str(self.cli)

    def place(self, name: str) -> Path:
        return self.shared.folder / "openshell" / "gateways" / name / "mtls"

    def register(self, name: str, scheme: str, port: int) -> None:
        auth = "mtls" if scheme == "https" else "plaintext"
        self.shared.register(scheme, auth, name, port)

    def strike(self) -> None:
        """All of it, at one instant."""
        for name, fault in STRUCK.items():
            self._tls(name, fault)
        for name, one in self.own.items():
            assert one._process is not None
            match name:
                case "stopped":
                    os.kill(one._process.pid, signal.SIGSTOP)
                case "killed":
                    one.kill()
                case "denied":
                    one.order(fault="denied")
                case _:
                    one.order(fault="unauthenticated")

    def _tls(self, name: str, fault: Fault) -> None:
        place = bundle(self.place(name), fault.client, fault.ca)
        for file, content in fault.files:
            (place / file).unlink() if content is None else (place / file).write_bytes(content)
        port = self.ports[fault.server] if fault.tls else self.plain
        self.register(name, fault.scheme, port if fault.up else free_port())

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    def end(self) -> None:
        for one in (self.shared, *self.own.values()):
            one.kill()


@pytest.fixture
def faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:
    found = kit()
    (tmp_path / "ca").write_bytes(CA.certificate)
    files: dict[Pem, tuple[Path, Path, Path]] = {}
    for number, server in enumerate(dict.fromkeys((SERVER, *(f.server for f in FAULTS.values())))):
        key, certificate = tmp_path / f"key{number}", tmp_path / f"crt{number}"
        key.write_bytes(server.key)
        certificate.write_bytes(server.certificate)
        files[server] = key, certificate, tmp_path / "ca"
    shared = LiveGateway(found.stubs(), tmp_path / "config", ("alpha",), tls=files[SERVER])
    ports = {server: free_port() for server in files if server is not SERVER}
    shared.also = tuple((ports[one], *files[one]) for one in ports)
    own = {n: LiveGateway(found.stubs(), shared.folder, ("alpha",)) for n in OF_ITS_OWN}
    cli = tmp_path / "openshell"
    cli.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$*" >> {shlex.quote(f"{tmp_path}/calls")}\n'
        f'exec {shlex.quote(str(found.cli("0.0.111")))} "$@"\n'
    )
    cli.chmod(0o755)
    plain = own["denied"].port
    made = Faults(
        tmp_path, shared, {SERVER: shared.port, **ports}, plain, own, cli, found.cli("0.0.111")
    )
    for name in STRUCK:
        bundle(made.place(name), CLIENT, CA)
        made.register(name, "https", shared.port)
    for name, gateway in own.items():
        made.register(name, "http", gateway.port)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(shared.folder))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("services.sources.openshell.actor.WAIT_S", 0.5)
    with ThreadPoolExecutor() as pool:
        list(pool.map(LiveGateway.start, (shared, *own.values())))
    try:
        yield made
    finally:
        made.end()


def bare_round(made: Faults, names: Sequence[str]) -> float:
    """Seconds that this machine takes to ask these gateways once, without any panel."""
    began = time.monotonic()
    asked = [
        subprocess.Popen(
            [made.real, "-g", name, "status"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for name in names
    ]
    for one in asked:
        one.wait(60)
    return time.monotonic() - began


def struck(app: WakedeckApp, name: str) -> bool:
    """Whether a gateway has its true name on the board."""
    row = app.engine.board.gateways[GatewayId("os", name)]
    if name in OF_ITS_OWN:
        state, words = OF_ITS_OWN[name]
    else:
        state, words = STRUCK[name].state, STRUCK[name].words
    return row.state is state and words.lower() in row.reason.lower()


@pytest.mark.slow
@pytest.mark.kit("openshell")
async def test_each_fault_has_its_true_name_in_time_and_nothing_is_done_for_it(
    faults: Faults, tmp_path: Path
) -> None:
    names = (*STRUCK, *OF_ITS_OWN)
    started = tmp_path / "started"
    started.mkdir()
    start: dict[str, tuple[str, ...]] = {name: ("touch", str(started / name)) for name in names}
    table = OpenShellTable(binary=faults.binary, registry="", interval_s=1.0, start=start)
    settings = Settings("default", (SourceSettings("os", "openshell", table),), animation=False)
    clock = SystemClock()
    app = WakedeckApp(settings, open_sources(settings, clock), clock, state=tmp_path)
    async with app.run_test(size=(140, 40)):
        board = app.engine.board
        await eventually(lambda: len(board.sandboxes) == len(names))
        bare = bare_round(faults, names)
        faults.strike()
        struck_at, before = time.monotonic(), len(faults.calls())
        took: dict[str, float] = {}

        def all_named() -> bool:
            for name in names:
                if name not in took and struck(app, name):
                    took[name] = time.monotonic() - struck_at
            return len(took) == len(names)

        def unnamed() -> str:
            rows = board.gateways
            left = {n: rows[GatewayId("os", n)] for n in names if n not in took}
            return f"{ {n: (one.state, one.reason) for n, one in left.items()} }, others {took}"

        await eventually(all_named, what=unnamed)
        # The machine may be slower by now; what was struck may not answer at all.
        bare = max(bare, bare_round(faults, ["well"] * len(names)))
        late = {name: s for name, s in took.items() if s > LIMIT_S + 4 * bare}
        assert not late, (bare, took)
        well = {SandboxId("os", f"{name}/alpha") for name in ("well", "client-soon")}
        assert all(row.stale for row in board.sandboxes.values() if row.id not in well)
        looked = [call for call in faults.calls()[before:] if ACTS & set(call.split())]
        assert not [call for call in looked if "--help" not in call]
        assert not list(started.iterdir())
        # The key, on every one of them.
        runs = [
            app.engine.attempts.request(Verb.RECONNECT, SandboxId("os", f"{name}/alpha"))
            for name in names
            if name not in ("well", "client-soon", "stopped")
        ]
        for one in runs:
            ended = await one.wait()
            assert "onboard" not in ended.advice + ended.summary
            assert not {"delete", "created"} & set(ended.summary.split()), ended.summary
        may = {"refused", "killed"}
        assert {one.name for one in started.iterdir()} == may, "only what is closed is started"
        acted = [c for c in faults.calls()[before:] if ACTS & set(c.split()) and "--help" not in c]
        assert not [c for c in acted if c.split()[1] not in {"well", "client-soon"}], acted
        app.action_leave()
    for mark in started.iterdir():
        mark.unlink()
    (tmp_path / "wakedeck.toml").write_text(
        f'[sources.os]\nkind = "openshell"\nbinary = "{faults.binary}"\nregistry = ""\n'
    )
    # What hangs has its own test with the commands; here it would hold up the others.
    gone = faults.own["stopped"]._process
    assert gone is not None
    os.kill(gone.pid, signal.SIGCONT)
    status = run(tmp_path, "status")
    assert status.returncode == 1
    for name, fault in STRUCK.items():
        assert fault.words.lower() in status.stdout.lower(), (name, status.stdout)
    for name, (_, words) in OF_ITS_OWN.items():
        assert name == "stopped" or words.lower() in status.stdout.lower()
    done = run(tmp_path, "reconnect", "os/client-expired/alpha")
    assert (
        done.returncode == 1 and "Your certificate for client-expired" in done.stdout + done.stderr
    )
    assert not list(started.iterdir())
