"""A gateway on another machine: the certificate that is pinned, and being paired with it."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.agents.openclaw import link as linking
from services.clock import SystemClock
from services.config.sources import OpenClawTable
from services.errors import UnavailableError
from services.models import GatewayState, SandboxId, SandboxState, StepState
from services.sources.openclaw.carrier import GatewayAddress, pinned_context, read_fingerprint
from services.sources.openclaw.links import DeviceKeys
from services.sources.openclaw.source import open_openclaw
from services.sources.protocol.source import OpenSource
from tests.support.http_peer import http_peer
from tests.support.openclaw_peer import RECORDED, TOKEN, GatewayPeer
from tests.support.tls import Authority
from tests.support.waiting import eventually

REQUEST = RECORDED["not paired"]["error"]["details"]["requestId"]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("FIRST_WAIT_S", 0.02), ("CHECK_S", 0.02), ("_ROUND_S", 0.01)):
        monkeypatch.setattr(linking, name, value)
    monkeypatch.setattr(linking, "PAIRING_S", 0.05)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Where this panel's keys are kept."""
    return tmp_path / "keys"


class Far:
    """One source over a peer that speaks TLS."""

    def __init__(self, peer: GatewayPeer, source: OpenSource) -> None:
        self.peer, self.source = peer, source

    async def shows(self, state: SandboxState, words: str) -> SandboxId:
        async def look() -> SandboxId:
            seen = await self.source.observer.observe()
            row = seen.sandboxes[0]
            assert row.state is state, row
            assert words in row.reason, row.reason
            return row.id

        return await eventually(look)

    async def connect(self, which: SandboxId) -> tuple[StepState, str]:
        steps = [step async for step in self.source.actor.connect(which)]
        return steps[-1].state, steps[-1].detail  # type: ignore[union-attr]


@asynccontextmanager
async def far(
    folder: Path, peer: GatewayPeer, pin: str | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Far]:
    """A peer with a certificate that nobody trusts; `pin` None for the right one."""
    authority = Authority(folder / "tls")
    context = authority.server(host)
    der = ssl.PEM_cert_to_DER_cert((folder / "tls" / "server.pem").read_text())
    found = hashlib.sha256(der).hexdigest()
    (folder / "token").write_text(TOKEN)
    async with http_peer(peer.handle, tls=context) as server:
        table = OpenClawTable(
            url=f"wss://{host}:{server.port}",
            tls_fingerprint=found if pin is None else pin,
            token_file=str(folder / "token"),
        )
        source = open_openclaw("oc", table, SystemClock(), folder / "keys", {"HOME": str(folder)})
        try:
            yield Far(peer, source)
        finally:
            await source.observer.close()
        for params in peer.connects:
            assert (params["scopes"], params["caps"]) == (["operator.read"], [])


@pytest.mark.parametrize(
    ("pin", "why"), [("", "was not accepted"), ("ab" * 32, "another one than the pinned one")]
)
async def test_another_certificate_is_unknown_and_is_shown_nothing(
    tmp_path: Path, pin: str, why: str
) -> None:
    peer = GatewayPeer()
    async with far(tmp_path, peer, pin) as one:
        seen = await one.source.observer.observe()
        assert seen.gateways[0].state is GatewayState.UNKNOWN
        assert why in seen.gateways[0].reason
        assert not peer.connects


async def test_the_pinned_certificate_is_trusted_whoever_signed_it(tmp_path: Path) -> None:
    async with far(tmp_path, GatewayPeer()) as one:
        seen = await one.source.observer.observe()
        assert dict(seen.gateways[0].evidence)["connection"] == "reads"
    assert [params["auth"] for params in one.peer.connects] == [{"token": TOKEN}]
    assert "device" not in one.peer.connects[0], "on its own machine nothing is paired"


async def test_a_certificate_that_changes_between_probe_and_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = GatewayPeer()
    async with far(tmp_path, peer) as one:
        first = await one.source.observer.observe()
        assert dict(first.gateways[0].evidence)["connection"] == "reads"
        peer.boot, tried = "boot-2", len(peer.connects)
        monkeypatch.setattr(GatewayAddress, "tls", lambda _: pinned_context("cd" * 32))
        await asyncio.gather(*(socket.close(1012, "restart") for socket in tuple(peer.sockets)))

        async def is_lost() -> bool:
            facts = dict((await one.source.observer.observe()).gateways[0].evidence)
            return "another one than the pinned one" in facts["connection"]

        await eventually(is_lost)
        assert len(peer.connects) == tried, "the credential is not shown to another certificate"


@pytest.mark.parametrize(
    "text",
    [f"sha256:{'AB:' * 31}AB", "ab" * 32, f" SHA256={'ab' * 32} ", " ".join(["AB"] * 32)],
)
def test_a_fingerprint_as_it_is_written_anywhere(text: str) -> None:
    assert read_fingerprint(text) == "ab" * 32


