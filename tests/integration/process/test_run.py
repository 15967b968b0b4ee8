"""Real children: their output, their end, and what they leave behind."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import select
import shlex
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.errors import DeadlineError, ProcessError
from services.process import child
from services.process.run import lines, run
from services.terminal.transport.pty import PtyProcess
from tests.support.powerless import powerless
from tests.support.waiting import eventually

PATIENCE_S = 60.0


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def until_dead(*pids: int) -> None:
    await eventually(
        lambda: not any(alive(pid) for pid in pids), what=lambda: f"still alive: {pids}"
    )


async def pids_in(path: Path, count: int) -> list[int]:
    await eventually(
        lambda: path.exists() and len(path.read_text().split()) >= count,
        what="the child never began",
    )
    return [int(word) for word in path.read_text().split()]


def quoted(path: Path) -> str:
    """A path as a word of a shell's."""
    return shlex.quote(str(path))


def handles() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) if Path("/proc").exists() else 0


async def test_output_and_status_arrive() -> None:
    done = await run(["sh", "-c", "echo out; echo err >&2; exit 3"], timeout_s=PATIENCE_S)
    assert (done.code, done.stdout, done.stderr) == (3, b"out\n", b"err\n")
    assert not done.timed_out
    assert not done.truncated
    assert done.duration_s > 0


async def test_input_reaches_the_child_and_its_end_too() -> None:
    data = os.urandom(700_000)
    done = await run(["cat"], timeout_s=PATIENCE_S, input=data)
    assert done.stdout == data
    nothing = await run(["cat"], timeout_s=PATIENCE_S)
    assert nothing.stdout == b""
    # A child that does not read its input is no failure.
    deaf = await run(["true"], timeout_s=PATIENCE_S, input=data)
    assert deaf.code == 0


async def test_output_beyond_the_bound_is_read_and_dropped() -> None:
    code = "import sys; sys.stdout.write('x' * 3_000_000); sys.stderr.write('done')"
    done = await run([sys.executable, "-c", code], timeout_s=PATIENCE_S, max_output=1000)
    assert done.code == 0
    assert done.stdout == b"x" * 1000
    assert done.stderr == b"done"
    assert done.truncated


async def test_secrets_are_masked_even_where_the_bound_cuts_them() -> None:
    argv = ["sh", "-c", "echo is hunter2hunter2; echo -n 'and hunter2hunter2'"]
    done = await run(argv, timeout_s=PATIENCE_S, secrets=["hunter2hunter2", ""])
    assert done.stdout == b"is ***\nand ***"
    cut = await run(argv, timeout_s=PATIENCE_S, secrets=["hunter2hunter2"], max_output=32)
    assert cut.truncated
    assert b"hunter" not in cut.stdout


async def test_environment_and_folder_are_the_ones_given(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "ONLY": "this"}
    done = await run(["sh", "-c", "pwd; env"], timeout_s=PATIENCE_S, cwd=tmp_path, env=env)
    assert str(tmp_path.resolve()).encode() in done.stdout
    assert b"ONLY=this" in done.stdout
    assert b"HOME=" not in done.stdout


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["surely-not-installed", "token=hunter2"], "surely-not-installed is not installed"),
        ([], "no command"),
        (["true", "a\0b"], "true cannot start"),
    ],
)
async def test_what_cannot_start_says_so(argv: list[str], words: str) -> None:
    with pytest.raises(ProcessError, match=words) as caught:
        await run(argv, timeout_s=PATIENCE_S)
    assert "hunter2" not in str(caught.value)


async def test_what_may_not_be_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    with pytest.raises(ProcessError, match="tool may not be run"):
        await run([str(tmp_path / "tool")], timeout_s=PATIENCE_S)


async def test_a_folder_that_may_not_be_searched_hides_no_missing_program(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    env = {"PATH": f"{tmp_path / 'closed'}:/usr/bin:/bin"}
    with powerless(), pytest.raises(ProcessError, match="surely-not-installed is not installed"):
        await run(["surely-not-installed"], timeout_s=PATIENCE_S, env=env)
    with powerless(), pytest.raises(ProcessError, match=r"cannot run surely-not.*: no such file"):
        await PtyProcess.start(["surely-not-installed"], env=env, columns=80, lines=24)


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match="there is no folder"):
        await run(["true"], timeout_s=PATIENCE_S, cwd=tmp_path / "gone")


