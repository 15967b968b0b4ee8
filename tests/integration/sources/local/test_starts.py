"""Processes of the embedded world while they start: held back, dying and hanging as they do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from services.errors import UnavailableError
from services.models import AttemptState, GatewayState, SandboxState, Verb
from services.sources.local import process_records, starts
from services.sources.local.layout import ProcessRecord
from services.terminal.exec.requests import ShellChoice
from tests.support.local_world import LiveWorld, all_ready, gateway, live_world, sandbox
from tests.support.nanoclaw import short_folder
from tests.support.shells import read_until
from tests.support.waiting import eventually

NAME = "data-pull"
AGENT = f"agent-{NAME}"
_WAITS = """
import os, sys, time
here = os.path.dirname(__file__)
words = sys.orig_argv
role = "agent-" + words[-1] if "--sandbox" in words else words[3].rpartition(".")[2]
held = os.path.join(here, "held", role)
if "-m" in words and os.path.exists(held) and open(held).read() == "dies":
    os._exit(7)
while "-m" in words and os.path.exists(held):
    time.sleep(0.02)
"""


@pytest.fixture
def hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have every later process of some roles wait, or die, as its interpreter starts."""
    folder = tmp_path / "site"
    (folder / "held").mkdir(parents=True)
    (folder / "sitecustomize.py").write_text(_WAITS, "utf-8")
    known = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(known))

    def held(*roles: str, how: str = "waits") -> None:
        for path in (folder / "held").iterdir():
            path.unlink()
        for role in roles:
            (folder / "held" / role).write_text(how, "utf-8")

    return held


async def started(live: LiveWorld, role: str) -> ProcessRecord:
    """Who was started for a role and has not got ready."""
    noted = await eventually(lambda: starts.read(live.world, role))
    assert noted is not None
    return noted


async def test_what_starts_is_settling_and_a_shell_waits_for_it(
    hold: Callable[..., None],
) -> None:
    hold("gateway", AGENT)
    with short_folder() as folder:
        async with live_world(folder) as live:
            seen = await live.source.observer.observe()
            assert gateway(seen).state is GatewayState.SETTLING
            assert gateway(seen).reason == "The gateway is starting."
            agent = sandbox(seen, NAME)
            assert agent.state is SandboxState.SETTLING, agent
            if agent.reason != "Its folder is being created.":
                assert agent.reason == "The agent is starting."
            first = await started(live, "gateway")
            shell = live.source.actor.shell(live.id(NAME), ShellChoice(shell="sh"))
            opening = asyncio.create_task(shell.open(80, 24))
            repair = live.attempts.request(Verb.RECONNECT, live.id(NAME))
            await live.source.observer.observe()
            assert not opening.done()
            hold()
            await opening
            await read_until(shell, b"$ ")
            await shell.close()
            ended = await repair.wait()
            assert (ended.state, ended.wakes) == (AttemptState.DONE, 0), ended
            assert all_ready(await live.ready())
            record = live.world.read_record("gateway")
            assert record is not None and record.process == first.process
            assert not starts.everyone(live.world), "each has left its own record"


async def test_a_start_that_fails_is_down_with_its_reason_and_can_be_woken(
    tmp_path: Path, hold: Callable[..., None]
) -> None:
    hold("gateway", AGENT, how="dies")
    async with live_world(tmp_path) as live:
        noted, agent = await started(live, "gateway"), await started(live, AGENT)
        seen = await live.until(
            lambda look: (
                (gateway(look).state, sandbox(look, NAME).state)
                == (GatewayState.DOWN, SandboxState.DOWN)
            )
        )
        assert gateway(seen).reason == (
            f"Gateway process {noted.pid} ended as it started; its log says why."
        )
        assert f"Process {agent.pid} ended as it started" in sandbox(seen, NAME).reason
        with pytest.raises(UnavailableError, match="is not running"):
            live.source.actor.shell(live.id(NAME), ShellChoice())
        hold()
        ended = await live.repair(Verb.WAKE, NAME)
        assert (ended.state, ended.wakes) == (AttemptState.DONE, 1), ended
        await live.ready()
        assert not starts.everyone(live.world)


async def test_a_start_that_hangs_is_said_to_and_is_replaced_or_ended(
    tmp_path: Path, hold: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    hold("gateway", AGENT)
    async with live_world(tmp_path) as live:
        hanging, agent = await started(live, "gateway"), await started(live, AGENT)
        monkeypatch.setattr(starts, "LONGEST_START_S", 0.0)
        seen = await live.until(lambda look: gateway(look).state is GatewayState.HUNG)
        assert gateway(seen).reason == (
            f"Gateway process {hanging.pid} does not get ready; its log may say why."
        )
        await live.until(lambda look: sandbox(look, NAME).state is SandboxState.STUCK)
        with pytest.raises(UnavailableError, match="is not running"):
            live.source.actor.shell(live.id(NAME), ShellChoice())
        hold(AGENT)
        ended = await live.repair(Verb.WAKE, "night-watch")
        assert (ended.state, ended.wakes) == (AttemptState.DONE, 1), ended
        assert process_records.alive(hanging).over
        assert not process_records.alive(agent).over
    assert process_records.alive(agent).over, "what never got ready is ended with its world"
