"""A real runtime beside a small install: what is seen while containers come and go.

The host is played row by row, in upstream's order: the container first, then its row.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.clock import SystemClock
from services.models import Sandbox, SandboxId, SandboxState
from services.sources.nanoclaw.joins import HOLD_S
from services.terminal.exec.requests import ExecOutput, ExecRequest, ExecResult
from tests.support import kits
from tests.support.docker import Docker, docker
from tests.support.nanoclaw import opened, short_folder
from tests.support.nanoclaw_install import Session, SmallInstall, answering
from tests.support.podman import Podman, podman
from tests.support.waiting import eventually

SID = "sess-1795193316631-cbbi85"
ALARMS = (SandboxState.STUCK, SandboxState.BROKEN, SandboxState.UNKNOWN, SandboxState.DOWN)
ENDS = {"docker": 20, "podman": 5}


@pytest.fixture(scope="module", params=ENDS)
def daemon(request: pytest.FixtureRequest) -> Iterator[Docker | Podman]:
    kits.need(request.param)
    runtime = podman if request.param == "podman" else docker
    with runtime() as one:
        yield one


class World:
    """The install, its one session, and the source that looks at it."""

    def __init__(self, top: Path, daemon: Docker | Podman, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = top / "bin"
        daemon.on_path(self.path)
        monkeypatch.setenv("PATH", str(top / "bin"), prepend=":")
        self.daemon = daemon
        self.install = SmallInstall(top / "claw", "2.4.0", "mailbox", "driver")
        self.install.started(time.time() - 9000)
        self.session: Session = self.install.session(SID)
        (self.session.folder / "agent").mkdir()  # where the group's folder is mounted
        self.name = f"ncl-{self.install.slug}-{SID}"
        self.source = opened(self.install.root, SystemClock())
        self.observer = self.source.observer

    async def row(self) -> Sandbox:
        seen = await self.observer.observe()
        return next(one for one in seen.sandboxes if one.id.native_id == SID)

    async def until(self, state: SandboxState, *words: str, within: float = 40.0) -> Sandbox:
        """Look until it is so; what was seen on the way is checked by `quiet`."""
        limit = time.monotonic() + within
        while True:
            row = await self.row()
            if row.state is state and all(word in row.reason for word in words):
                return row
            assert time.monotonic() < limit, f"still {row.state}: {row.reason}"
            await asyncio.sleep(0.01)  # between two looks, of which each costs as much

    async def start(self) -> None:
        labels = self.install.labels(SID, time.time())
        await asyncio.to_thread(self.daemon.run, self.name, self.session.folder, labels)
        self.install.row(SID, "running")
        self.session.beat(time.time())

    def gone(self) -> bool:
        """Whether docker has removed what has ended."""
        return not self.daemon.call("ps", "-aq").stdout

    async def call(self, *words: str) -> None:
        await asyncio.to_thread(self.daemon.call, *words)


@pytest.fixture
def world(daemon: Docker | Podman, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with short_folder() as top, answering(top / "claw"):
        made = World(top, daemon, monkeypatch)
        yield made
        daemon.call("rm", "-f", made.name, check=False)


def with_daemon(world: World) -> Docker:
    if not isinstance(world.daemon, Docker):
        pytest.skip("podman has no daemon")
    return world.daemon


@pytest.fixture
def top() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


async def test_ordinary_ends_raise_no_alarm(world: World) -> None:
    seen: list[Sandbox] = []
    over = asyncio.Event()

    async def look() -> None:
        while not over.is_set():
            seen.append(await world.row())

    looking = asyncio.create_task(look())
    for _ in range(ENDS["docker" if isinstance(world.daemon, Docker) else "podman"]):
        await world.start()
        await world.call("stop", "-t", "1", world.name)
        if isinstance(world.daemon, Podman):
            # What removes it for podman runs without the libraries of this kit.
            await world.call("rm", "-f", "-i", world.name)
        world.install.row(SID, "stopped")
        await eventually(world.gone)
    over.set()
    await looking
    assert {(row.state, row.reason) for row in seen if row.state in ALARMS} == set()
    assert (await world.until(SandboxState.ASLEEP)).reason == "Stopped, nothing waits."
    await world.observer.close()


async def test_pause_restart_kill_and_removal_are_told_apart(world: World) -> None:
    await world.start()
    row = await world.until(SandboxState.READY)
    assert world.name in dict(row.evidence)["container"]
    await world.call("pause", world.name)
    await world.until(SandboxState.STUCK, "Paused")
    await world.call("unpause", world.name)
    world.session.beat(time.time())
    await world.until(SandboxState.READY)
    await world.call("kill", world.name)
    first = await world.until(SandboxState.SETTLING, "starts or ends")
    assert "restarted" not in first.reason
    await world.until(SandboxState.ASLEEP, "Its row still says running.", within=HOLD_S + 40)
    world.install.row(SID, "stopped")
    await world.until(SandboxState.ASLEEP, "nothing waits")
    await world.observer.close()


async def test_a_container_whose_row_stays_stopped_is_an_orphan_in_the_end(world: World) -> None:
    with_daemon(world)
    labels = world.install.labels(SID, time.time())
    await asyncio.to_thread(world.daemon.run, world.name, world.session.folder, labels)
    await world.until(SandboxState.SETTLING)
    await world.until(SandboxState.STUCK, "Orphan container", within=60)
    await world.observer.close()


async def test_a_daemon_that_is_killed_leaves_the_state_unknown_and_comes_back(
    world: World,
) -> None:
    daemon = with_daemon(world)
    await world.start()
    await world.until(SandboxState.READY)
    await asyncio.to_thread(daemon.kill_daemon)
    row = await world.until(SandboxState.READY, "Container state unknown, by its heartbeat")
    assert dict(row.evidence)["container"].startswith("unknown: docker")
    await asyncio.to_thread(daemon.start)
    world.install.row(SID, "stopped")  # without live restore a new daemon ends what ran
    await world.until(SandboxState.ASLEEP, "nothing waits", within=60)
    await world.observer.close()


async def test_a_daemon_that_is_replaced_is_said_to_be_another(world: World, top: Path) -> None:
    daemon = with_daemon(world)
    await world.start()
    await world.until(SandboxState.READY)
    other = Docker(top)
    seen: list[Sandbox] = []

    def said() -> bool:
        return bool(seen) and "another daemon or context answers" in str(seen[-1].evidence)

    try:
        await asyncio.to_thread(other.start)
        other.on_path(world.path)
        limit = time.monotonic() + 60
        while not said():
            assert time.monotonic() < limit, seen[-1]
            world.session.beat(time.time())
            seen.append(await world.row())
        daemon.on_path(world.path)
        while world.name not in dict((await world.row()).evidence)["container"]:
            assert time.monotonic() < limit
            world.session.beat(time.time())
    finally:
        await asyncio.to_thread(other.stop)
    assert {(row.state, row.reason) for row in seen if row.state in ALARMS} == set()
    assert not any("restarted" in row.reason for row in seen)
    await world.observer.close()


async def test_what_runs_inside_ends_with_its_own_code(world: World) -> None:
    await world.start()
    await world.until(SandboxState.READY)
    actor, where = world.source.actor, SandboxId("claw", SID)
    assert actor is not None
    for code in (0, 7, 42, 127, 130, 137):
        request = ExecRequest(("sh", "-c", f"echo out; exit {code}"))
        events = [event async for event in actor.exec(where, request)]
        assert isinstance(events[-1], ExecResult)
        assert events[-1].code == code
        assert b"".join(e.data for e in events if isinstance(e, ExecOutput)) == b"out\n"
    left = await asyncio.to_thread(world.daemon.call, "top", world.name)
    assert b"echo out" not in left.stdout
    await world.observer.close()
