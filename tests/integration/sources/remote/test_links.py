"""A far side as a plain child process: rows, verbs, shells, commands, and its end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from pathlib import Path

import psutil

from services.models import AttemptState, GatewayState, SandboxState, ShellState, Verb
from services.process.identity import ProcessId
from services.terminal.exec.requests import ExecRequest, ShellChoice, collect_output
from services.terminal.transport.base import CloseReason
from tests.support.remote import (
    all_ready,
    embedded_world,
    far_side,
    live_remote,
    program,
    way,
)
from tests.support.waiting import eventually


async def test_a_sandbox_there_is_seen_mended_and_worked_in(tmp_path: Path) -> None:
    home = tmp_path / "far"
    async with (
        embedded_world(home) as place,
        live_remote(far_side(home), tmp_path / "locks") as box,
    ):
        seen = await box.until(all_ready)
        assert way(seen).state is GatewayState.READY
        assert "wakedeck" in way(seen).address
        target = seen.sandboxes[0].id
        assert target.native_id.startswith("local/")
        name = target.native_id.partition("/")[2]

        os.kill(faults_pid(place, name), signal.SIGKILL)
        await box.until(
            lambda one: next(r for r in one.sandboxes if r.id == target).state is SandboxState.DOWN
        )
        ended = await box.attempts.request(Verb.RECONNECT, target).wait()
        assert ended.state is AttemptState.DONE, ended
        assert next(one.name for one in ended.steps) == "check"
        assert any(one.name == "start" and "restarted" in one.detail for one in ended.steps)
        await box.until(all_ready)

        for argv, code in ((("false",), 1), (("sh", "-c", "exit 42"), 42)):
            done = await collect_output(box.source.actor.exec(target, ExecRequest(argv)))
            assert done.code == code, done
        said = await collect_output(box.source.actor.exec(target, ExecRequest(("echo", "hier"))))
        assert b"hier" in said.stdout

        queue = await box.source.observer.queue(target, 50)
        assert queue.sandbox == target and queue.inbound
        text = await box.source.observer.content(
            target, queue.messages[0].direction, queue.messages[0].id
        )
        assert text
        assert [one.name for one in await box.source.observer.log_streams(target)]


def faults_pid(place: object, name: str) -> int:
    from services.sources.local.layout import World

    assert isinstance(place, World)
    record = place.read_record(f"agent-{name}")
    assert record is not None
    return record.pid


async def test_a_shell_there_echoes_resizes_and_tells_its_code(tmp_path: Path) -> None:
    home = tmp_path / "far"
    async with (
        embedded_world(home),
        live_remote(far_side(home), tmp_path / "locks") as box,
    ):
        target = (await box.until(all_ready)).sandboxes[0].id
        shell = box.source.actor.shell(target, ShellChoice())
        await shell.open(100, 30)
        try:
            assert "on box" in shell.notice
            await shell.write(b"echo $((40+2))-$(tput cols)\n")
            assert await asyncio.wait_for(shell.acknowledge(), 60)
            heard = b""
            while b"42-100" not in heard:
                got = await asyncio.wait_for(shell.read(), 60)
                assert isinstance(got, bytes), got
                heard += got
            await shell.write(b"exit 7\n")
            while isinstance(got := await asyncio.wait_for(shell.read(), 60), bytes):
                pass
            assert isinstance(got, CloseReason)
            assert (got.state, got.code) == (ShellState.ENDED, 7)
        finally:
            await shell.close()


async def test_a_lost_link_leaves_rows_stale_and_every_outcome_unknown(
    tmp_path: Path,
) -> None:
    home = tmp_path / "far"
    async with (
        embedded_world(home),
        live_remote(far_side(home), tmp_path / "locks") as box,
    ):
        seen = await box.until(all_ready)
        target = seen.sandboxes[0].id
        shell = box.source.actor.shell(target, ShellChoice())
        await shell.open(80, 24)
        running = asyncio.create_task(
            collect_output(box.source.actor.exec(target, ExecRequest(("sleep", "60"))))
        )
        await asyncio.wait_for(shell.read(), 60)
        os.kill(int(dict(way(seen).evidence)["process there"]), signal.SIGKILL)
        lost = await box.until(lambda one: way(one).state is not GatewayState.READY)
        assert "killed by SIGKILL" in way(lost).reason
        assert len(lost.sandboxes) == 4 and all(one.stale for one in lost.sandboxes)
        assert box.board.sandboxes[target].state is SandboxState.CUT_OFF
        assert box.board.unknown_lists
        done = await asyncio.wait_for(running, 60)
        assert done.code is None and "outcome is unknown" in done.reason
        while isinstance(ending := await asyncio.wait_for(shell.read(), 60), bytes):
            pass
        assert ending.state is ShellState.LOST
        await box.until(all_ready)


def test_the_end_of_stdin_ends_the_far_side_and_its_children(tmp_path: Path) -> None:
    home = tmp_path / "far"
    home.mkdir()
    far = subprocess.Popen(
        far_side(home), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert far.stdout is not None and far.stdin is not None
    assert b"hello" in os.read(far.stdout.fileno(), 4096)
    began = time.monotonic()
    far.stdin.close()
    far.wait(timeout=60)
    assert time.monotonic() - began < 20
    far.stdout.close()
    assert far.stderr is not None and far.stderr.read() == b""
    far.stderr.close()
    assert far.returncode == 0


async def test_a_killed_near_side_leaves_nothing_there(tmp_path: Path) -> None:
    """What it had started, a command that runs for ever included, ends with its pipe."""
    home = tmp_path / "far"
    for_ever = f"9{os.getpid()}"
    async with embedded_world(home):
        code = (
            "import asyncio, sys\n"
            "from pathlib import Path\n"
            "from services.terminal.exec.requests import ExecRequest, collect_output\n"
            "from tests.support.remote import all_ready, far_side, live_remote\n"
            "async def main():\n"
            "    async with live_remote(far_side(Path(sys.argv[1])), Path(sys.argv[2])) as box:\n"
            "        seen = await box.until(all_ready)\n"
            f"        run = ExecRequest(('sleep', '{for_ever}'))\n"
            "        task = asyncio.create_task(collect_output(\n"
            "            box.source.actor.exec(seen.sandboxes[0].id, run)))\n"
            "        await asyncio.sleep(1.5)  # it has to be under way there\n"
            "        print('in', flush=True)\n"
            "        await task\n"
            "asyncio.run(main())\n"
        )
        import sys

        near = subprocess.Popen(
            [sys.executable, "-c", code, str(home), str(tmp_path / "locks")],
            cwd=Path(__file__).parents[4],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert near.stdout is not None
        assert await asyncio.to_thread(near.stdout.readline) == "in\n"
        far = [
            identity
            for one in psutil.Process(near.pid).children(recursive=True)
            if (identity := ProcessId.capture(one.pid)) is not None
        ]
        assert far
        near.kill()
        near.wait()
        near.stdout.close()
        await eventually(lambda: not any(one.alive() for one in far))
        await eventually(lambda: not _running(for_ever))


def _running(word: str) -> bool:
    found = (one.info["cmdline"] or [] for one in psutil.process_iter(["cmdline"]))
    return any(argv[:1] == ["sleep"] and word in argv for argv in found)


async def test_twenty_far_sides_at_once(tmp_path: Path) -> None:
    from contextlib import AsyncExitStack

    from services.sources.remote.gate import ConnectGate

    gate = ConnectGate()
    async with AsyncExitStack() as stack:
        boxes = []
        for number in range(20):
            folder = tmp_path / str(number)
            folder.mkdir()
            argv = program(folder, f"hello()\nrows('agent-{number}')\nfor _ in incoming(): pass\n")
            boxes.append(
                await stack.enter_async_context(
                    live_remote(argv, tmp_path / "locks", f"box{number}", gate=gate)
                )
            )
        async with asyncio.timeout(60):
            looks = await asyncio.gather(
                *(one.until(lambda seen: len(seen.sandboxes) == 1) for one in boxes)
            )
        assert {one.sandboxes[0].name for one in looks} == {f"agent-{n}" for n in range(20)}