async def test_the_deadline_ends_the_whole_group(tmp_path: Path) -> None:
    note = tmp_path / "pids"
    script = f"sleep 300 & echo $$ $! > {quoted(note)}; echo begun; wait"
    done = await run(["sh", "-c", script], timeout_s=1.0)
    assert done.timed_out
    assert done.code is None
    assert done.stdout == b"begun\n"
    await until_dead(*await pids_in(note, 2))


async def test_who_ignores_sigterm_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "GRACE_S", 0.5)
    note = tmp_path / "pids"
    script = f"trap '' TERM; sleep 300 & echo $$ $! > {quoted(note)}; while :; do sleep 0.1; done"
    done = await run(["sh", "-c", script], timeout_s=0.5)
    assert done.timed_out
    await until_dead(*await pids_in(note, 2))


async def test_a_stopped_child_is_ended(tmp_path: Path) -> None:
    note = tmp_path / "pids"
    done = await run(
        ["sh", "-c", f"echo $$ > {quoted(note)}; kill -STOP $$; sleep 300"], timeout_s=0.5
    )
    assert done.timed_out
    assert done.duration_s < child.GRACE_S
    await until_dead(*await pids_in(note, 1))


async def test_cancelling_ends_the_whole_group(tmp_path: Path) -> None:
    note = tmp_path / "pids"
    script = f"sleep 300 & echo $$ $! > {quoted(note)}; wait"
    task = asyncio.ensure_future(run(["sh", "-c", script], timeout_s=300))
    pids = await pids_in(note, 2)
    task.cancel()
    await asyncio.sleep(0)  # a turn of the loop: the second time while it is ending
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not any(alive(pid) for pid in pids)


async def test_cancelling_at_any_moment_leaves_no_child() -> None:
    mark = f"wakedeck-{os.getpid()}-{time.monotonic_ns()}"
    script = ["sh", "-c", "sleep 300; :", mark]
    for turns in (*range(8), 20, 50):
        task = asyncio.ensure_future(run(script, timeout_s=300))
        for _ in range(turns):
            await asyncio.sleep(0)  # a turn of the loop: called off at another point each time
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    left = [p for p in psutil.Process().children(recursive=True) if p.status() != "zombie"]
    assert [p for p in left if mark in p.cmdline()] == []


async def test_what_a_child_put_in_the_background_does_not_hold_us(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = f"sleep 300 & echo $! > {quoted(note)}; echo done"
    done = await run(["sh", "-c", script], timeout_s=PATIENCE_S)
    (pid,) = await pids_in(note, 1)
    try:
        assert done.code == 0
        assert done.stdout == b"done\n"
        # It was started on purpose, and it is not ours to end.
        assert alive(pid)
    finally:
        os.kill(pid, 9)
    await until_dead(pid)


async def test_the_loop_goes_on_and_nothing_leaks() -> None:
    await run(["true"], timeout_s=PATIENCE_S)
    before = handles()
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)  # a tick: that the loop is free is what is counted
            ticks += 1

    ticking = asyncio.ensure_future(tick())
    await asyncio.gather(*(run(["sleep", "0.3"], timeout_s=PATIENCE_S) for _ in range(8)))
    ticking.cancel()
    await asyncio.gather(ticking, return_exceptions=True)
    assert ticks > 5
    await eventually(lambda: handles() <= before)


async def collect(stream: AsyncIterator[str]) -> list[str]:
    return [line async for line in stream]


async def test_lines_come_harmless_and_masked() -> None:
    code = (
        "import sys\n"
        "sys.stdout.buffer.write(b'one\\n\\x1b[31mred\\x1b]52;c;aGk=\\x07 tail\\n')\n"
        "sys.stdout.buffer.write(b'10%\\r20%\\r30%\\ntoken=hunter2\\nmy-own-secret here\\n')\n"
        "sys.stdout.buffer.write(b'x' * 300_000 + b'\\n\\xff\\xfe\\nlast without end')\n"
        "sys.stdout.flush()\n"
    )
    got = await collect(lines([sys.executable, "-c", code], secrets=["my-own-secret"]))
    assert got[:5] == ["one", "red tail", "30%", "token=***", "*** here"]
    assert len(got[5]) == 400
    assert got[-1] == "last without end"
    assert len(got) == 8


