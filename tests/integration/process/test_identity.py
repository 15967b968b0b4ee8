"""A process is its pid and its start since boot: real processes, real sockets."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest

from services.process.identity import (
    Liveness,
    PortOwner,
    ProcessId,
    port_owner,
    program,
    programs,
)
from tests.support.waiting import eventually_sync

LISTEN = (
    "import socket, sys, time\n"
    "s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()\n"
    "print(s.getsockname()[1], flush=True); time.sleep(600)\n"
)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", LISTEN], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def captured(pid: int) -> ProcessId:
    found = ProcessId.capture(pid)
    assert found is not None
    return found


def test_a_process_is_told_from_one_with_its_pid(child: subprocess.Popen[str]) -> None:
    known = captured(child.pid)
    assert known.liveness() is Liveness.RUNNING
    assert not replace(known, start_ticks=known.start_ticks - 1).alive()
    assert not replace(known, boot_id="another boot").alive()


def test_stopped_dead_and_collected_are_told_apart(child: subprocess.Popen[str]) -> None:
    known = captured(child.pid)
    os.kill(child.pid, signal.SIGSTOP)
    eventually_sync(lambda: known.liveness() is Liveness.STOPPED)
    assert known.alive()
    os.kill(child.pid, signal.SIGKILL)
    eventually_sync(lambda: known.liveness() is Liveness.ZOMBIE)
    child.wait()
    assert known.liveness() is Liveness.DEAD
    assert ProcessId.capture(child.pid) is None


def test_a_step_of_the_clock_changes_nothing(
    child: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time of boot moves with the wall clock; identity is counted from the boot itself."""
    known = captured(child.pid)
    for step in (-3600, -5, 5, 3600):
        monkeypatch.setattr(psutil, "boot_time", lambda by=step: 1_700_000_000.0 + by)
        assert captured(child.pid) == known
        assert known.alive()


def test_a_port_belongs_to_who_listens_on_it(child: subprocess.Popen[str]) -> None:
    assert child.stdout is not None
    port = int(child.stdout.readline())
    known = captured(child.pid)
    assert known.owns_port(port)
    assert captured(os.getpid()).owns_port(port), "a child of ours listens"
    assert not replace(known, start_ticks=1).owns_port(port)
    owner = port_owner(port)
    assert owner is not None
    assert owner.process == known
    assert owner.name.startswith("python")


def test_nobody_owns_a_port_that_is_free() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        assert port_owner(port) is None
        bound.listen()
        assert port_owner(port) == PortOwner(captured(os.getpid()), "python")


@pytest.mark.parametrize("pid", [0, -1, 2**30])
def test_no_process_has_such_a_pid(pid: int) -> None:
    assert ProcessId.capture(pid) is None
    assert not ProcessId(pid, 1, "").alive()


def test_its_ports_its_age_and_what_it_runs_are_told(child: subprocess.Popen[str]) -> None:
    assert child.stdout is not None
    port = int(child.stdout.readline())
    known = captured(child.pid)
    assert known.ports() == {port}
    assert 0 <= known.age_s() < 60
    found = program(child.pid)
    assert found is not None
    assert found.own
    assert found.argv[1:] == ("-c", LISTEN)
    assert f"HOME={os.environ['HOME']}" in found.environment
    assert os.environ["HOME"] not in repr(found)
    assert child.pid in {one.pid for one in programs()}
    assert program(2**30) is None
