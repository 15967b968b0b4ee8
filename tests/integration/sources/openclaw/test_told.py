"""What a gateway tells over its connection, as an operator sees it; the peer plays a recording."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from services.agents.openclaw import link as linking
from services.agents.openclaw.wire import READS
from services.clock import SystemClock
from services.config.sources import OpenClawTable
from services.errors import NotFoundError, RefusedError, UnavailableError
from services.models import (
    Activity,
    Capability,
    Direction,
    Gateway,
    GatewayState,
    Sandbox,
    SandboxId,
    SandboxState,
    StepState,
)
from services.process.identity import ProcessId
from services.sources.openclaw.layout import state_directories
from services.sources.openclaw.logs import follow_file, to_record
from services.sources.openclaw.source import open_openclaw
from services.sources.protocol.observer import Listens
from services.sources.protocol.source import OpenSource
from tests.integration.sources.openclaw.test_gateways import configure, sleeper, write_lock
from tests.support.openclaw_peer import (
    RECORDED,
    STARTED,
    TOKEN,
    GatewayPeer,
    drop_all,
    gateway_peer,
)
from tests.support.waiting import eventually

__all__ = ["sleeper"]
READS_IT = OpenClawTable(credential="config")
AGENT, MAIN = SandboxId("oc", "openclaw"), SandboxId("oc", "openclaw:agent:main:main")
NOW_MS = int(time.time() * 1000)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("FIRST_WAIT_S", 0.02), ("CHECK_S", 0.02), ("_ROUND_S", 0.01)):
        monkeypatch.setattr(linking, name, value)


class Panel:
    """One source over one peer."""

    def __init__(self, home: Path, peer: GatewayPeer, source: OpenSource) -> None:
        self.home, self.peer, self.source = home, peer, source

    async def rows(self) -> tuple[Gateway, dict[str, Sandbox]]:
        seen = await self.source.observer.observe()
        return seen.gateways[0], {one.id.native_id: one for one in seen.sandboxes}

    async def agent(self) -> Sandbox:
        return (await self.rows())[1]["openclaw"]

    async def shows(self, state: SandboxState, words: str, which: str = "openclaw") -> Sandbox:
        async def probe() -> Sandbox:
            found = (await self.rows())[1].get(which)
            assert found is not None
            assert found.state is state, found
            assert words in found.reason, found.reason
            return found

        return await eventually(probe)


@asynccontextmanager
async def panel(
    home: Path,
    peer: GatewayPeer | None = None,
    table: OpenClawTable = READS_IT,
    auth: Mapping[str, object] = MappingProxyType({}),
) -> AsyncIterator[Panel]:
    """The panel's half over a gateway of which this process holds the lock."""
    state = home / ".openclaw"
    async with gateway_peer(peer) as one:
        configure(state, auth={"mode": "token", "token": TOKEN, **auth})
        write_lock(state, one.port)
        environ = {"HOME": str(home), "PATH": str(home / "bin")}
        source = open_openclaw("oc", table, SystemClock(), Path("/nowhere"), environ)
        try:
            yield Panel(home, one, source)
        finally:
            await source.observer.close()
        assert set(one.asked) <= {*READS, "gateway.restart.preflight"}, "it only reads"
        for params in one.connects:
            assert (params["scopes"], params["caps"]) == (["operator.read"], [])


def job(peer: GatewayPeer) -> dict[str, Any]:
    """The recorded job that is not the gateway's own."""
    jobs = peer.answers["cron.list"]["jobs"]
    return next(one for one in jobs if "declarationKey" not in one)


def recent(peer: GatewayPeer, **fields: object) -> None:
    """The main session as of now."""
    peer.session().update({"updatedAt": int(time.time() * 1000), **fields})