async def test_a_slow_reader_slows_the_child_and_misses_nothing() -> None:
    got = 0
    async with aclosing(lines(["seq", "1", "300000"])) as stream:
        async for line in stream:
            got += 1
            assert line == str(got)
            if got % 5000 == 0:
                await asyncio.sleep(0.001)  # the slow reader itself
    assert got == 300_000


async def test_a_child_that_never_stops_is_held_back_and_ended() -> None:
    async with aclosing(lines(["sh", "-c", "echo $$; exec yes"])) as stream:
        pid = int(await anext(stream))
        assert await anext(stream) == "y"
        await eventually(lambda: psutil.Process(pid).status() == psutil.STATUS_SLEEPING)
        assert alive(pid)
    assert not alive(pid)


async def test_lines_end_with_the_status_or_the_deadline() -> None:
    with pytest.raises(ProcessError, match="sh ended with status 4"):
        await collect(lines(["sh", "-c", "echo x; exit 4"]))
    with pytest.raises(DeadlineError, match=r"after 0\.3 s"):
        await collect(lines(["yes"], timeout_s=0.3))
    with pytest.raises(DeadlineError, match=r"after 0\.3 s"):
        await collect(lines(["sleep", "300"], timeout_s=0.3))
    with pytest.raises(ProcessError, match="not installed"):
        await collect(lines(["surely-not-installed"]))


