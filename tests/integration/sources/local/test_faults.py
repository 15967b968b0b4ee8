"""Each fault of the embedded world: seen under its true name, repaired by one verb."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from services.models import AttemptState, GatewayState, SandboxState, ShellState, Verb
from services.sources.local.faults import InjectedFault, inject
from services.sources.protocol.verdict import VerdictKind
from services.terminal.exec.requests import ShellChoice
from services.terminal.transport.base import CloseReason
from tests.support.local_world import all_ready, gateway, live_world, sandbox
from tests.support.ran import ran

NAME = "data-pull"


async def test_a_healthy_sandbox_is_never_disturbed(tmp_path: Path) -> None:
    async with live_world(tmp_path) as live:
        await live.ready()
        before = live.records()
        ended = await live.repair(Verb.RECONNECT, NAME)
        assert ended.state is AttemptState.DONE
        assert ended.wakes == 0
        assert live.records() == before


@pytest.mark.parametrize(
    ("fault", "state", "words"),
    [
        (InjectedFault.AGENT_KILL, SandboxState.DOWN, "has died"),
        (InjectedFault.AGENT_HANG, SandboxState.STUCK, "is stopped"),
        (InjectedFault.AGENT_CRASH_LOOP, SandboxState.BROKEN, "stale lock"),
    ],
)
async def test_a_broken_agent_is_named_and_woken(
    tmp_path: Path, fault: InjectedFault, state: SandboxState, words: str
) -> None:
    async with live_world(tmp_path) as live:
        await live.ready()
        inject(live.world, NAME, fault)
        seen = await live.until(lambda look: sandbox(look, NAME).state is state)
        assert words in sandbox(seen, NAME).reason
        others = [one.state for one in seen.sandboxes if one.name != NAME]
        assert others == [SandboxState.READY] * 3
        ended = await live.repair(Verb.WAKE, NAME)
        assert (ended.state, ended.wakes) == (AttemptState.DONE, 1), ended
        assert words in ended.original
        assert all_ready(await live.ready())
        # What was wrong before says nothing of what is wrong next.
        inject(live.world, NAME, InjectedFault.AGENT_KILL)
        seen = await live.until(lambda look: sandbox(look, NAME).state is not SandboxState.READY)
        assert sandbox(seen, NAME).state is SandboxState.DOWN, sandbox(seen, NAME)


@pytest.mark.parametrize(
    ("fault", "state", "words"),
    [
        (InjectedFault.GATEWAY_KILL, GatewayState.DOWN, "has died"),
        (InjectedFault.GATEWAY_HANG, GatewayState.HUNG, "answer"),
    ],
)
async def test_a_broken_gateway_is_named_and_woken(
    tmp_path: Path, fault: InjectedFault, state: GatewayState, words: str
) -> None:
    async with live_world(tmp_path) as live:
        await live.ready()
        agents = [one for one in live.records() if one.role.startswith("agent-")]
        inject(live.world, NAME, fault)
        seen = await live.until(lambda look: gateway(look).state is state)
        assert words in gateway(seen).reason
        ended = await live.repair(Verb.RECONNECT, NAME)
        assert (ended.state, ended.wakes) == (AttemptState.DONE, 1), ended
        await live.ready()
        still = [one for one in live.records() if one.role.startswith("agent-")]
        assert still == agents, "an agent that worked was restarted"


async def test_a_draining_gateway_is_waited_for_then_woken(tmp_path: Path) -> None:
    async with live_world(tmp_path) as live:
        await live.ready()
        inject(live.world, NAME, InjectedFault.GATEWAY_DRAIN)
        seen = await live.until(lambda look: gateway(look).state is GatewayState.SETTLING)
        assert "draining" in gateway(seen).reason
        ended = await live.repair(Verb.WAKE, NAME)
        assert (ended.state, ended.wakes) == (AttemptState.DONE, 1), ended
        await live.ready()


async def test_a_refused_credential_is_terminal_with_advice(tmp_path: Path) -> None:
    async with live_world(tmp_path) as live:
        await live.ready()
        inject(live.world, NAME, InjectedFault.CREDENTIAL_REFUSED)
        seen = await live.until(lambda look: gateway(look).state is GatewayState.WRONG)
        assert "credential" in gateway(seen).reason
        before = live.records()
        ended = await live.repair(Verb.RECONNECT, NAME)
        assert (ended.state, ended.wakes) == (AttemptState.FAILED, 0)
        assert "credential" in ended.original
        assert "wakedeck local down" in ended.advice
        assert live.records() == before
        token = live.world.token.read_text("utf-8")
        assert token not in repr(live.seen) and token not in repr(seen)
        inject(live.world, NAME, InjectedFault.CLEAR)
        await live.ready()


async def test_a_dropped_shell_is_lost_and_opens_again(tmp_path: Path) -> None:
    async with live_world(tmp_path) as live:
        await live.ready()
        shell = live.source.actor.shell(live.id(NAME), ShellChoice(shell="sh"))
        await shell.open(80, 24)
        await shell.write(b"echo al''ive\r")
        said = b""
        while b"alive" not in said:
            got = await shell.read()
            assert isinstance(got, bytes)
            said += got
        inject(live.world, NAME, InjectedFault.SHELL_DROP)
        async with asyncio.timeout(60):
            while not isinstance(got := await shell.read(), CloseReason):
                pass
        assert got.state is ShellState.LOST
        assert got.code is None
        await shell.close()
        assert (await live.source.observer.probe(live.id(NAME))).kind is VerdictKind.READY


async def test_a_flood_shows_as_a_backlog_and_needs_no_wake(tmp_path: Path) -> None:
    async with live_world(tmp_path) as live:
        await live.ready()
        inject(live.world, NAME, InjectedFault.FLOOD)
        seen = await live.until(lambda look: "Backlog" in sandbox(look, NAME).reason)
        assert sandbox(seen, NAME).state is SandboxState.READY
        ended = await live.repair(Verb.WAKE, NAME)
        assert (ended.state, ended.wakes) == (AttemptState.DONE, 0)


async def test_a_shell_that_exits_says_its_own_code(tmp_path: Path) -> None:
    async with live_world(tmp_path) as live:
        await live.ready()
        shell = live.source.actor.shell(live.id(NAME), ShellChoice(shell="sh"))
        await shell.open(80, 24)
        await shell.write(b"exit 4\r")
        async with asyncio.timeout(60):
            while not isinstance(got := await shell.read(), CloseReason):
                pass
        assert (got.state, got.code) == (ShellState.ENDED, 4)
        await shell.close()


async def test_exec_tells_the_commands_own_code(tmp_path: Path) -> None:
    async with live_world(tmp_path) as live:
        await live.ready()
        argv = ["sh", "-c", "echo out; echo 'a  b' >&2; exit 7"]
        done = await ran(live.source.actor, live.id(NAME), argv, 30.0, ShellChoice())
        assert (done.code, done.stdout) == (7, b"out\na  b\n")
        slow = await ran(live.source.actor, live.id(NAME), ["sleep", "60"], 1.5, ShellChoice())
        assert slow.code is None and "it was stopped (130)" in slow.reason
