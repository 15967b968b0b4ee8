"""What newer hosts write down beside their sessions, and what an install runs them on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.models import GatewayState, InLabel, Sandbox, SandboxState
from services.sources.protocol.source import OpenSource
from tests.support.clock import FakeClock
from tests.support.nanoclaw import ScriptedDocker, opened, short_folder
from tests.support.nanoclaw_install import SmallInstall, answering, iso

NOW = float(int(time.time()))
SID = "sess-1795193316631-cbbi85"


class World:
    """An install of a host that writes claims, with one session, and a clock of ours."""

    def __init__(self, top: Path) -> None:
        self.install = SmallInstall(top / "claw", "2.4.0", "mailbox", "durable")
        self.install.started(NOW - 9000)
        self.install.coordinate()
        self.session = self.install.session(SID, at=NOW - 600)
        self.clock = FakeClock(NOW)
        self.source: OpenSource = opened(self.install.root, self.clock)

    async def row(self) -> Sandbox:
        seen = await self.source.observer.observe()
        return next(one for one in seen.sandboxes if one.id.native_id == SID)

    async def host(self) -> dict[str, str]:
        return dict((await self.source.observer.observe()).gateways[0].evidence)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with short_folder() as top, answering(top / "claw"):
        monkeypatch.setenv("PATH", str(top / "bin"), prepend=":")
        ScriptedDocker(top / "bin", top / "claw")
        yield World(top)


async def test_a_delivery_that_is_retried_says_how_often_when_and_why(world: World) -> None:
    assert "delivery retried" not in dict((await world.row()).evidence)
    world.install.note(
        "delivery_attempts",
        session_id=SID,
        attempts=2,
        next_attempt_at=iso(NOW + 90),
        last_error="\x1b[31mBearer sk-ant-api03-AAAAAAAAAAAAAAAAAAAAAAAA: 502",
    )
    said = dict((await world.row()).evidence)["delivery retried"]
    assert said.startswith("2 attempts, next in 90 s")
    assert "\x1b" not in said
    assert "sk-ant" not in said
    world.install.central("DELETE FROM delivery_attempts")
    assert "delivery retried" not in dict((await world.row()).evidence)


@pytest.mark.parametrize(
    ("intent", "said"),
    [
        ("stop", "stop ordered"),
        ("respawn_after_stop", "restart ordered"),
        ("drain", "drain"),
    ],
)
async def test_an_order_to_stop_is_said(world: World, intent: str, said: str) -> None:
    world.install.note("session_claims", session_id=SID, claimed_by="h", stop_intent=intent)
    assert dict((await world.row()).evidence)["host's order"] == said


async def test_a_wake_that_was_asked_for_is_said_until_a_host_takes_it_up(world: World) -> None:
    more = {"session_id": SID, "created_at": iso(NOW - 5)}
    world.install.note("wake_signals", reason="old", consumed_at=iso(NOW - 4), **more)
    assert "wake asked for" not in dict((await world.row()).evidence)
    world.install.note("wake_signals", reason="task run", **more)
    assert dict((await world.row()).evidence)["wake asked for"] == "5 s ago: task run"


@pytest.mark.parametrize(
    ("leases", "line", "said"),
    [
        ((60,), "lease", "held for 60 s more"),
        ((-60,), "lease", "ran out 60 s ago, and yet a host answers"),
        ((60, 80), "disagreement", "2 hosts hold a lease: two on one database"),
    ],
)
async def test_leases_are_a_second_witness_beside_the_socket(
    world: World, leases: tuple[int, ...], line: str, said: str
) -> None:
    for left in leases:
        world.install.note(
            "host_instances", instance_id=f"h{left}", lease_expires_at=iso(NOW + left)
        )
    assert (await world.host())[line] == said


async def test_a_claim_alone_never_makes_a_session_run(world: World) -> None:
    world.install.note("session_claims", session_id=SID, claimed_by="h", claimed_at=iso(NOW - 30))
    assert (await world.row()).state is SandboxState.ASLEEP


async def test_echoes_of_another_session_are_context_and_no_message(world: World) -> None:
    session = world.session
    session.post("user", 2, NOW - 5000, status="completed")
    session.post("echo", 4, NOW - 10, trigger=0, channel_type="session-echo")
    row = await world.row()
    assert dict(row.inbound)[InLabel.CONTEXT.value] == 1
    assert row.state is SandboxState.ASLEEP
    page = {one.id: one for one in (await world.source.observer.queue(row.id, 10)).messages}
    assert (page["echo"].label, page["echo"].note) == (
        InLabel.CONTEXT,
        "echo of another session",
    )
    session.write("inbound", "DELETE FROM messages_in WHERE id = 'echo'")
    after = dict((await world.row()).inbound)
    assert after == {InLabel.COMPLETED.value: 1}


async def test_sessions_that_run_on_something_else_are_not_read_from_docker(world: World) -> None:
    world.install.row(SID, "running")
    world.session.beat(NOW - 2)
    log = world.install.root / "logs/nanoclaw.log"
    log.write_text('[10:00:00.000] INFO Session runtime driver selected driver="pod"\n', "utf-8")
    row = await world.row()
    assert row.state is SandboxState.READY
    assert row.reason.startswith("Container state unknown, by its heartbeat")
    seen = await world.source.observer.observe()
    assert seen.gateways[1].state is GatewayState.ABSENT
    assert "its sessions run on pod" in seen.gateways[1].reason


async def test_the_last_driver_told_counts_and_docker_is_the_usual_one(world: World) -> None:
    log = world.install.root / "logs/nanoclaw.log"
    told = "[10:00:00.000] INFO Session runtime driver selected driver="
    log.write_text(f'{told}"pod"\n{told}"docker"\n', "utf-8")
    assert (await world.row()).reason == "Stopped, nothing waits."
