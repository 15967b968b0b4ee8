"""A process is its pid and its start since boot: real processes, real sockets."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest

from services.process.identity import (
    Liveness,
    PortOwner,
    ProcessId,
    client_uid,
    port_owner,
    program,
    programs,
    started_as,
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


@pytest.mark.parametrize("step", [-3600.0, -5.0, 5.0, 3600.0])
def test_a_step_of_the_clock_changes_nothing(
    child: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    known, wall = captured(child.pid), time.time
    before = known.started_at()
    assert abs(before - psutil.Process(child.pid).create_time()) < 2
    monkeypatch.setattr(time, "time", lambda: wall() + step)
    monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: psutil.boot_time() + step)
    assert known.alive() and captured(child.pid) == known
    # Its age stays, so the instant moves with the clock.
    assert abs(known.started_at() - before - step) < 0.5


@pytest.mark.parametrize("step", [-3600.0, -5.0, 0.0, 5.0, 3600.0])
def test_an_old_record_is_known_by_its_part_of_a_second(
    child: subprocess.Popen[str], step: float
) -> None:
    created = psutil.Process(child.pid).create_time()
    assert started_as(child.pid, created + step)
    assert not started_as(child.pid, created + step + 0.05)
    assert not started_as(child.pid, created + step - 30 * 86_400)
    assert not started_as(2**40, created)


def test_it_is_written_down_and_read_again(child: subprocess.Popen[str]) -> None:
    known = captured(child.pid)
    assert ProcessId.of(json.loads(json.dumps(known.fields()))) == known
    for odd in ({}, {"pid": "7"}, {**known.fields(), "pid": 0}, {**known.fields(), "boot_id": 3}):
        assert ProcessId.of(odd) is None


def test_a_signal_reaches_that_process_alone(child: subprocess.Popen[str]) -> None:
    known = captured(child.pid)
    other = replace(known, start_ticks=known.start_ticks - 1)
    assert not other.send_signal(signal.SIGKILL)
    assert known.liveness() is Liveness.RUNNING
    assert known.send_signal(signal.SIGTERM)
    child.wait()
    assert not known.send_signal(signal.SIGTERM)


def test_whose_the_other_end_of_a_connection_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            assert client_uid(port, client.getsockname()[1]) == os.geteuid()
            assert client_uid(client.getsockname()[1], 1) is None


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