@pytest.mark.parametrize(
    ("url", "pin"),
    [("ws://127.0.0.1:1", "ab" * 32), ("wss://far:1", "ab"), ("wss://far:1", "zz" * 32)],
)
def test_a_pin_that_cannot_be(url: str, pin: str) -> None:
    with pytest.raises(UnavailableError, match="tls_fingerprint"):
        open_openclaw(
            "oc", OpenClawTable(url=url, tls_fingerprint=pin), SystemClock(), Path("/nowhere"), {}
        )


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The peer counts as being on another machine."""
    monkeypatch.setattr(GatewayAddress, "far", True)


@pytest.mark.usefixtures("elsewhere")
async def test_a_key_is_made_and_pairing_asked_for_on_the_operators_word_alone(
    tmp_path: Path, keys: Path
) -> None:
    peer = GatewayPeer()
    peer.scopes = []
    async with far(tmp_path, peer) as one:
        which = await one.shows(SandboxState.UNKNOWN, NO_READING)
        await one.source.observer.probe(which)
        assert not keys.exists(), "looking makes no key"
        assert "device" not in peer.connects[-1]
        peer.refusal = RECORDED["not paired"]["error"]
        state, said = await one.connect(which)
        assert state is StepState.FAILED
        command = f"On its machine: `openclaw devices approve {REQUEST}`."
        assert command in said
        await one.shows(SandboxState.UNKNOWN, command)
        (key,) = keys.iterdir()
        assert key.stat().st_mode & 0o777 == 0o600
        device = peer.connects[-1]["device"]
        tried = len(peer.connects)

        async def is_tried_again() -> bool:
            await one.source.observer.observe()
            return len(peer.connects) > tried

        await eventually(is_tried_again)
        peer.refusal, peer.scopes = None, ["operator.read"]
        await one.shows(SandboxState.STUCK, "Its last run failed")
        assert peer.connects[-1]["device"]["id"] == device["id"]
        assert len({params["device"]["nonce"] for params in peer.connects[-2:]}) == 1
        shown = repr(await one.source.observer.observe())
        assert key.read_text() not in shown


NO_READING = "it gives no right to read"


@pytest.mark.usefixtures("elsewhere")
async def test_a_pairing_that_nobody_approves_is_not_asked_for_for_ever(
    tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linking, "PAIRING_LIMIT_S", 0.3)
    DeviceKeys(keys).make("127.0.0.1:1")
    peer = GatewayPeer()
    peer.refusal = RECORDED["not paired"]["error"]
    async with far(tmp_path, peer) as one:
        which = await one.shows(SandboxState.UNKNOWN, "does not know this panel")

        async def rests() -> bool:
            tried = len(peer.connects)
            for _ in range(6):
                await asyncio.sleep(0.05)  # nothing tells that no more is tried
                await one.source.observer.observe()
            return len(peer.connects) == tried

        await eventually(rests)
        tried = len(peer.connects)
        await one.connect(which)
        assert len(peer.connects) > tried, "the operator's key begins anew"


async def test_on_this_machine_the_operators_word_makes_no_key(tmp_path: Path, keys: Path) -> None:
    peer = GatewayPeer()
    peer.scopes = []
    async with far(tmp_path, peer) as one:
        which = await one.shows(SandboxState.UNKNOWN, NO_READING)
        await one.connect(which)
    assert not keys.exists()
    assert not any("device" in params for params in peer.connects)


def test_a_key_is_made_once_and_is_ours_alone(keys: Path) -> None:
    ours = DeviceKeys(keys)
    assert ours.read("far:1") is None
    made = ours.make("far:1")
    assert ours.make("far:1").id == made.id
    assert DeviceKeys(keys).make("other:1").id != made.id
    assert "sign" not in repr(made)


@pytest.mark.parametrize("kept", [b"", b"not base64!", b"c2hvcnQ=", b"A" * 300])
def test_a_key_that_is_none_is_said(keys: Path, kept: bytes) -> None:
    ours = DeviceKeys(keys)
    ours.make("far:1")
    (file,) = keys.iterdir()
    file.write_bytes(kept)
    with pytest.raises(UnavailableError, match="is no key"):
        ours.read("far:1")
    assert file.read_bytes() == kept, "it is not replaced"


def test_without_its_package_pairing_says_what_to_install(
    keys: Path, powerless_cryptography: None
) -> None:
    with pytest.raises(UnavailableError, match="cryptography"):
        DeviceKeys(keys).make("far:1")
    assert not keys.exists()


@pytest.fixture
def powerless_cryptography(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is not installed."""
    name = "cryptography.hazmat.primitives.asymmetric.ed25519"
    monkeypatch.setitem(sys.modules, name, None)
