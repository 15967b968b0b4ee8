"""Who owns a sandbox folder, with real processes behind the names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from services.process.identity import ProcessId
from services.sources.local import crashes, lock
from services.sources.local.layout import ProcessRecord
from services.sources.local.process_records import describe


@pytest.fixture(scope="module")
def dead() -> ProcessRecord:
    """Who has lived."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = ProcessId.capture(child.pid)
    assert process is not None
    child.communicate()
    return ProcessRecord(
        "agent-one", child.pid, 1000.0, start_ticks=process.start_ticks, boot_id=process.boot_id
    )


@pytest.fixture
def mine() -> ProcessRecord:
    return describe("agent-one")


def test_a_free_folder_is_taken_once(tmp_path: Path, mine: ProcessRecord) -> None:
    assert lock.acquire(tmp_path, mine) is lock.LockResult.TAKEN
    assert lock.holder(tmp_path) == mine
    assert lock.acquire(tmp_path, mine) is lock.LockResult.HELD
    assert (tmp_path / lock.LOCK).stat().st_mode & 0o777 == 0o600
    lock.release(tmp_path, mine)
    assert not [path for path in tmp_path.iterdir() if path.is_file()]


def test_a_dead_owner_is_refused_until_somebody_clears_it(
    tmp_path: Path, mine: ProcessRecord, dead: ProcessRecord
) -> None:
    assert lock.acquire(tmp_path, dead) is lock.LockResult.TAKEN
    assert lock.acquire(tmp_path, mine) is lock.LockResult.STALE
    assert lock.holder(tmp_path) == dead
    assert lock.break_stale(tmp_path)
    assert not lock.break_stale(tmp_path)
    assert lock.acquire(tmp_path, mine) is lock.LockResult.TAKEN
    assert not lock.break_stale(tmp_path)
    assert lock.holder(tmp_path) == mine


def test_a_pid_that_belongs_to_somebody_else_now_is_dead(
    tmp_path: Path, mine: ProcessRecord
) -> None:
    assert mine.start_ticks is not None
    other = replace(mine, start_ticks=mine.start_ticks - 1)
    assert lock.acquire(tmp_path, other) is lock.LockResult.TAKEN
    assert lock.acquire(tmp_path, mine) is lock.LockResult.STALE


@pytest.mark.parametrize("text", ["", "123", "{}", '{"pid": "x"}', "\x00"])
def test_a_lock_that_names_nobody_is_stale(tmp_path: Path, mine: ProcessRecord, text: str) -> None:
    (tmp_path / lock.LOCK).write_text(text)
    assert lock.holder(tmp_path) is None
    assert lock.acquire(tmp_path, mine) is lock.LockResult.STALE
    assert lock.break_stale(tmp_path)


def test_only_the_owner_lets_go(tmp_path: Path, mine: ProcessRecord, dead: ProcessRecord) -> None:
    lock.acquire(tmp_path, mine)
    lock.release(tmp_path, dead)
    assert lock.holder(tmp_path) == mine


def test_crashes_are_noted_bounded_and_read_back(tmp_path: Path) -> None:
    for number in range(60):
        lock.record_crash(tmp_path, f"crash {number}")
    found = crashes.read_crashes(tmp_path)
    assert [crash.why for crash in found] == [f"crash {n}" for n in range(20, 60)]
    assert {crash.pid for crash in found} == {os.getpid()}
    assert [crash.at for crash in found] == sorted(crash.at for crash in found)
    with (tmp_path / crashes.CRASHES).open("a") as stream:
        stream.write('{"at": 1}\nnot json\n{"at": "x", "pid": 1, "why": ""}\n')
    assert len(crashes.read_crashes(tmp_path)) == 40


def test_no_folder_has_no_crashes(tmp_path: Path) -> None:
    assert crashes.read_crashes(tmp_path / "never") == ()
    assert lock.holder(tmp_path / "never") is None
    assert not lock.break_stale(tmp_path / "never")


def test_giving_up_says_why(tmp_path: Path) -> None:
    lock.give_up(tmp_path, 4, "stale lock left by pid 7")
    said = json.loads((tmp_path / crashes.GAVE_UP).read_text())
    assert (said["crashes"], said["why"]) == (4, "stale lock left by pid 7")
    assert said["at"] > 1e9
