"""Shells and commands in a real container: containerd's own exec server is the far end (T3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from services.clock import SystemClock
from services.config.sources import KubernetesTable
from services.errors import ShellError
from services.models import ShellState
from services.sources.pods.source import open_kubernetes
from services.sources.protocol.source import OpenSource
from services.terminal.exec.requests import (
    ExecOutput,
    ExecRequest,
    ExecResult,
    ShellChoice,
    collect_output,
)
from tests.integration.sources.pods.test_kube_source import BOX
from tests.support import seen as operator
from tests.support.bad_weather import bad_weather
from tests.support.containerd import (
    ContainerApi,
    Containerd,
    container_api,
    containerd,
)
from tests.support.kube_api import TOKEN
from tests.support.kubectl import environment, kubeconfig, kubectl
from tests.support.ran import link_steps, ran
from tests.support.seen import seen
from tests.support.shells import opened, read_to_end, read_until
from tests.support.tls import Authority
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.kit("containerd")]


@pytest.fixture(scope="module")
def daemon() -> Iterator[Containerd]:
    with containerd() as one:
        yield one


@asynccontextmanager
async def pods(daemon: Containerd, folder: Path) -> AsyncIterator[tuple[ContainerApi, OpenSource]]:
    authority = Authority(folder / "ca")
    async with container_api(daemon, folder, authority.server("localhost")) as api:
        server = f"https://localhost:{api.peer.port}"
        config = kubeconfig(folder, server, TOKEN, authority.certificate)
        source = open_kubernetes("prod", KubernetesTable(kubeconfig=str(config)), SystemClock())
        try:
            yield api, source
        finally:
            await source.actor.close()
            await source.observer.close()


async def nothing_left(daemon: Containerd) -> None:
    """Counted inside the container: our shells and what they started are gone."""

    async def none() -> bool:
        left = await asyncio.to_thread(daemon.processes)
        assert not left, f"left in the container: {left}"
        return True

    await eventually(none)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("exit 0", 0),
        ("exit 1", 1),
        ("exit 42", 42),
        ("/bin/not-executable", 126),
        ("no-such-command", 127),
        ("kill -INT $$", 130),
        ("kill -KILL $$", 137),
    ],
)
async def test_exit_codes(daemon: Containerd, tmp_path: Path, script: str, code: int) -> None:
    async with pods(daemon, tmp_path) as (_, source):
        done = await ran(source.actor, BOX, ("bash", "-c", script), 30, ShellChoice())
        assert done.code == code
        done = await ran(source.actor, BOX, ("sh", "-c", "echo o; echo e >&2"), 30, ShellChoice())
        assert (done.stdout, done.stderr, done.code) == (b"o\n", b"e\n", 0)


@pytest.mark.parametrize(
    ("program", "code"), [("no-such-program", 127), ("/bin/not-executable", 126)]
)
async def test_what_does_not_start_has_the_code_a_shell_gives_it(
    daemon: Containerd, tmp_path: Path, program: str, code: int
) -> None:
    async with pods(daemon, tmp_path) as (_, source):
        done = await ran(source.actor, BOX, (program,), 30)
        assert done.code == code and program.encode() in done.stderr


@pytest.mark.parametrize("deaf", [False, True])
async def test_a_command_past_its_deadline_is_ended_in_the_container(
    daemon: Containerd, tmp_path: Path, deaf: bool
) -> None:
    script = "trap '' INT TERM; " if deaf else ""
    script += "sleep 300 & sleep 301 | cat; echo late"
    async with pods(daemon, tmp_path) as (_, source):
        done = await ran(source.actor, BOX, ("sh", "-c", script), 1)
        assert done.code is None and "it was stopped" in done.reason and not done.stdout
        await nothing_left(daemon)


async def test_an_interrupted_command_is_gone_and_says_its_code(
    daemon: Containerd, tmp_path: Path
) -> None:
    async with pods(daemon, tmp_path) as (_, source):
        request = ExecRequest(("sh", "-c", "trap 'echo bye; exit 9' INT; echo up; sleep 300"))
        output = b""
        async for event in source.actor.exec(BOX, request):
            if isinstance(event, ExecOutput):
                output += event.data
            else:
                assert (output, event) == (b"up\nbye\n", ExecResult(9))
            if output == b"up\n":
                request.stop.set()
        await nothing_left(daemon)


async def test_a_command_nobody_follows_any_more_is_ended(
    daemon: Containerd, tmp_path: Path
) -> None:
    async with pods(daemon, tmp_path) as (_, source):
        events = source.actor.exec(BOX, ExecRequest(("yes",)))
        async with aclosing(events):  # type: ignore[type-var]
            await anext(events)
            (left,) = await asyncio.to_thread(daemon.processes)
            assert left.endswith("yes")
        await nothing_left(daemon)


async def test_a_command_that_was_cut_off_is_ended_and_said_to_be(
    daemon: Containerd, tmp_path: Path
) -> None:
    async with pods(daemon, tmp_path) as (api, _), bad_weather(api.peer.port) as weather:
        config = tmp_path / "behind"
        fair = (tmp_path / "kubeconfig").read_text()
        config.write_text(fair.replace(str(api.peer.port), str(weather.port)))
        table = KubernetesTable(kubeconfig=str(config))
        source = open_kubernetes("behind", table, SystemClock(), tmp_path / "open-shells")
        request = ExecRequest(("bash", "-c", "echo u''p; sleep 300"))
        async with aclosing(source.actor.exec(BOX, request)) as events:  # type: ignore[type-var]
            output = b""
            while b"up" not in output:
                event = await anext(events)
                assert isinstance(event, ExecOutput)
                output += event.data
            assert await asyncio.to_thread(daemon.processes)
            weather.cut()
            left = await collect_output(events)
        assert left.code is None and "it was ended in pod box" in left.reason
        await nothing_left(daemon)
        await source.actor.close()
        await source.observer.close()


async def test_input_is_refused_by_a_runtime_that_cannot_be_told_its_end(
    daemon: Containerd, tmp_path: Path
) -> None:
    async with pods(daemon, tmp_path) as (_, source):
        with pytest.raises(ShellError, match="too old"):
            await ran(source.actor, BOX, ("cat",), 30, stdin=b"x")
        await nothing_left(daemon)


async def test_the_steps_of_a_reconnect(daemon: Containerd, tmp_path: Path) -> None:
    async with pods(daemon, tmp_path) as (_, source):
        steps = await link_steps(source.actor, BOX)
        assert steps[-1].detail == "container main", steps[-1]


@pytest.mark.parametrize("shell", ["bash", "sh"])
async def test_a_shell_with_its_size_and_its_code(
    daemon: Containerd, tmp_path: Path, shell: str
) -> None:
    async with pods(daemon, tmp_path) as (_, source):
        one = source.actor.shell(BOX, ShellChoice(shell=shell))
        async with opened(one, 101, 33):
            await read_until(one, b"pod$ ")
            await one.write(b"stty size\r")
            await read_until(one, b"33 101")
            await one.resize(132, 40)

            async def resized() -> bool:
                """Sizes and keys reach the container on streams of their own."""
                await one.write(b"stty size; echo to''ld\r")
                return b"40 132" in await read_until(one, b"told\r\n")

            await eventually(resized)
            await one.write(b"echo $0; exit 7\r")
            rest, ending = await read_to_end(one)
        assert shell.encode() in rest
        assert (ending.state, ending.code) == (ShellState.ENDED, 7)
        await nothing_left(daemon)


async def test_a_shell_that_is_not_there_is_named(daemon: Containerd, tmp_path: Path) -> None:
    async with pods(daemon, tmp_path) as (_, source):
        one = source.actor.shell(BOX, ShellChoice(shell="zsh"))
        async with opened(one):
            await read_until(one, b"no zsh in this container: this is bash")


@pytest.mark.parametrize(
    "busy",
    ["", "sleep 300", "vi /tmp/x", "sh -c 'trap \"\" INT; sleep 300'", "sleep 300 & sleep 9"],
)
async def test_nothing_is_left_however_it_is_left(
    daemon: Containerd, tmp_path: Path, busy: str
) -> None:
    async with pods(daemon, tmp_path) as (_, source):
        one = source.actor.shell(BOX, ShellChoice())
        await one.open(80, 24)
        await read_until(one, b"pod$ ")
        await one.write(f"echo go''ing; {busy}\r".encode())
        await read_until(one, b"going\r\n")
        await eventually(partial(asyncio.to_thread, daemon.processes))
        await one.close()
        await nothing_left(daemon)


async def test_ten_sessions_leave_no_shell(daemon: Containerd, tmp_path: Path) -> None:
    async with pods(daemon, tmp_path) as (_, source):
        shells = [source.actor.shell(BOX, ShellChoice()) for _ in range(10)]
        await asyncio.gather(*(one.open(80, 24) for one in shells))
        await asyncio.gather(*(one.close() for one in shells))
        await nothing_left(daemon)


async def test_a_panel_that_closes_hangs_up_what_it_had(daemon: Containerd, tmp_path: Path) -> None:
    async with pods(daemon, tmp_path) as (_, source):
        one = source.actor.shell(BOX, ShellChoice())
        await one.open(80, 24)
        await read_until(one, b"pod$ ")
        closing = asyncio.create_task(one.close())
        await asyncio.sleep(0)  # a turn of the loop: the closing has begun
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        await source.actor.close()
        await nothing_left(daemon)


async def test_everyday_work(daemon: Containerd, tmp_path: Path) -> None:
    async with pods(daemon, tmp_path) as (_, source):
        shell = source.actor.shell(BOX, ShellChoice())
        async with seen(shell) as one:
            await operator.odd_characters(one)
            one.type("vi /tmp/note.txt\r")
            await one.shows("note.txt")
            one.type("iwords\x1b")
            await one.shows("words")
            one.type(":wq\r")
            await one.until(lambda: one.prompted)
            await one.run("cat /tmp/note.txt", "words")
            one.type("top\r")
            await one.shows("Mem:")
            one.type("q")
            await one.until(lambda: one.prompted)
            await operator.storm_of_sizes(one)
        await nothing_left(daemon)


async def test_floods_and_pastes(daemon: Containerd, tmp_path: Path) -> None:
    async with pods(daemon, tmp_path) as (_, source):
        async with seen(source.actor.shell(BOX, ShellChoice())) as one:
            await operator.flood_and_interrupt(one)
            await operator.paste_into_the_deaf(one)
        await nothing_left(daemon)


async def test_a_hundred_megabytes(daemon: Containerd, tmp_path: Path) -> None:
    async with pods(daemon, tmp_path) as (_, source):
        async with seen(source.actor.shell(BOX, ShellChoice())) as one:
            await operator.a_hundred_megabytes(one)
        await nothing_left(daemon)


@pytest.mark.kit("kubectl", "openssl")
async def test_kubectl_sees_the_same_pod(daemon: Containerd, tmp_path: Path) -> None:
    async with pods(daemon, tmp_path):
        program = kubectl()
        child = await asyncio.create_subprocess_exec(
            *(program, "get", "pod", "box", "-o", "name"),
            stdout=asyncio.subprocess.PIPE,
            env=environment(tmp_path / "kubeconfig"),
        )
        async with asyncio.timeout(60):
            out, _ = await child.communicate()
        assert out == b"pod/box\n"


async def test_a_container_that_stops_ends_the_shell(tmp_path: Path) -> None:
    with containerd() as daemon:
        async with pods(daemon, tmp_path) as (_, source):
            one = source.actor.shell(BOX, ShellChoice())
            async with opened(one):
                await read_until(one, b"pod$ ")
                await asyncio.to_thread(daemon.runtime.stop, daemon.container)
                _, ending = await read_to_end(one)
        assert (ending.state, ending.code) == (ShellState.ENDED, 137)
