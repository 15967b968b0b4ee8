"""`wakedeck exec` as a process among others: pipes, signals, exit codes, nothing left behind."""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.terminal.transport.pty import PtyProcess
from tests.integration.sources.pods.test_kube_source import cluster
from tests.integration.sources.pods.test_pods_panel import PANEL, ROOT, kubernetes, run
from tests.support.bad_weather import bad_weather
from tests.support.families import end, gone, processes
from tests.support.waiting import eventually
from tui.cli.exec_command import exit_status

pytestmark = pytest.mark.slow

PIPE = asyncio.subprocess.PIPE


def command(config: Path, *words: str) -> list[str]:
    return [sys.executable, "-c", PANEL, "--config", str(config), "exec", "box", *words]


def mark() -> str:
    return f"wd-{secrets.token_hex(8)}"


@asynccontextmanager
async def executing(config: Path, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command line with a pipe at every end; killed, if need be, at the end."""
    child = await asyncio.create_subprocess_exec(
        *command(config, *words), stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=ROOT
    )
    try:
        async with asyncio.timeout(60):
            yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


async def told(stream: asyncio.StreamReader | None, wanted: bytes) -> bytes:
    assert stream is not None
    output = b""
    while wanted not in output:
        data = await stream.read(65536)
        assert data, output
        output += data
    return output


async def test_a_pipe_in_and_out(tmp_path: Path, home: Path) -> None:
    sent = os.urandom(3_000_000)
    async with (
        cluster(tmp_path) as one,
        executing(kubernetes(one, home), "-i", "--", "cat") as child,
    ):
        out, err = await child.communicate(sent)
        assert (out == sent, err, child.returncode) == (True, b"", 0)


async def test_files_and_the_void_are_read_too(tmp_path: Path, home: Path) -> None:
    file = tmp_path / "in"
    file.write_bytes(b"from a file\n" * 10_000)
    async with cluster(tmp_path) as one:
        argv = command(kubernetes(one, home), "-i", "--", "wc", "-c")
        for given, size in ((file, b"120000"), (Path(os.devnull), b"0")):
            with given.open("rb") as stdin, (tmp_path / "out").open("wb") as stdout:
                child = await asyncio.create_subprocess_exec(
                    *argv, stdin=stdin, stdout=stdout, cwd=ROOT
                )
                async with asyncio.timeout(60):
                    assert await child.wait() == 0
            assert (tmp_path / "out").read_bytes().strip() == size


async def test_output_is_seen_while_the_command_still_runs(tmp_path: Path, home: Path) -> None:
    async with cluster(tmp_path) as one:
        script = "echo out; echo err >&2; read -r line; echo got $line; exit 3"
        async with executing(kubernetes(one, home), "-i", "--", "sh", "-c", script) as child:
            await told(child.stdout, b"out\n")
            await told(child.stderr, b"err\n")
            assert child.stdin is not None
            child.stdin.write(b"more\n")
            await told(child.stdout, b"got more\n")
            assert await child.wait() == 3


async def test_input_is_left_alone_unless_it_is_asked_for(tmp_path: Path, home: Path) -> None:
    async with cluster(tmp_path) as one:
        code, out, _ = await run(kubernetes(one, home), "exec", "box", "--", "cat", stdin=b"x")
        assert (code, out) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_the_command_in_the_pod(
    tmp_path: Path, home: Path, number: signal.Signals
) -> None:
    word = mark()
    script = "trap 'echo bye; exit 9' INT; echo up; while :; do sleep 0.1; done"
    async with cluster(tmp_path) as one:
        config = kubernetes(one, home)
        async with executing(config, "--", "sh", "-c", script, word) as child:
            await told(child.stdout, b"up\n")
            assert processes(word)
            child.send_signal(number)
            await told(child.stdout, b"bye\n")
            assert await child.wait() == 9
        await gone(word)


async def test_a_second_one_leaves_at_once_and_says_so(tmp_path: Path, home: Path) -> None:
    word = mark()
    deaf = "trap '' INT TERM; echo up; while :; do sleep 0.1; done"
    async with cluster(tmp_path) as one:
        async with executing(kubernetes(one, home), "--", "sh", "-c", deaf, word) as child:
            await told(child.stdout, b"up\n")
            child.send_signal(signal.SIGINT)
            await told(child.stderr, b"once more")
            child.send_signal(signal.SIGINT)
            await told(child.stderr, b"may still run")
            assert await child.wait() == 130
        end(word)


async def test_nobody_who_reads_ends_it_quietly(tmp_path: Path, home: Path) -> None:
    word = mark()
    async with cluster(tmp_path) as one:
        argv = command(kubernetes(one, home), "--", "sh", "-c", "yes; echo $0", word)
        reader, writer = os.pipe()
        child = await asyncio.create_subprocess_exec(*argv, stdout=writer, stderr=PIPE, cwd=ROOT)
        os.close(writer)
        assert await asyncio.to_thread(os.read, reader, 4) == b"y\ny\n"
        os.close(reader)
        async with asyncio.timeout(60):
            _, err = await child.communicate()
        assert (child.returncode, err) == (141, b"")
        await gone(word)


def stuffed(child: asyncio.subprocess.Process) -> bool:
    """Whether the pipe from a child is full: we have not taken anything for a while."""
    channel = child._transport.get_pipe_transport(1)  # type: ignore[attr-defined]
    pipe = channel.get_extra_info("pipe").fileno()
    waiting = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]
    return bool(waiting >= fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) * 3 // 4)


async def test_a_reader_that_stands_still_stops_nothing_but_the_output(
    tmp_path: Path, home: Path
) -> None:
    word = mark()
    async with (
        cluster(tmp_path) as one,
        executing(kubernetes(one, home), "--", "sh", "-c", "yes", word) as child,
    ):
        await told(child.stdout, b"y\n")
        await eventually(lambda: stuffed(child))
        child.send_signal(signal.SIGINT)
        await told(child.stderr, b"stopping")
        await gone(word)
        await child.communicate()
        assert child.returncode == 130


async def test_a_lost_connection_is_never_a_success(tmp_path: Path, home: Path) -> None:
    word = mark()
    async with cluster(tmp_path) as one:
        config = kubernetes(one, home)
        async with executing(config, "--", "sh", "-c", "echo up; sleep 60", word) as child:
            await told(child.stdout, b"up\n")
            one.api.sockets[0].reset()
            assert b"outcome unknown" in await told(child.stderr, b"\n")
            assert await child.wait() == 255
        end(word)


async def test_it_reads_from_a_terminal_until_its_end(tmp_path: Path, home: Path) -> None:
    async with cluster(tmp_path) as one:
        process = await PtyProcess.start(
            command(kubernetes(one, home), "-i", "--", "cat"),
            env={**os.environ, "TERM": "xterm"},
            cwd=ROOT,
            columns=80,
            lines=24,
        )
        try:
            process.write(b"typed\r")
            output = b""
            async with asyncio.timeout(60):
                while output.count(b"typed") < 2:
                    output += await process.read()
            process.write(b"\x04")
            assert await process.wait(30)
        finally:
            assert await process.terminate() == 0


@pytest.mark.parametrize(
    ("code", "status"), [(0, 0), (255, 255), (256, 255), (512, 255), (-1, 255), (None, 255)]
)
def test_no_code_wraps_to_another_one(code: int | None, status: int) -> None:
    assert exit_status(code) == status


async def test_a_command_whose_client_was_killed_is_ended_at_the_next_connection(
    tmp_path: Path, home: Path
) -> None:
    word = mark()
    async with cluster(tmp_path) as one:
        config = kubernetes(one, home)
        # Where nobody reads it any more it goes on: the pod does not notice that we are gone.
        script = "trap '' HUP PIPE; echo u''p; while :; do sleep 0.2; done"
        async with executing(config, "--", "sh", "-c", script, word) as child:
            await told(child.stdout, b"up")
            assert processes(word)
            child.kill()
            await child.wait()
        assert processes(word)
        async with executing(config, "--", "true") as child:
            assert await child.wait() == 0
        await gone(word)


async def test_a_command_that_could_not_be_ended_is_named_and_ended_later(
    tmp_path: Path, home: Path
) -> None:
    word = mark()
    async with cluster(tmp_path) as one, bad_weather(one.api.peer.port) as weather:
        fair = one.config.read_text()
        ports = str(one.api.peer.port), str(weather.port)
        one.config.write_text(fair.replace(*ports))
        config = kubernetes(one, home)
        async with executing(config, "--", "sh", "-c", "echo u''p; sleep 300", word) as child:
            await told(child.stdout, b"up")
            weather.target = 9  # nobody listens there
            weather.cut()
            said = await told(child.stderr, b"next reached")
            assert b"may still run in pod box (pid " in said
            assert await child.wait() == 255
        assert processes(word)
        one.config.write_text(fair)
        async with executing(config, "--", "true") as child:
            assert await child.wait() == 0
        await gone(word)
