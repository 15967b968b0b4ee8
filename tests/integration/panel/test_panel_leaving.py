"""A panel in a terminal, a shell in a pod, and every way to leave: nothing of ours stays there."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.config.paths import state_dir
from services.sources.pods.kube_access import ShellTarget
from services.sources.pods.remote_cleanup import OpenShell, OpenShells
from services.terminal.emulator.emulator import Emulator
from services.terminal.transport.pty import PtyProcess
from tests.integration.sources.pods.test_kube_source import cluster
from tests.integration.sources.pods.test_pods_panel import PANEL, ROOT, configure, run
from tests.support import kits
from tests.support.containerd import container_api, containerd
from tests.support.kube_api import TOKEN
from tests.support.kubectl import kubeconfig
from tests.support.tls import Authority
from tests.support.waiting import eventually
from tui.panel.welcome import claim_first_start

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class FarEnd:
    """One pod."""

    config: Path
    running: Callable[[], Awaitable[int]]
    """How many processes of ours are in it."""

    async def settles_at(self, wanted: int) -> None:
        async def counted() -> bool:
            count = await self.running()
            assert count == wanted, f"{count} run in the pod, not {wanted}"
            return True

        await eventually(counted)


class Panel:
    """A panel on a terminal of its own, and what that shows."""

    def __init__(self, process: PtyProcess) -> None:
        self.process = process
        self.screen = Emulator(140, 40)

    async def draw(self) -> None:
        while data := await self.process.read(65536):
            self.screen.feed(data)

    async def shows(self, true: Callable[[str], bool]) -> None:
        def seen() -> str:
            return "\n".join(self.screen.display)

        await eventually(lambda: true(seen()), what=seen)

    async def listens(self) -> None:
        """The keys are the panel's: it offers its own."""
        await self.shows(lambda text: "q Quit" in text)


@asynccontextmanager
async def far_end(kind: str, folder: Path) -> AsyncIterator[FarEnd]:
    table = '[sources.prod]\nkind = "kubernetes"\nkubeconfig = "{}"\n'
    if kind == "processes":
        async with cluster(folder) as one:

            async def running() -> int:
                return one.api.exec.alive

            yield FarEnd(configure(folder / "home", table.format(one.config)), running)
        return
    kits.need("containerd")
    authority = Authority(folder / "ca")
    with containerd() as daemon:
        async with container_api(daemon, folder, authority.server("localhost")) as api:
            server = f"https://localhost:{api.peer.port}"
            known = kubeconfig(folder, server, TOKEN, authority.certificate)

            async def shells() -> int:
                left = await asyncio.to_thread(daemon.processes)
                return sum(one == "bash" for one in left)

            yield FarEnd(configure(folder / "home", table.format(known)), shells)


@asynccontextmanager
async def panel(config: Path) -> AsyncIterator[Panel]:
    """One that shows the pod as ready: it listens to keys."""
    claim_first_start(state_dir())  # the hint of a first start would lie over the prompt for 10 s
    process = await PtyProcess.start(
        [sys.executable, "-c", PANEL, "--config", str(config)],
        env={**os.environ, "TERM": "xterm-256color", "TEXTUAL_ANIMATIONS": "none"},
        cwd=ROOT,
        columns=140,
        lines=40,
    )
    one = Panel(process)
    drawing = asyncio.create_task(one.draw())
    try:
        await one.shows(lambda text: "1 ready" in text and "› ◉ ready     box" in text)
        await one.listens()
        yield one
    finally:
        await process.terminate()
        await asyncio.gather(drawing, return_exceptions=True)


def written_down(panel: Panel) -> bool:
    """Whether a panel's one shell has said who it is and can be found again."""
    name = f"open-shells/prod.{panel.process.pid}.json"
    return any('"pid":' in path.read_text() for path in Path.home().rglob(name))


async def with_a_shell(end: FarEnd, panel: Panel, wanted: int = 1) -> None:
    panel.process.write(b"s")
    await end.settles_at(wanted)
    await panel.shows(lambda text: "pod$" in text and "q Quit" not in text)
    await eventually(lambda: written_down(panel))


WAYS = ("q", "close the tab", "SIGTERM", "SIGHUP")


async def leave(panel: Panel, way: str) -> None:
    process = panel.process
    if way.startswith("SIG"):
        os.kill(process.pid, signal.Signals[way])
        return
    process.write(b"\x1d")
    await panel.listens()
    process.write(b"q" if way == "q" else b"x")
    if way == "q":
        await panel.shows(lambda text: "Quit?" in text)
        process.write(b"y")


