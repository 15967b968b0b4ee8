"""Children on pseudo terminals: real shells, real signals, nothing left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path

import psutil
import pytest

from services.errors import ProcessError, ShellError
from services.models import Retry, ShellState
from services.terminal.transport.pty import PtyProcess
from services.terminal.transport.pty_transport import PtyTransport
from tests.support.shells import DEAF, UP, opened, read_to_end, read_until
from tests.support.waiting import eventually
from tests.support.world_processes import living_children

ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",  # a shell reads no start-up file of this user
    "TERM": "xterm",
    "PS1": "$ ",
    "LANG": "C.UTF-8",
}
BASH = ("bash", "--noprofile", "--norc")


async def output_until(process: PtyProcess, wanted: bytes, seconds: float = 20) -> bytes:
    output = b""
    async with asyncio.timeout(seconds):
        while wanted not in output:
            data = await process.read()
            assert data, output
            output += data
    return output


def handles() -> int:
    return psutil.Process().num_fds()


def in_session(pid: int) -> list[int]:
    found = []
    for other in psutil.process_iter(["status"]):
        try:
            if os.getsid(other.pid) == pid and other.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(other.pid)
        except OSError:
            continue
    return found


async def test_the_child_owns_a_terminal_of_the_asked_size() -> None:
    process = await PtyProcess.start(
        ("sh", "-c", "stty size; test -t 0 && ps -o tty= -p $$ && cat /dev/tty"),
        env=ENV,
        columns=101,
        lines=33,
    )
    try:
        assert (await output_until(process, b"\n")).startswith(b"33 101\r\n")
        process.write(b"through the controlling terminal\r")
        await output_until(process, b"through the controlling terminal\r\n")
        process.resize(55, 12)
    finally:
        await process.terminate()


async def test_a_resize_reaches_the_program() -> None:
    transport = PtyTransport(
        ("bash", "-c", "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done"), env=ENV
    )
    async with opened(transport):
        await read_until(transport, b"ready")
        await transport.resize(132, 50)
        await read_until(transport, b"50 132")


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ("exit 0", 0, "exited (0)"),
        ("exit 7", 7, "exited (7)"),
        ("kill -TERM $$", 143, "exited (143: terminated)"),
        ("kill -KILL $$", 137, "exited (137: killed or out of memory)"),
    ],
)
async def test_an_exit_code_is_the_childs_own(script: str, code: int, words: str) -> None:
    transport = PtyTransport(("sh", "-c", f"echo last words; {script}"), env=ENV)
    async with opened(transport):
        output, ending = await read_to_end(transport)
    assert output == b"last words\r\n"
    assert (ending.state, ending.code, ending.reason) == (ShellState.ENDED, code, words)


async def test_a_background_job_does_not_hold_up_the_end() -> None:
    transport = PtyTransport(BASH, env=ENV)
    async with opened(transport):
        await read_until(transport, b"$ ")
        await transport.write(b"sleep 300 & echo j''ob=$!.\r")
        seen = await read_until(transport, b".\r\n\x1b[?2004h$ ")
        job = int(seen.rpartition(b"job=")[2].split(b".")[0])
        await transport.write(b"exit 3\r")
        _, ending = await read_to_end(transport)
    assert ending.code == 3
    assert not psutil.pid_exists(job) or psutil.Process(job).status() == psutil.STATUS_ZOMBIE


async def test_everything_in_the_session_ends_even_what_ignores_a_hangup() -> None:
    process = await PtyProcess.start(
        (
            "bash",
            "-c",
            "trap '' HUP TERM; set -m; sleep 301 & sleep 302 & echo up; wait; sleep 303",
        ),
        env=ENV,
        columns=80,
        lines=24,
    )
    await output_until(process, b"up")
    assert len(in_session(process.pid)) == 3
    assert await process.terminate(0.2) == 137
    assert in_session(process.pid) == []
    assert await process.terminate() == 137


async def test_an_interrupt_reaches_a_program_that_never_reads() -> None:
    process = await PtyProcess.start(BASH, env=ENV, columns=80, lines=24)
    try:
        await output_until(process, b"$ ")
        process.write(DEAF)
        await output_until(process, UP)
        process.write(b"echo r''an\n" * 40_000)
        assert process.pending > 0
        process.write(b"\x03")
        await asyncio.wait_for(process.drain(), 60)
        seen = await output_until(process, b"^C")
        process.write(b"echo al''ive\r")
        seen += await output_until(process, b"alive\r\n")
        assert b"ran" not in seen
    finally:
        await process.terminate()


async def test_a_raw_program_gets_its_interrupt_in_order() -> None:
    script = (
        "import sys,tty,os\n"
        "tty.setraw(0)\n"
        "os.write(1,b'raw')\n"
        "got=b''\n"
        "while not got.endswith(b'\\x03'): got+=os.read(0,1024)\n"
        "os.write(1,str(len(got)).encode()+b'!')\n"
    )
    process = await PtyProcess.start((sys.executable, "-c", script), env=ENV, columns=80, lines=24)
    try:
        await output_until(process, b"raw")
        process.write(b"x" * 300_000)
        process.write(b"\x03")
        assert b"300001!" in await output_until(process, b"!")
    finally:
        await process.terminate()


async def test_ignored_signals_of_this_process_are_not_the_childs() -> None:
    previous = signal.signal(signal.SIGQUIT, signal.SIG_IGN)
    try:
        transport = PtyTransport(BASH, env=ENV)
        async with opened(transport):
            await read_until(transport, b"$ ")
            await transport.write(DEAF)
            await read_until(transport, UP)
            await transport.write(b"\x1c")
            await read_until(transport, b"Quit")
    finally:
        signal.signal(signal.SIGQUIT, previous)


@pytest.mark.parametrize(
    ("argv", "cwd", "words"),
    [
        (("no-such-program-here",), None, "cannot run no-such-program-here: no such file"),
        (("/etc/passwd",), None, "cannot run /etc/passwd: permission denied"),
        (("sh",), Path("/no/such/folder"), "cannot run sh: no such file"),
    ],
)
async def test_what_cannot_run_is_said(argv: tuple[str, ...], cwd: Path | None, words: str) -> None:
    before = handles()
    with pytest.raises(ProcessError, match=words):
        await PtyProcess.start(argv, env=ENV, cwd=cwd, columns=80, lines=24)
    with pytest.raises(ShellError, match=words) as raised:
        await PtyTransport(argv, env=ENV, cwd=cwd).open(80, 24)
    assert raised.value.retry is Retry.NO
    await eventually(lambda: handles() <= before)


async def test_the_environment_is_the_given_one_and_nothing_else() -> None:
    env = {"PATH": os.environ["PATH"], "ONLY": "this"}
    transport = PtyTransport(("env",), env=env)
    async with opened(transport):
        output, _ = await read_to_end(transport)
    assert sorted(line.partition("=")[0] for line in output.decode().split()) == ["ONLY", "PATH"]


async def test_nothing_is_left_open_and_no_thread_is_made() -> None:
    threads = threading.active_count()
    before, children = handles(), living_children()
    for _ in range(5):
        transport = PtyTransport(BASH, env=ENV)
        async with opened(transport):
            await read_until(transport, b"$ ")
    await eventually(lambda: handles() <= before)
    assert threading.active_count() <= threads
    assert living_children() <= children


async def test_starting_can_be_called_off() -> None:
    before, children = handles(), living_children()
    for turns in range(4):
        transport = PtyTransport(BASH, env=ENV)
        task = asyncio.create_task(transport.open(80, 24))
        for _ in range(turns):
            await asyncio.sleep(0)  # a turn of the loop: called off at another point each time
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await transport.close()
    await eventually(lambda: handles() <= before)
    assert living_children() <= children


async def test_waiting_for_output_can_be_called_off_and_taken_up_again() -> None:
    transport = PtyTransport(("sh", "-c", "read line; echo got $line; sleep 300"), env=ENV)
    async with opened(transport):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(transport.read(), 0.05)
        await transport.write(b"it\r")
        await read_until(transport, b"got it")
        assert await transport.ping() and await transport.acknowledge()
