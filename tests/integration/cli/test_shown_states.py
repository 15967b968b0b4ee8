"""What the commands say of closed ways and of lists that could not be had."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from services.board.deltas import Totals
from services.board.lag import LagMeter
from services.clock import SystemClock
from services.config.settings import Settings
from services.errors import NotFoundError, RefusedError, UnavailableError
from services.models import (
    Gateway,
    GatewayId,
    GatewayState,
    Observation,
    Sandbox,
    SandboxId,
    SandboxState,
    Unknown,
)
from services.sources.protocol.source import OpenSource
from tests.support.acted import Script, ScriptedActor, ScriptedObserver, scripted
from tui.cli import query_report, tables
from tui.cli.query_report import probed_sources

SETTINGS = Settings("test", ())
NORTH, SOUTH = GatewayId("gate", "north"), GatewayId("gate", "south")


def way(id: GatewayId, state: GatewayState, reason: str = "") -> Gateway:
    return Gateway(id, id.native_id, state, reason, 0.0)


def box(name: str, way: GatewayId, **more: Any) -> Sandbox:
    return Sandbox(
        SandboxId("gate", name),
        name,
        SandboxState.READY,
        "",
        0.0,
        gateway=way,
        needs=(way,),
        **more,
    )


class Finding(ScriptedObserver):
    """An observer that can be asked for a name although its list fails."""

    names: tuple[str, ...] = ()

    async def find(self, name: str) -> Sandbox | None:
        return box(name, NORTH) if name in self.names else None


Opened = Callable[..., None]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    def use(*sources: OpenSource) -> None:
        monkeypatch.setattr(query_report, "open_sources", lambda *_: sources)

    return use


def world(**more: Any) -> Script:
    down = way(SOUTH, GatewayState.DOWN, "Its process has died.")
    return Script((way(NORTH, GatewayState.READY), down), **more)


def test_status_and_sandboxes_say_the_same_of_a_closed_way(
    opened: Opened, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = (box("a", NORTH), box("b", SOUTH), box("c", SOUTH))
    opened(scripted(world(sandboxes=rows), SystemClock(), "gate"))
    assert query_report.status(SETTINGS, False) == 1
    assert "sandboxes: 2 cut off, 1 ready" in capsys.readouterr().out
    assert query_report.status(SETTINGS, True) == 1
    shape = json.loads(capsys.readouterr().out)
    assert shape["totals"] == {"cut off": 2, "ready": 1}
    assert shape["attention"] is True
    assert "known" not in shape
    assert query_report.sandboxes(SETTINGS, True) == 0
    first, second, _ = json.loads(capsys.readouterr().out)["sandboxes"]
    assert (first["state"], first["own_state"], first["needs"]) == (
        "ready",
        "ready",
        ["gate/north"],
    )
    assert (second["state"], second["own_state"]) == ("cut off", "ready")
    assert second["reason"] == "south is down: Its process has died."
    query_report.sandboxes(SETTINGS, False)
    assert "⊘ cut off" in capsys.readouterr().out


def test_a_list_that_is_not_known_is_never_none(
    opened: Opened, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = Unknown[Sandbox]("The list failed in its server.")
    script = Script((way(NORTH, GatewayState.READY),), unknown=((NORTH, failed),))
    opened(scripted(script, SystemClock(), "gate"))
    assert query_report.status(SETTINGS, True) == 1
    assert json.loads(capsys.readouterr().out)["totals"] is None
    assert query_report.sandboxes(SETTINGS, False) == 1
    said = capsys.readouterr()
    assert "no sandboxes" not in said.err
    assert "gate/north are not known: The list failed in its server." in said.err
    assert query_report.status(SETTINGS, False) == 1
    assert "sandboxes: not known" in capsys.readouterr().out
    for command in (query_report.sandboxes, query_report.status):
        assert command(SETTINGS, True) == 1
        shape = json.loads(capsys.readouterr().out)
        assert (shape["known"], shape["unknown"]) == (False, ["gate/north"])
        assert shape["problem"] == "gate/north: The list failed in its server."
    assert shape["attention"] is True


def test_a_source_that_does_not_answer_is_not_an_empty_one(
    opened: Opened, capsys: pytest.CaptureFixture[str]
) -> None:
    opened(scripted(Script(failure="The login was refused."), SystemClock(), "gate"))
    assert query_report.sandboxes(SETTINGS, True) == 1
    shape = json.loads(capsys.readouterr().out)
    assert (shape["sandboxes"], shape["known"]) == ([], False)
    assert shape["problem"] == "gate: The login was refused."


async def test_a_name_behind_a_failed_list_is_asked_for(opened: Opened) -> None:
    script = world(unknown=((NORTH, Unknown[Sandbox]("It failed.")),))
    source = scripted(script, SystemClock(), "gate")
    observer = Finding(source.info, script, SystemClock())
    observer.names = ("ready-a",)
    opened(OpenSource(observer, ScriptedActor(script, SystemClock())))
    async with probed_sources(SETTINGS) as probed:
        found = await probed.sandbox("ready-a", acting=True)
        assert str(found.id) == "gate/ready-a"
        with pytest.raises(NotFoundError):
            await probed.sandbox("other")


async def test_acting_on_a_bare_name_needs_all_to_be_known(
    opened: Opened, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = SystemClock()
    far = scripted(Script(failure="It is away."), clock, "far")
    opened(scripted(world(sandboxes=(box("a", NORTH),)), clock, "gate"), far)
    async with probed_sources(SETTINGS) as probed:
        assert (await probed.sandbox("a")).name == "a"
        assert "whether far has a 'a' too is not known" in capsys.readouterr().err
        with pytest.raises(RefusedError):
            await probed.sandbox("a", acting=True)
        assert (await probed.sandbox("gate/a", acting=True)).name == "a"
        with pytest.raises(UnavailableError):
            await probed.sandbox("b")
        with pytest.raises(NotFoundError):
            await probed.sandbox("gate/b")
        with pytest.raises(RefusedError):
            await probed.default_sandbox()


class HeldUp(ScriptedObserver):
    """During its first looks this process loses time, and they fail for it."""

    late = 1
    at = 0.0

    async def observe(self) -> Observation:
        if self.late:
            self.late -= 1
            self.at += 8
            raise UnavailableError("It did not answer in time.")
        return await super().observe()


@pytest.mark.parametrize(("late", "links"), [(1, True), (5, False)])
async def test_a_command_that_was_held_up_itself_looks_again(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, late: int, links: bool
) -> None:
    script = world()
    source = scripted(script, SystemClock(), "gate")
    observer = HeldUp(source.info, script, SystemClock())
    observer.late = late
    opened(OpenSource(observer, ScriptedActor(script, SystemClock())))
    meter = LagMeter(lambda: observer.at, lambda: 0.0)
    monkeypatch.setattr(query_report, "LagMeter", lambda: meter)
    async with probed_sources(SETTINGS) as probed:
        link = probed.board.links["gate"]
        assert link.connected is links
        if not links:
            assert "itself was held up for 8 s" in link.reason


def test_a_line_of_totals_has_the_most_urgent_first() -> None:
    states = (
        (SandboxState.ASLEEP, 1),
        (SandboxState.DOWN, 2),
        (SandboxState.READY, 3),
        (SandboxState.STUCK, 1),
    )
    told = tables.totals_text(Totals(sandboxes=states, stale=4, needs_me=1))
    assert told == "2 down, 1 stuck, 4 stale, 3 ready, 1 asleep, 1 need you"