async def test_what_is_recorded_is_on_the_board(tmp_path: Path) -> None:
    peer = GatewayPeer()
    recent(peer)
    async with panel(tmp_path, peer) as one:
        await one.rows()
        await eventually(lambda: "gateway.identity.get" in peer.asked)
        gateway, rows = await one.rows()
        facts, told = dict(gateway.evidence), dict(rows["openclaw"].evidence)
        assert gateway.state is GatewayState.READY
        assert facts["connection"] == "reads"
        assert facts["cost"].startswith("$0.00 in 30 days")
        assert facts["lanes"] == "nothing waits"
        assert "not connected" in facts["channel Telegram (default)"]
        assert rows["openclaw"].state is SandboxState.STUCK
        assert "No route-compatible authentication" in rows["openclaw"].reason
        assert rows["openclaw"].inbound == (("failed", 1),)
        assert "pending" in told["waiting approvals"]
        assert "last error" in told["job nightly report"]
        assert rows[MAIN.native_id].name == "openclaw:main:main"
        assert dict(rows[MAIN.native_id].evidence)["cost"] == "not told"
        assert {Capability.QUEUE, Capability.RECONNECT, Capability.LOGS} <= (
            one.source.info.capabilities
        )
        shown = repr((gateway, rows))
        assert "PRIVATE" not in shown
        assert TOKEN not in shown
    assert peer.connects[0]["auth"] == {"token": TOKEN}


async def test_its_queue_is_its_tasks_and_what_was_to_be_delivered(tmp_path: Path) -> None:
    peer = GatewayPeer()
    done = {**peer.answers["tasks.list"]["tasks"][0], "error": None, "createdAt": NOW_MS}
    peer.answers["tasks.list"]["tasks"] += [
        {**done, "id": "two", "status": "running", "deliveryStatus": "pending"},
        {**done, "id": "three", "status": "a new word"},
        {**done, "id": "four", "status": "succeeded", "deliveryStatus": "delivered"},
        {**done, "id": "five", "agentId": "other", "status": "queued"},
    ]
    async with panel(tmp_path, peer) as one:
        seen = await one.source.observer.observe()
        found = await one.source.observer.queue(AGENT, 50)
        assert found.inbound == (
            *(("failed", 1), ("processing", 1), ("unknown status", 1), ("completed", 1)),
        )
        assert found.outbound == (("undelivered", 1), ("delivered", 1))
        few = await one.source.observer.queue(AGENT, 1)
        assert [message.label.value for message in few.messages] == ["failed"]
        text = await one.source.observer.content(AGENT, Direction.IN, few.messages[0].id)
        assert text.startswith("nightly report\nfailed: No route-compatible")
        with pytest.raises(NotFoundError):
            await one.source.observer.content(AGENT, Direction.IN, "no such task")
    assert "a new word" in {word.word for word in seen.unknown_words}


async def test_a_job_whose_work_did_not_arrive_needs_somebody(tmp_path: Path) -> None:
    peer = GatewayPeer()
    job(peer)["state"].update(
        lastRunStatus="ok",
        lastDeliveryStatus="not-delivered",
        lastDeliveryError="no route",
        lastRunAtMs=NOW_MS,
    )
    async with panel(tmp_path, peer) as one:
        found = await one.agent()
    assert found.state is SandboxState.READY
    assert found.needs_me == "“nightly report” was not delivered: no route"
    assert found.outbound == (("failed", 1),)


async def test_a_failed_job_and_a_later_run_that_went_well(tmp_path: Path) -> None:
    peer = GatewayPeer()
    job(peer)["state"]["lastRunAtMs"] = NOW_MS
    async with panel(tmp_path, peer) as one:
        found = await one.agent()
        assert found.state is SandboxState.STUCK
        assert found.reason.startswith("Its job “nightly report” failed: No route-compatible")
        row = dict(peer.session(), status="done", lastRunError=None, updatedAt=NOW_MS + 60_000)
        await peer.push("sessions.changed", {"session": {**row, "snapshotAt": NOW_MS + 60_000}})
        await one.shows(SandboxState.READY, "")


