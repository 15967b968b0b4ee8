"""How the ends of children are heard: with their codes, by nobody's thread, nothing left behind."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import subprocess
import sys
import threading
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.process import ends
from services.process.run import run
from tests.support.waiting import eventually, eventually_sync

ROOT = Path(__file__).parents[3]
PATIENCE_S = 60.0
MANY = 40
OLD = pytest.mark.skipif(sys.version_info >= (3, 12), reason="newer ones do it by themselves")


def handles() -> set[str]:
    """Every pidfd that is open here."""
    found = set()
    for one in Path("/proc/self/fd").iterdir():
        try:
            if "pidfd" in str(one.readlink()):
                found.add(one.name)
        except FileNotFoundError:
            pass
    return found


async def waiting_child(until_closed: int, code: int) -> Process:
    """A child that ends with `code` once the other end of that pipe is closed."""
    return await asyncio.create_subprocess_exec(
        "sh", "-c", f"read _; exit {code}", stdin=until_closed, stdout=DEVNULL
    )


async def test_many_that_end_at_once_are_all_collected_without_a_thread() -> None:
    threads, before = set(threading.enumerate()), handles()
    reading, writing = os.pipe()
    try:
        children = [await waiting_child(reading, number) for number in range(MANY)]
        assert {one.returncode for one in children} == {None}
        assert set(threading.enumerate()) <= threads
    finally:
        os.close(writing)
        os.close(reading)
    async with asyncio.timeout(PATIENCE_S):
        codes = [await one.wait() for one in children]
    assert codes == list(range(MANY))
    assert not any(psutil.pid_exists(one.pid) for one in children)
    assert handles() <= before


async def test_a_signal_that_ended_it_is_told() -> None:
    done = await run(["sh", "-c", "kill -KILL $$"], timeout_s=PATIENCE_S)
    assert done.code == -9


def collected(pid: int) -> bool:
    """Start another child; whether that one is gone."""
    subprocess.run(["true"], check=True)
    return not psutil.pid_exists(pid)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # what the caller here forgot
def test_a_loop_that_closes_lets_go_of_the_children_that_live() -> None:
    before = handles()
    reading, writing = os.pipe()

    async def begin() -> int:
        return (await waiting_child(reading, 0)).pid

    try:
        pid = asyncio.run(begin())
        gc.collect()
        assert handles() <= before
        # The next one that is started collects it, if nobody did.
        eventually_sync(lambda: collected(pid))
    finally:
        os.close(writing)
        os.close(reading)


def test_a_loop_in_another_thread_hears_of_its_own() -> None:
    told: list[int | None] = []

    async def beside() -> None:
        told.append((await run(["sh", "-c", "exit 5"], timeout_s=PATIENCE_S)).code)

    async def main() -> None:
        thread = threading.Thread(target=lambda: asyncio.run(beside()))
        thread.start()
        assert (await run(["sh", "-c", "exit 6"], timeout_s=PATIENCE_S)).code == 6
        await eventually(lambda: not thread.is_alive())

    asyncio.run(main())
    assert told == [5]


FORKED = """
import asyncio, os
from services.process.run import run

def code(number):
    return asyncio.run(run(["sh", "-c", f"exit {number}"], timeout_s=60)).code

assert code(3) == 3
pid = os.fork()
if not pid:
    os._exit(code(4))
assert code(5) == 5
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 4
"""

NO_THREAD = """
import logging
from services.process import child
from services.process.run import run
from tests.support.no_threads import no_more_threads
from tui.cli.event_loop import run_command

logging.getLogger().addHandler(logging.NullHandler())

async def main():
    await run(["true"], timeout_s=60)  # what is loaded at the first
    no_more_threads()
    assert (await run(["sh", "-c", "echo it; exit 3"], timeout_s=60)).stdout == b"it\\n"
    # What a child leaves behind that does not obey is looked for and ended, too.
    child.GRACE_S = 0.5
    left = await run(["sh", "-c", "(trap '' TERM; exec sleep 600) & wait"], timeout_s=0.5)
    assert left.timed_out

run_command(main())
"""


NO_DESCRIPTOR = """
import asyncio, os, resource
from services.process.run import run

del os.pidfd_open

async def main():
    await run(["true"], timeout_s=60)  # what is loaded at the first
    child = asyncio.create_task(run(["sh", "-c", "sleep 0.5; exit 3"], timeout_s=60))
    await asyncio.sleep(0.2)  # it runs, with its pipes open
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1, most))
    assert (await child).code == 3

asyncio.run(main())
"""


@pytest.mark.parametrize(
    "code",
    [FORKED, NO_THREAD, NO_DESCRIPTOR],
    ids=["after a fork", "without a thread", "without a descriptor"],
)
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and pidfds")
def test_it_is_heard(code: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S * 2,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@pytest.mark.parametrize("full", [errno.EMFILE, errno.ENOSPC], ids=["no handle", "no listener"])
async def test_a_child_without_a_handle_is_asked_after(
    monkeypatch: pytest.MonkeyPatch, full: int
) -> None:
    loop = asyncio.get_running_loop()
    listens = loop.add_reader

    def refuse(pid: int, flags: int = 0) -> int:
        raise OSError(full, os.strerror(full))

    def refuse_handles(fd: Any, *what: Any) -> None:
        if not isinstance(fd, int):
            raise OSError(full, os.strerror(full))
        listens(fd, *what)

    threads = set(threading.enumerate())
    if full == errno.EMFILE:
        monkeypatch.setattr(os, "pidfd_open", refuse)
    else:
        monkeypatch.setattr(loop, "add_reader", refuse_handles)
    done = await run(["sh", "-c", "sleep 0.2; exit 7"], timeout_s=PATIENCE_S)
    assert done.code == 7
    assert set(threading.enumerate()) <= threads


@OLD
@pytest.mark.parametrize("has", [True, False])
def test_only_what_the_system_has_is_used(monkeypatch: pytest.MonkeyPatch, has: bool) -> None:
    policy = asyncio.DefaultEventLoopPolicy()
    monkeypatch.setattr(asyncio, "get_event_loop_policy", lambda: policy)
    if not has:
        monkeypatch.delattr(os, "pidfd_open")
    ends.hear_ends()
    wanted = ends.PidfdWatcher if has else asyncio.ThreadedChildWatcher
    assert type(policy.get_child_watcher()) is wanted
    first = policy.get_child_watcher()
    ends.hear_ends()
    assert policy.get_child_watcher() is first
