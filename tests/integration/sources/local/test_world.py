"""The embedded world's life: shared, left behind, killed at any point."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

from services.clock import SystemClock
from services.config.sources import LocalTable
from services.models import GatewayState, SandboxState
from services.sources.local import process_records, world
from services.sources.local.host import LEASE_CHECK_S
from services.sources.local.layout import ProcessRecord, World, write_private
from services.sources.local.source import open_local
from tests.support.local_world import live_world
from tests.support.waiting import eventually_sync

PANEL = (
    "import asyncio, sys\n"
    "from pathlib import Path\n"
    "from services.sources.local.layout import World\n"
    "from services.sources.local.world import WorldLifecycle\n"
    "async def main():\n"
    "    await WorldLifecycle(World(Path(sys.argv[1]))).enter()\n"
    "    print('in', flush=True)\n"
    "    await asyncio.sleep(600)\n"
    "asyncio.run(main())\n"
)
ROOT = Path(__file__).resolve().parents[4]


def panel(place: World) -> subprocess.Popen[str]:
    """Another panel, as a process of its own, in the world."""
    child = subprocess.Popen(
        [sys.executable, "-c", PANEL, str(place.root)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "in\n"
    return child


def end(child: subprocess.Popen[str], number: int) -> None:
    child.send_signal(number)
    child.wait(timeout=20)
    assert child.stdout is not None
    child.stdout.close()


def until_gone(records: list[ProcessRecord]) -> None:
    eventually_sync(
        lambda: all(process_records.alive(one).over for one in records),
        what=lambda: [one for one in records if not process_records.alive(one).over],
    )


async def test_a_world_ends_with_the_panel_that_started_it(tmp_path: Path) -> None:
    async with live_world(tmp_path) as live:
        await live.ready()
        assert live.source.lifecycle is not None
        records = live.records()
        assert len(records) == 6
        await live.source.lifecycle.leave()
        until_gone(records)
        assert not list(live.world.leases.iterdir())


async def test_two_panels_share_one_world_and_the_last_one_ends_it(tmp_path: Path) -> None:
    async with live_world(tmp_path) as live:
        other = panel(live.world)
        try:
            await live.ready()
            before = live.records()
            assert live.source.lifecycle is not None
            await live.source.lifecycle.leave()
            await asyncio.sleep(LEASE_CHECK_S * 2.5)  # real time: each process looks who needs it
            assert [one for one in before if process_records.alive(one).over] == []
        finally:
            end(other, signal.SIGTERM)
        until_gone(before)


async def test_a_killed_panel_leaves_nothing_running(tmp_path: Path) -> None:
    async with live_world(tmp_path, enter=False) as live:
        other = panel(live.world)
        await live.ready()
        records = live.records()
        os.kill(records[-1].pid, signal.SIGSTOP)
        end(other, signal.SIGKILL)
        until_gone(records)


async def test_whatever_was_left_behind_is_met(tmp_path: Path) -> None:
    place = World(tmp_path / "world")
    place.create()
    # Records of processes that are gone, of a stranger, and of nobody; half a folder; old faults.
    write_private(place.record("gateway"), "{ not json")
    place.write_record(ProcessRecord("host", os.getpid(), 12.0))
    place.write_record(ProcessRecord("agent-data-pull", 2**22 - 3, 12.0))
    (place.leases / "99999999.lease").write_text("")
    (place.sandbox("data-pull")).mkdir()
    (place.sandbox("data-pull") / "inbound.db").write_bytes(b"")
    write_private(place.sandbox("data-pull") / "agent.lock", '{"role": "x"}')
    write_private(place.faults, '{"credential_refused": true}')
    async with live_world(tmp_path) as live:
        await live.ready()
        assert len(live.records()) == 6


async def test_a_kept_world_outlives_panels_until_it_is_taken_down(tmp_path: Path) -> None:
    async with live_world(tmp_path, enter=False) as live:
        assert await world.keep_up(live.world) is True
        assert await world.keep_up(live.world) is False
        records = live.records()
        assert live.source.lifecycle is not None
        assert await live.source.lifecycle.enter() is False
        await live.source.lifecycle.leave()
        await asyncio.sleep(LEASE_CHECK_S * 2.5)  # real time: each process looks who needs it
        assert [one for one in records if process_records.alive(one).over] == []
        await world.take_down(live.world)
        until_gone(records)


async def test_a_second_panel_does_not_repair_what_the_first_one_shows_broken(
    tmp_path: Path,
) -> None:
    async with live_world(tmp_path) as live:
        await live.ready()
        agent = live.world.read_record("agent-data-pull")
        assert agent is not None
        os.kill(agent.pid, signal.SIGKILL)
        second = open_local("local", LocalTable(), SystemClock(), live.world.root)
        assert second.lifecycle is not None
        assert await second.lifecycle.enter() is False
        try:
            seen = await live.until(lambda look: look.sandboxes[0].state is SandboxState.DOWN)
            assert seen.sandboxes[0].name == "data-pull"
        finally:
            await second.lifecycle.leave()


async def test_everything_suspended_at_once_recovers_by_itself(tmp_path: Path) -> None:
    async with live_world(tmp_path) as live:
        await live.ready()
        records = live.records()
        for one in records:
            os.kill(one.pid, signal.SIGSTOP)
        try:
            await live.until(
                lambda look: (
                    {one.state for one in look.gateways} == {GatewayState.HUNG}
                    and {one.state for one in look.sandboxes} == {SandboxState.STUCK}
                )
            )
        finally:
            for one in records:
                os.kill(one.pid, signal.SIGCONT)
        await live.ready()
        assert live.records() == records


async def test_a_world_nobody_started_is_absent_and_not_an_error(tmp_path: Path) -> None:
    source = open_local("local", LocalTable(), SystemClock(), tmp_path / "none")
    seen = await source.observer.observe()
    assert seen.sandboxes == ()
    assert {one.state for one in seen.gateways} == {GatewayState.ABSENT}