async def test_a_channel_that_is_down_while_ready_is_true(tmp_path: Path) -> None:
    peer = GatewayPeer()
    recent(peer, status="done", lastRunError=None)
    channels = peer.answers["channels.status"]
    channels["channelAccounts"]["telegram"][0]["lastStartAt"] = channels["ts"] - 200_000
    async with panel(tmp_path, peer) as one:
        gateway, rows = await one.rows()
    assert gateway.state is GatewayState.READY
    assert dict(gateway.evidence)["readyz"] == "ready"
    assert rows["openclaw"].state is SandboxState.STUCK
    assert "Telegram (default) has not been connected for 3 min" in rows["openclaw"].reason
    assert rows[MAIN.native_id].state is SandboxState.READY, "one trouble is one row's"


async def test_what_it_pushes_is_shown_before_the_next_poll(tmp_path: Path) -> None:
    peer = GatewayPeer()
    async with panel(tmp_path, peer) as one:
        await one.rows()
        observer = one.source.observer
        assert isinstance(observer, Listens)
        heard = asyncio.ensure_future(observer.news())
        row = dict(peer.session(), hasActiveRun=True, estimatedCostUsd=0.5, updatedAt=NOW_MS)
        row |= {"totalTokens": 1200, "totalTokensFresh": True}
        await peer.push("chat", {"text": "PRIVATE"}, 1)
        await peer.push("sessions.changed", {"session": {**row, "snapshotAt": NOW_MS}}, 2)

        async def working() -> bool:
            _, rows = await one.rows()
            session = rows.get(MAIN.native_id)
            return session is not None and session.activity is Activity.WORKING

        await eventually(working)
        _, rows = await one.rows()
        assert rows["openclaw"].activity is Activity.WORKING
        assert rows[MAIN.native_id].reason == "openai/gpt-6-astra, 1.2k tokens, $0.50"
        await heard


async def test_what_was_missed_is_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with panel(tmp_path) as one:
        await one.rows()
        await eventually(lambda: "usage.cost" in one.peer.asked)
        monkeypatch.setattr(linking, "LEAST_S", 0.0)
        before = one.peer.asked.count("sessions.list")
        await one.peer.push("tick", {}, 4)
        await one.peer.push("tick", {}, 5)
        assert one.peer.asked.count("sessions.list") == before
        await one.peer.push("tick", {}, 9)
        await eventually(lambda: one.peer.asked.count("sessions.list") > before)


async def test_no_method_is_asked_again_at_once(tmp_path: Path) -> None:
    async with panel(tmp_path) as one:
        await one.rows()
        for number in range(20):
            await one.peer.push("task", {"task": {}}, number)
            await one.rows()
        assert {method: one.peer.asked.count(method) for method in set(one.peer.asked)} == (
            dict.fromkeys(set(READS) - {"sessions.list"}, 1)
        )
        assert len(one.peer.connects) == 1


async def test_a_restart_is_followed(tmp_path: Path) -> None:
    async with panel(tmp_path) as one:
        await one.rows()
        await one.peer.push("shutdown", {"reason": "config", "restartExpectedMs": 1500})
        await one.shows(SandboxState.SETTLING, "draining before a restart")
        one.peer.boot = "boot-2"
        one.peer.probes["/startupz"] = (503, {"ok": False, "status": "starting"})
        await drop_all(one.peer)
        await one.shows(SandboxState.SETTLING, "It is starting.")
        assert len(one.peer.connects) == 1, "until it has started it is asked over HTTP alone"
        one.peer.probes["/startupz"] = STARTED
        await one.shows(SandboxState.STUCK, "Its last run failed")
        assert len(one.peer.connects) == 2
        await one.shows(SandboxState.STUCK, "Its last run failed")


