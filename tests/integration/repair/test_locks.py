"""Turns among panels: real files, real locks, a second process."""

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
from services.repair.locks import Busy, Turn, Turns
from tests.support.clock import FakeClock
from tests.support.scripted import DOWN, READY, Scripted

ROOT = Path(__file__).resolve().parents[3]
HOLDER = """
import sys, time
from pathlib import Path
from services.turns import Turns
turn = Turns(Path(sys.argv[1])).take("s", "box")
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
        turns = Turns(folder)
        assert turns.take("s", "box") == Busy(f"another panel (process {panel.pid})")
        free = turns.take("s", "another gateway")
        assert isinstance(free, Turn)
        free.release()
        assert turns.held == {}
        os.kill(panel.pid, signal.SIGKILL)
        panel.wait()
        # A killed panel holds nothing, whatever its file says.
        mine = turns.take("s", "box")
        assert isinstance(mine, Turn)
    path = turns.path("s", "box")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert json.loads(path.read_text())["pid"] == os.getpid()
    mine.release()
    mine.release()
    assert path.read_text() == ""


def test_within_a_panel_too_and_any_key_is_a_name(tmp_path: Path) -> None:
    turns = Turns(tmp_path / "locks")
    for key in ("../../etc/passwd", "", "a\0b", "x" * 5000):
        turn = turns.take("s", key)
        assert isinstance(turn, Turn)
        assert turns.take("s", key) == Busy("another repair of the same gateway")
        turn.release()
    assert {p.parent for p in tmp_path.rglob("*.lock")} == {tmp_path / "locks"}


def test_where_nothing_can_be_locked_this_panel_is_still_guarded(tmp_path: Path) -> None:
    (tmp_path / "locks").write_text("a file where the folder should be")
    turns = Turns(tmp_path / "locks")
    turn = turns.take("s", "box")
    assert isinstance(turn, Turn)
    assert isinstance(turns.take("s", "box"), Busy)
    turn.release()


def test_a_child_does_not_inherit_a_turn(tmp_path: Path) -> None:
    turns = Turns(tmp_path / "locks")
    turn = turns.take("s", "box")
    assert isinstance(turn, Turn)
    child = subprocess.Popen(["sleep", "300"], close_fds=False)
    try:
        turn.release()
        again = turns.take("s", "box")
        assert isinstance(again, Turn)
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
        handle = attempts.press(Verb.WAKE, SandboxId("s", "box"))
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
        handle = attempts.press(Verb.WAKE, SandboxId("s", "box"))
        await clock.advance(Limits().turn_s + 20)
        assert handle.attempt.state is AttemptState.FAILED
        assert handle.attempt.original == DOWN.reason
        assert "Another repair" in handle.attempt.last
        assert source.woken == []
    await attempts.close()