async def test_cancelling_a_reader_ends_the_group(tmp_path: Path) -> None:
    note = tmp_path / "pids"
    script = f"sleep 300 & echo $$ $! > {quoted(note)}; wait"

    async def read() -> None:
        async with aclosing(lines(["sh", "-c", script])) as stream:
            async for _ in stream:
                pass

    task = asyncio.ensure_future(read())
    pids = await pids_in(note, 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until_dead(*pids)


async def test_a_burst_of_children_is_begun_one_in_a_turn_of_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns, begun = 0, list[int]()
    usual = subprocess.Popen

    def noted(*args: Any, **kwargs: Any) -> Any:
        begun.append(turns)
        return usual(*args, **kwargs)

    monkeypatch.setattr(subprocess, "Popen", noted)
    burst = asyncio.gather(*(run(["true"], timeout_s=PATIENCE_S) for _ in range(6)))
    while not burst.done():
        turns += 1
        await asyncio.sleep(0)  # one turn of the loop
    await burst
    assert len(begun) == len(set(begun)) == 6


class HeldUp:
    """A child that ends with 3 while the loop does nothing until long after every deadline."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._pid, self._gate = folder / "pid", folder / "gate"
        os.mkfifo(self._gate)
        script = f"echo said; echo $$ >{quoted(self._pid)}; read _ <{quoted(self._gate)}; exit 3"
        self.argv = ["sh", "-c", script]
        self.signals: list[int] = []
        self._patch = monkeypatch
        monkeypatch.setattr(os, "killpg", lambda _, number: self.signals.append(number))

    async def end_while_it_is(self) -> None:
        (pid,) = await pids_in(self._pid, 1)
        self._gate.write_text("\n")
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        loop = asyncio.get_running_loop()
        now = loop.time
        self._patch.setattr(loop, "time", lambda: now() + 10 * PATIENCE_S)


async def test_a_child_that_ended_while_the_loop_was_held_up_is_not_called_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = HeldUp(tmp_path, monkeypatch)
    task = asyncio.create_task(run(child.argv, timeout_s=PATIENCE_S))
    await child.end_while_it_is()
    done = await task
    assert (done.code, done.timed_out, done.stdout) == (3, False, b"said\n")
    assert child.signals == [], "its number may be another's"


async def test_nor_is_one_whose_lines_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = HeldUp(tmp_path, monkeypatch)
    async with aclosing(lines(child.argv, timeout_s=PATIENCE_S)) as reading:
        assert await anext(reading) == "said"
        rest = asyncio.create_task(collect(reading))
        await child.end_while_it_is()
        with pytest.raises(ProcessError) as caught:
            await rest
    assert caught.value.code == 3
    assert child.signals == []


async def test_nor_is_one_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = HeldUp(tmp_path, monkeypatch)
    process = await PtyProcess.start(child.argv, env=dict(os.environ), columns=80, lines=24)
    waiting = asyncio.create_task(process.wait(PATIENCE_S))
    await child.end_while_it_is()
    assert await waiting
    monkeypatch.undo()
    assert await process.terminate() == 3


async def test_nothing_is_sent_to_the_number_of_a_child_that_was_collected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = await started(["true"])
    await one.child.exited.wait()
    sent: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda _, number: sent.append(number))
    await one.end()
    await one.release()
    assert sent == []


async def started(argv: list[str]) -> child.ChildProcess:
    pipe = subprocess.PIPE
    return await child.start(argv, lambda *_: None, cwd=None, env=None, stdin=pipe, stderr=pipe)


async def test_input_that_somebody_else_still_holds_is_let_go_of_once() -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    holding = "exec 3<&0; sleep 2 0</dev/null >/dev/null 2>&1 & exit 0"
    one = await started(["sh", "-c", holding])
    await one.child.exited.wait()
    pipe = one.pipe(0)
    assert pipe is not None
    pipe.close()
    await one.release()
    await asyncio.sleep(0)  # one turn of the loop
    assert told == []


async def test_pipes_that_cannot_be_listened_to_are_told_and_leave_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = handles()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: None)
    selector: Any = vars(loop)["_selector"]

    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    mark = f"600.{os.getpid()}91"
    with monkeypatch.context() as full:
        full.setattr(selector, "register", refuse)
        with pytest.raises(ProcessError, match=r"sleep cannot start: No space left on device\."):
            await run(["sleep", mark], timeout_s=PATIENCE_S)
    assert left_of(mark) == []
    await eventually(lambda: handles() <= before)


async def test_output_waits_until_its_reader_has_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = subprocess.Popen

    def spoken(*args: Any, **kwargs: Any) -> Any:
        begun: Any = usual(*args, **kwargs)
        select.select([begun.stdout], [], [], PATIENCE_S)
        return begun

    monkeypatch.setattr(subprocess, "Popen", spoken)
    told: list[tuple[bytes, bool]] = []
    has = False
    one = await child.start(
        ["echo", "it"],
        lambda _, data: told.append((data, has)),
        cwd=None,
        env=None,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    has = True
    await one.child.drained.wait()
    await one.child.exited.wait()
    await one.release()
    assert told == [(b"it\n", True)]


def left_of(mark: str) -> list[psutil.Process]:
    return [one for one in psutil.process_iter(["cmdline"]) if mark in (one.info["cmdline"] or ())]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("turns", range(8))
@pytest.mark.parametrize("after", [None, *range(6)])
def test_a_loop_that_closes_as_a_child_begins_ends_and_leaves_none(
    turns: int, after: int | None
) -> None:
    """Its pipes are opened over several turns, and any of them may be the last."""
    mark = f"600.{os.getpid()}{turns:02}{after or 0}"

    async def leave_at_once() -> None:
        task = asyncio.create_task(run(("sleep", mark), timeout_s=30))
        for _ in range(turns):
            await asyncio.sleep(0)  # one turn of the loop
        assert not task.done()
        if after is not None:
            task.cancel()
            for _ in range(after):
                await asyncio.sleep(0)  # one more turn, called off

    asyncio.run(leave_at_once())
    gc.collect()
    assert left_of(mark) == []


@pytest.mark.timeout(60)
def test_a_loop_that_closes_as_a_child_is_ended_ends_it(tmp_path: Path) -> None:
    """It does not hear SIGTERM, so the end takes longer than the loop has turns."""
    ready, mark = tmp_path / "ready", f"600.{os.getpid()}90"
    command = f"trap '' TERM; echo >{quoted(ready)}; sleep {mark}; sleep {mark}"

    async def leave_while_it_ends() -> None:
        task = asyncio.create_task(run(("sh", "-c", command), timeout_s=30))
        await eventually(ready.exists)
        task.cancel()
        await asyncio.sleep(0)  # one turn: its end is begun

    asyncio.run(leave_while_it_ends())
    assert left_of(mark) == []