async def test_a_token_that_changes_while_it_runs(tmp_path: Path) -> None:
    async with panel(tmp_path) as one:
        await one.rows()
        one.peer.token = "another"
        await drop_all(one.peer, 4001)
        found = await one.shows(SandboxState.UNKNOWN, "the token it is shown is another one")
        assert found.gateway is not None
        seen = await one.source.observer.observe()
        assert seen.gateways[0].state is GatewayState.READY
        assert len(seen.unknown) == 1, "what was known of its sessions is not known now"
        tried = len(one.peer.connects)
        assert tried <= 4, "a refused credential is not shown again and again"
        configure(tmp_path / ".openclaw", auth={"token": "another"})
        await one.shows(SandboxState.STUCK, "Its last run failed")
        assert one.peer.connects[-1]["auth"] == {"token": "another"}


@pytest.mark.parametrize(
    ("refusal", "scopes", "says"),
    [
        ("no token", ["operator.read"], "it asks for a paired device"),
        ("protocol 5", ["operator.read"], "only its probes are shown"),
        ("unknown client", ["operator.read"], "way to connect"),
        ("", [], "it gives no right to read"),
    ],
)
async def test_it_runs_and_does_not_let_us_read(
    tmp_path: Path, refusal: str, scopes: list[str], says: str
) -> None:
    peer = GatewayPeer()
    peer.refusal = RECORDED[refusal]["error"] if refusal else None
    peer.scopes = scopes
    async with panel(tmp_path, peer) as one:
        gateway, rows = await one.rows()
        assert gateway.state is GatewayState.READY, "a missing right is never down"
        assert rows["openclaw"].state is SandboxState.UNKNOWN
        assert says in rows["openclaw"].reason
        steps = [step async for step in one.source.actor.connect(AGENT)]
        assert steps[-1].state is StepState.FAILED  # type: ignore[union-attr]
        assert says in steps[-1].detail  # type: ignore[union-attr]
        assert not peer.asked


async def test_the_operators_key_tries_again(tmp_path: Path) -> None:
    peer = GatewayPeer()
    peer.refusal = RECORDED["no token"]["error"]
    async with panel(tmp_path, peer) as one:
        await one.rows()
        peer.refusal = None
        steps = [step async for step in one.source.actor.connect(AGENT)]
        assert steps[-1].state is StepState.OK  # type: ignore[union-attr]


