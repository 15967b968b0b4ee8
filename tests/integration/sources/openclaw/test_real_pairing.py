"""A real gateway with TLS, from its own machine and as if from another one: pins and pairing."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.clock import SystemClock
from services.config.sources import OpenClawTable
from services.models import GatewayState, SandboxId, SandboxState, StepState
from services.sources.openclaw.source import open_openclaw
from services.sources.protocol.source import OpenSource
from tests.support import openclaw_kit
from tests.support.openclaw_kit import RealGateway
from tests.support.waiting import eventually

BOOT_S = 240.0
TOKEN = "of-a-test-alone"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RealGateway]:
    """One that listens on every address of this machine, with a certificate of its own making."""
    if not openclaw_kit.other_address():
        pytest.skip("this machine has no address but its loopback")
    one = RealGateway(tmp_path / "home", far=True)
    one.home.mkdir(exist_ok=True)
    one.configure(TOKEN)
    yield one
    one.end()


@pytest.mark.kit("openclaw")
@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_gateway_on_another_machine_pairs_this_panel_on_the_operators_word(
    gateway: RealGateway, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    gateway.start()
    await _is_ready_here(gateway)
    pin = hashlib.sha256(gateway.certificate()).hexdigest()
    for wrong, why in (("", "was not accepted"), (f"sha256:{'ab' * 32}", "than the pinned one")):
        seen = await _seen(gateway, tmp_path, wrong)
        assert seen[0] is GatewayState.UNKNOWN
        assert why in seen[1], seen
    far = _open(gateway, tmp_path, ":".join(re.findall("..", pin)).upper())
    try:
        await _pairs(far, gateway, tmp_path / "keys")
    finally:
        await far.observer.close()


def _open(gateway: RealGateway, folder: Path, pin: str) -> OpenSource:
    address = f"wss://{openclaw_kit.other_address()}:{gateway.port}"
    table = OpenClawTable(url=address, tls_fingerprint=pin, token_file=str(folder / "token"))
    return open_openclaw("far", table, SystemClock(), folder / "keys", gateway.environ)


async def _seen(gateway: RealGateway, folder: Path, pin: str) -> tuple[GatewayState, str]:
    source = _open(gateway, folder, pin)
    try:
        seen = await source.observer.observe()
    finally:
        await source.observer.close()
    return seen.gateways[0].state, seen.gateways[0].reason


async def _is_ready_here(gateway: RealGateway) -> None:
    """Over its loopback, where the process of its lock is the proof of its certificate."""
    table = OpenClawTable(credential="config")
    here = open_openclaw("oc", table, SystemClock(), Path("/nowhere"), gateway.environ)

    async def reads() -> bool:
        seen = await here.observer.observe()
        facts = dict(seen.gateways[0].evidence)
        assert facts.get("connection") == "reads", (seen.gateways[0].reason, facts)
        return seen.gateways[0].state is GatewayState.READY

    try:
        await eventually(reads, limit=BOOT_S, what=gateway.said)
    finally:
        await here.observer.close()


async def _pairs(far: OpenSource, gateway: RealGateway, keys: Path) -> None:
    async def agent() -> tuple[SandboxId, SandboxState, str, str]:
        seen = await far.observer.observe()
        row = seen.sandboxes[0]
        assert seen.gateways[0].state is GatewayState.READY, seen.gateways[0].reason
        return row.id, row.state, row.reason, dict(row.evidence).get("advice", "")

    async def is_refused() -> tuple[SandboxId, SandboxState, str, str]:
        found = await agent()
        assert "no right to read" in found[2], found
        return found

    which, state, _, advice = await eventually(is_refused, limit=30)
    assert state is SandboxState.UNKNOWN
    assert "`r` asks it to pair" in advice
    assert not keys.exists(), "looking makes no key"
    steps = [step async for step in far.actor.connect(which)]
    assert steps[-1].state is StepState.FAILED  # type: ignore[union-attr]
    _, state, reason, advice = await agent()
    assert state is SandboxState.UNKNOWN
    told = re.search("On its machine: `openclaw (devices approve [0-9a-f-]+)`", reason)
    assert told is not None, reason
    assert "tried again" in advice
    (key,) = keys.iterdir()
    assert (key.stat().st_mode & 0o777, keys.stat().st_mode & 0o777) == (0o600, 0o700)
    done = gateway.run(*told[1].split(), "--json")
    assert done.returncode == 0, done.stderr

    async def reads() -> bool:
        found = await agent()
        assert found[1] is SandboxState.READY, found
        return True

    await eventually(reads, limit=60)
    listed = gateway.run("devices", "list", "--json")
    assert "operator.read" in json.dumps(json.loads(listed.stdout))
    seen = await far.observer.observe()
    assert dict(seen.gateways[0].evidence)["connection"] == "reads"