async def left_clean(end: FarEnd, way: str) -> None:
    async with panel(end.config) as one:
        await with_a_shell(end, one)
        await leave(one, way)
        await end.settles_at(0)
        if way != "close the tab":
            assert await one.process.wait(30)


@pytest.mark.parametrize("way", WAYS)
async def test_nothing_of_ours_stays_in_the_pod(tmp_path: Path, home: Path, way: str) -> None:
    async with far_end("processes", tmp_path) as end:
        await left_clean(end, way)


async def test_a_terminal_that_vanishes_ends_the_panel_and_its_shells(
    tmp_path: Path, home: Path
) -> None:
    async with far_end("processes", tmp_path) as end, panel(end.config) as one:
        await with_a_shell(end, one)
        one.process._hang_up()
        await end.settles_at(0)
        assert await one.process.wait(30)


async def test_nothing_of_ours_stays_in_a_real_container(tmp_path: Path, home: Path) -> None:
    async with far_end("containerd", tmp_path) as end:
        for way in WAYS:
            await left_clean(end, way)


@pytest.mark.parametrize("kind", ["processes", "containerd"])
async def test_a_killed_panel_is_cleaned_up_after_by_the_next(
    tmp_path: Path, home: Path, kind: str
) -> None:
    async with far_end(kind, tmp_path) as end:
        async with panel(end.config) as other, panel(end.config) as one:
            await with_a_shell(end, other)
            await with_a_shell(end, one, 2)
            os.kill(one.process.pid, signal.SIGKILL)
            await one.process.wait(30)
            await asyncio.sleep(1)  # real time: nothing tells that the pod ends no shell by itself
            assert await end.running() == 2
            code, _, err = await run(end.config, "reconnect", "prod/default/box")
            assert code == 0, err
            # The living panel keeps its own.
            await end.settles_at(1)
            await other.shows(lambda text: "pod$" in text)
            await asyncio.sleep(1)  # real time: nothing tells that the other one stays
            assert await end.running() == 1
            await leave(other, "SIGTERM")
            assert await other.process.wait(30)
        await end.settles_at(0)
        assert not list((tmp_path / "home").rglob("open-shells/*"))


def shell(uid: str = "u", pid: int = 7) -> OpenShell:
    return OpenShell("default", "box", uid, "main", pid, 99, "bash")


def test_what_dead_panels_left_is_taken_over_once(tmp_path: Path) -> None:
    folder = tmp_path / "shells"
    folder.mkdir(mode=0o700)
    (folder / "prod.1.json").write_bytes(
        b'[{"namespace":"n","name":"a","uid":"u","container":"c","pid":1,"started":2,'
        b'"became":"sh"},{"namespace":"n","name":"b","uid":"v","container":"c","pid":3,'
        b'"started":4,"became":"sh"}]'
    )
    (folder / "prod.2.json").write_bytes(b"{not json")
    (folder / "other.3.json").write_bytes(b"[]")
    mine, other = OpenShells(folder, "prod"), OpenShells(folder, "prod")
    (taken,) = mine.abandoned("u")
    assert taken.remote.pid == 1 and ShellTarget(taken.pod, "c").pod.metadata.uid == "u"
    assert not other.abandoned("u") and [one.pid for one in other.abandoned("v")] == [3]
    names = {one.name for one in folder.iterdir()}
    assert names == {f"prod.{os.getpid()}.json", "other.3.json"}
    mine.discard(taken)
    mine.close()
    other.close()


def test_a_living_panel_keeps_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "shells"
    mine = OpenShells(folder, "a/b")
    mine.add(shell())
    (file,) = folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert OpenShells(folder, "a/b").abandoned("u") == ()
    mine.discard(shell())
    mine.close()
    assert not list(folder.iterdir())
    again = OpenShells(folder, "a/b")
    again.add(shell())
    again.close()
    assert OpenShells(folder, "a/b").abandoned("u") == (shell(),)


def test_without_a_folder_nothing_is_written(tmp_path: Path) -> None:
    for place in (None, tmp_path / "file" / "under"):
        (tmp_path / "file").touch()
        one = OpenShells(place, "prod")
        one.add(shell())
        assert one.abandoned("u") == ()
        one.discard(shell())
        one.close()
