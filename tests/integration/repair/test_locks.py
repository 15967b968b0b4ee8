"""Repair locks among panels: real files, real locks, a second process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.models import AttemptState, SandboxId, Verb
from services.repair.attempts import Attempts
from services.repair.limits import Limits
from services.repair.locks import LockOwner, RepairLock, RepairLocks
from tests.support.clock import FakeClock
from tests.support.scripted import DOWN, READY, Scripted

ROOT = Path(__file__).resolve().parents[3]
HOLDER = """
import sys, time
from pathlib import Path
from services.repair.locks import RepairLocks
lock = RepairLocks(Path(sys.argv[1])).acquire("s", "box")
print("held", flush=True)
time.sleep(300)
"""


@contextmanager
def another_panel(folder: Path) -> Iterator[subprocess.Popen[str]]:
    panel = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert panel.stdout is not None
        assert panel.stdout.readline() == "held\n"
        yield panel
    finally:
        panel.kill()
        panel.wait()
        assert panel.stdout is not None
        panel.stdout.close()


def test_a_turn_is_one_panels_and_the_file_says_whose(tmp_path: Path) -> None:
    folder = tmp_path / "locks"
    with another_panel(folder) as panel:
        locks = RepairLocks(folder)
        assert locks.acquire("s", "box") == LockOwner(f"another panel (process {panel.pid})")
        free = locks.acquire("s", "another gateway")
        assert isinstance(free, RepairLock)
        free.release()
        assert locks.held == {}
        os.kill(panel.pid, signal.SIGKILL)
        panel.wait()
        # A killed panel holds nothing, whatever its file says.
        mine = locks.acquire("s", "box")
        assert isinstance(mine, RepairLock)
    path = locks.path("s", "box")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert json.loads(path.read_text())["pid"] == os.getpid()
    mine.release()
    mine.release()
    assert path.read_text() == ""


def test_within_a_panel_too_and_any_key_is_a_name(tmp_path: Path) -> None:
    locks = RepairLocks(tmp_path / "locks")
    for key in ("../../etc/passwd", "", "a\0b", "x" * 5000):
        lock = locks.acquire("s", key)
        assert isinstance(lock, RepairLock)
        assert locks.acquire("s", key) == LockOwner("another repair of the same gateway")
        lock.release()
    assert {p.parent for p in tmp_path.rglob("*.lock")} == {tmp_path / "locks"}


def test_where_nothing_can_be_locked_this_panel_is_still_guarded(tmp_path: Path) -> None:
    (tmp_path / "locks").write_text("a file where the folder should be")
    locks = RepairLocks(tmp_path / "locks")
    lock = locks.acquire("s", "box")
    assert isinstance(lock, RepairLock)
    assert isinstance(locks.acquire("s", "box"), LockOwner)
    lock.release()


def test_a_child_does_not_inherit_a_turn(tmp_path: Path) -> None:
    locks = RepairLocks(tmp_path / "locks")
    lock = locks.acquire("s", "box")
    assert isinstance(lock, RepairLock)
    child = subprocess.Popen(["sleep", "300"], close_fds=False)
    try:
        lock.release()
        again = locks.acquire("s", "box")
        assert isinstance(again, RepairLock)
        again.release()
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("repaired", [True, False])
async def test_an_attempt_joins_another_panels_repair_by_observing(
    tmp_path: Path, repaired: bool
) -> None:
    clock = FakeClock()
    source = Scripted(clock)
    source.verdict["box"] = DOWN
    attempts = Attempts({"s": source.open}, clock, tmp_path / "locks", lambda _: None)
    with another_panel(tmp_path / "locks") as panel:
        handle = attempts.request(Verb.WAKE, SandboxId("s", "box"))
        # Longer than verifying may take: another panel's repair is not on our time.
        await clock.advance(120)
        assert handle.attempt.state is AttemptState.VERIFY
        wait = next(step for step in handle.attempt.steps if step.name == "wait")
        assert f"another panel (process {panel.pid}) is repairing this" in wait.detail
        assert source.woken == []
        if repaired:
            source.verdict["box"] = READY
            await clock.advance(5)
    waiting = asyncio.ensure_future(handle.wait())
    until = time.monotonic() + 20
    while not waiting.done():
        assert time.monotonic() < until
        await clock.advance(1)
    assert (await waiting).state is AttemptState.DONE
    assert len(source.woken) == (0 if repaired else 1)
    await attempts.close()


async def test_a_turn_that_never_comes_ends_the_wait(tmp_path: Path) -> None:
    clock = FakeClock()
    source = Scripted(clock)
    source.verdict["box"] = DOWN
    attempts = Attempts({"s": source.open}, clock, tmp_path / "locks", lambda _: None)
    with another_panel(tmp_path / "locks"):
        handle = attempts.request(Verb.WAKE, SandboxId("s", "box"))
        await clock.advance(Limits().lock_s + 20)
        assert handle.attempt.state is AttemptState.FAILED
        assert handle.attempt.original == DOWN.reason
        assert "Another repair" in handle.attempt.last
        assert source.woken == []
    await attempts.close()
