"""Every fault of certificates, met by the real command; nothing is ever started for one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.clock import SystemClock
from services.config.sources import OpenShellTable
from services.models import GatewayState, SandboxId, Verb
from services.sources.openshell.source import open_openshell
from services.sources.protocol.source import OpenSource
from tests.integration.sources.openshell.test_script import repair
from tests.support.certificates import Pem, bundle, pem
from tests.support.openshell_kit import kit
from tests.support.openshell_live import NAME, LiveGateway

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
    "key of another": Fault(
        WRONG, "tls.key for the gateway stub does not belong", files=(("tls.key", OTHER.key),)
    ),
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


@pytest.fixture
def meet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Fault], OpenSource]]:
    made: list[LiveGateway] = []

    def met(fault: Fault) -> OpenSource:
        found = kit()
        gateway = LiveGateway(found.stubs(), tmp_path / "config", ("alpha",))
        made.append(gateway)
        if fault.tls:
            names: dict[str, bytes] = {
                "key": fault.server.key,
                "crt": fault.server.certificate,
                "ca": CA.certificate,
            }
            for name, data in names.items():
                (tmp_path / name).write_bytes(data)
            gateway.tls = (tmp_path / "key", tmp_path / "crt", tmp_path / "ca")
        gateway.register(fault.scheme, "mtls" if fault.scheme == "https" else "plaintext")
        place = bundle(
            gateway.folder / "openshell" / "gateways" / NAME / "mtls", fault.client, fault.ca
        )
        for name, content in fault.files:
            (place / name).unlink() if content is None else (place / name).write_bytes(content)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(gateway.folder))
        if fault.up:
            gateway.start()
        start: dict[str, tuple[str, ...]] = {NAME: ("touch", str(tmp_path / "started"))}
        table = OpenShellTable(binary=found.cli("0.0.111"), start=start, registry="")
        return open_openshell("os", table, SystemClock())

    yield met
    for gateway in made:
        gateway.kill()


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.kit("openshell")
async def test_the_fault_has_its_name_and_only_a_refused_connection_starts_anything(
    name: str, meet: Callable[[Fault], OpenSource], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.sources.openshell.actor.WAIT_S", 1.0)
    fault = FAULTS[name]
    source = meet(fault)
    (front,) = (await source.observer.observe()).gateways
    assert front.state is fault.state, front
    assert fault.words.lower() in front.reason.lower(), front.reason
    ended = await repair(source, Verb.RECONNECT, SandboxId("os", f"{NAME}/alpha"), tmp_path / "l")
    assert (tmp_path / "started").exists() is (name == "refused"), ended
    assert "onboard" not in ended.advice + ended.summary
    if fault.state is WRONG:
        assert not {"delete", "created"} & set(ended.summary.split())