async def test_no_credential_is_shown_to_what_is_not_proven(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    async with panel(tmp_path) as one:
        write_lock(tmp_path / ".openclaw", one.peer.port, ProcessId.capture(sleeper.pid))
        gateway, _ = await one.rows()
        assert gateway.state is GatewayState.WRONG
        assert not one.peer.connects
        one.peer.probes["/startupz"] = (503, {"ok": False, "status": "starting"})
        write_lock(tmp_path / ".openclaw", one.peer.port)
        await one.rows()
        assert not one.peer.sockets, "before it is started it is asked over HTTP alone"


async def test_without_a_credential_nothing_is_connected(tmp_path: Path) -> None:
    async with panel(tmp_path, table=OpenClawTable()) as one:
        found = await one.agent()
        assert dict(found.evidence)["channels"] == "not asked: no credential is configured"
        assert not one.peer.connects
        with pytest.raises(UnavailableError, match="no credential is configured"):
            await one.source.observer.queue(AGENT, 5)


@pytest.mark.parametrize(
    ("auth", "says"),
    [
        ({"token": {"source": "env", "id": "X"}}, "is a reference"),
        ({"token": "${X}"}, "is a reference"),
        ({"token": ""}, "holds no credential"),
    ],
    ids=["table", "variable", "empty"],
)
async def test_a_credential_that_is_not_there_is_said(
    tmp_path: Path, auth: dict[str, object], says: str
) -> None:
    async with panel(tmp_path, auth=auth) as one:
        _, rows = await one.rows()
        assert rows["openclaw"].state is SandboxState.READY
        assert says in rows["openclaw"].reason
        assert not one.peer.connects


async def test_an_address_of_this_machine_with_a_token_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    async with gateway_peer() as peer:
        address = f"ws://127.0.0.1:{peer.port}"
        table = OpenClawTable(url=address, token_file=str(tmp_path / "token"))
        source = open_openclaw(
            "oc", table, SystemClock(), Path("/nowhere"), {"HOME": str(tmp_path)}
        )
        try:
            seen = await source.observer.observe()
        finally:
            await source.observer.close()
    assert len(seen.sandboxes) >= 1
    assert dict(seen.gateways[0].evidence)["connection"] == "reads"
    assert peer.connects[0]["auth"] == {"token": TOKEN}


@pytest.mark.parametrize(
    "table",
    [
        OpenClawTable(credential="config", token_env="T"),
        OpenClawTable(credential="config", url="wss://far:1"),
        OpenClawTable(token_env="T"),
    ],
    ids=["two", "remote", "several gateways"],
)
def test_a_credential_that_cannot_be_named_so(table: OpenClawTable) -> None:
    with pytest.raises(UnavailableError):
        open_openclaw("oc", table, SystemClock(), Path("/nowhere"), {})


@pytest.mark.parametrize("data", ["x" * ((1 << 20) + 1), "no frame"], ids=["huge", "foreign"])
async def test_a_flood_of_what_is_no_frame_ends_the_connection(tmp_path: Path, data: str) -> None:
    async with panel(tmp_path) as one:
        await one.rows()
        for socket in tuple(one.peer.sockets):
            for _ in range(1 if len(data) > 100 else 8):
                await socket.send(data)

        async def is_made_anew() -> bool:
            await one.rows()
            return len(one.peer.connects) > 1

        await eventually(is_made_anew)
        gateway, _ = await one.rows()
        assert gateway.state is GatewayState.READY


async def test_a_restart_is_asked_about_with_what_it_ends(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    tool = tmp_path / "bin" / "openclaw"
    tool.write_text('#!/bin/sh\necho "$@" >>"$HOME/ran"\n')
    tool.chmod(0o755)
    peer = GatewayPeer()
    peer.answers["gateway.restart.preflight"] = {
        "safe": False,
        "counts": {"totalActive": 2},
        "blockers": [{"kind": "task", "count": 2, "message": "2 background tasks are running"}],
        "summary": "not safe to restart now",
    }
    async with panel(tmp_path, peer) as one:
        await one.rows()
        proposer = one.source.proposer
        assert proposer is not None
        assert "gateway.restart.preflight" not in peer.asked, "only on the operator's key"
        asked = await proposer.propose(MAIN, "restart")
        assert asked.typed_name == "openclaw"
        assert not asked.refusal
        assert "Now 2 pieces of work is under way" in asked.consequence
        assert "2 background tasks are running" in asked.consequence
        assert not (tmp_path / "ran").exists(), "asking does nothing"
        peer.boot = "boot-2"
        steps = []
        async for step in proposer.carry_out(asked):
            steps.append(step)
            if step.name == "serve" and step.state is StepState.RUNNING:
                await drop_all(peer)
        assert steps[-1].state is StepState.OK
        assert steps[-1].detail == "It was restarted and serves again."
        ran = (tmp_path / "ran").read_text().splitlines()
        assert ran == ["config validate --json", "gateway restart --safe --json"]
        await one.shows(SandboxState.STUCK, "Its last run failed")
        steps = [step async for step in proposer.carry_out(asked)]
        assert steps[-1].state is StepState.SKIPPED
        assert (tmp_path / "ran").read_text().count("restart") == 1


async def test_a_saved_configuration_that_would_end_it_is_said_and_never_restarted_into(
    tmp_path: Path,
) -> None:
    (tmp_path / "bin").mkdir()
    tool = tmp_path / "bin" / "openclaw"
    tool.write_text('#!/bin/sh\necho "$@" >>"$HOME/ran"\n')
    tool.chmod(0o755)
    peer = GatewayPeer()
    recent(peer, status="done", lastRunError=None)
    peer.answers["config.get"] = RECORDED["invalid config"]["payload"]
    async with panel(tmp_path, peer) as one:

        async def says() -> bool:
            gateway, _ = await one.rows()
            assert gateway.state is GatewayState.READY
            return gateway.reason.startswith(
                "A restart would end it: its saved configuration is not accepted: gateway.bind: "
            )

        await eventually(says)
        gateway, _ = await one.rows()
        assert dict(gateway.evidence)["saved config"].startswith("not accepted: gateway.bind: ")
        assert one.source.proposer is not None
        asked = await one.source.proposer.propose(AGENT, "restart")
        assert asked.refusal.startswith("its saved configuration is not accepted: gateway.bind")
        assert not (tmp_path / "ran").exists()


async def test_a_restart_is_held_back_by_its_own_commands_no(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    tool = tmp_path / "bin" / "openclaw"
    said = json.dumps({"valid": False, "issues": [{"path": "a.b", "message": "no"}]})
    tool.write_text(f'#!/bin/sh\necho "$@" >>"$HOME/ran"; echo \'{said}\'; exit 1\n')
    tool.chmod(0o755)
    async with panel(tmp_path) as one:
        await one.rows()
        assert one.source.proposer is not None
        asked = await one.source.proposer.propose(MAIN, "restart")
        with pytest.raises(RefusedError, match=r"not accepted: a\.b: no"):
            async for _ in one.source.proposer.carry_out(asked):
                pass
        assert (tmp_path / "ran").read_text() == "config validate --json\n"


async def test_a_configuration_that_was_saved_is_asked_about_and_no_oftener_than_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with panel(tmp_path) as one:
        await one.rows()
        await eventually(lambda: one.peer.asked.count("config.get") == 1)
        configure(tmp_path / ".openclaw", auth={"mode": "token", "token": TOKEN}, port=1)
        await one.rows()
        await eventually(lambda: "usage.cost" in one.peer.asked)
        assert one.peer.asked.count("config.get") == 1, "once a minute"
        monkeypatch.setattr(linking, "RARE", {})
        monkeypatch.setattr(linking, "LEAST_S", 0.0)
        await eventually(lambda: one.peer.asked.count("config.get") == 2)


async def test_an_answer_too_large_does_not_end_its_connection_for_ever(tmp_path: Path) -> None:
    peer = GatewayPeer()
    peer.answers["config.get"] = {"valid": True, "raw": "x" * (1 << 20)}
    async with panel(tmp_path, peer) as one:
        await one.rows()

        async def goes_on() -> bool:
            await one.rows()
            return len(peer.connects) == 3 and peer.asked.count("usage.cost") == 3

        await eventually(goes_on)
        await one.shows(SandboxState.STUCK, "Its last run failed")
        assert peer.asked.count("config.get") == 2


async def test_its_log_is_the_newest_of_its_files(tmp_path: Path) -> None:
    line = RECORDED["logs.tail"]["payload"]["lines"][0]
    for name in ("openclaw-2026-11-29.log", "openclaw-ops-2026-11-30.log"):
        (tmp_path / name).write_text("not this one\n")
    (tmp_path / "openclaw-2026-11-30.log").write_text(line + "\nplain words\n")
    (tmp_path / ".openclaw").mkdir()
    (place,) = state_directories(str(tmp_path / ".openclaw"), {"HOME": str(tmp_path)})
    told = follow_file(place, SystemClock(), tmp_path)
    note, first, second = await anext(told), await anext(told), await anext(told)
    await told.aclose()  # type: ignore[attr-defined]
    assert note.note
    assert "openclaw-2026-11-30.log" in note.text
    assert first.at is not None
    assert "sessions.subscribe" in first.text
    assert second.text == "plain words"
    assert to_record(json.dumps({"message": "m", "_meta": {"logLevelName": "ERROR"}})).text == (
        "ERROR m"
    )
