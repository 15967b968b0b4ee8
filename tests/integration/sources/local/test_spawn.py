"""Starting, telling apart and ending the processes of the embedded world."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from services.errors import ProcessError
from services.process.identity import Liveness, ProcessId
from services.sources.local import process_log, process_records, spawn
from services.sources.local.layout import ProcessRecord, World
from tests.support.world_processes import ended, needed_world, started, until

ONE = "agent-one"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print(1, flush=True); time.sleep(600)"
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with needed_world(tmp_path / "world") as made:
        yield made


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    yield child
    child.kill()
    child.communicate()


def record_of(child: subprocess.Popen[bytes]) -> ProcessRecord:
    process = ProcessId.capture(child.pid)
    assert process is not None
    return process_records.record_of(process, "x")


def test_what_a_process_inherits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "s3cret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "s3cret")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    record = started(world, ONE)
    process = psutil.Process(record.pid)
    told = process.environ()
    assert not [name for name, value in told.items() if "s3cret" in value]
    assert told["LC_ALL"] == "C.UTF-8"
    assert str(Path(spawn.__file__).parents[3]) in told["PYTHONPATH"].split(os.pathsep)
    assert os.getsid(record.pid) == record.pid
    assert str(Path(process.cwd())) == str(world.root.resolve())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_what_a_process_holds_open(world: World) -> None:
    record = started(world, ONE)
    held = {int(fd.name): str(fd.readlink()) for fd in Path(f"/proc/{record.pid}/fd").iterdir()}
    assert held[0] == os.devnull
    assert held[1] == held[2] == str(world.log(ONE))
    own = str(world.sandbox("one"))  # Its queue files, for as long as it writes.
    inherited = [name for number, name in held.items() if number > 2 and name.startswith("/")]
    assert [name for name in inherited if not name.startswith(own)] == []


def test_logs_are_private_and_keep_their_tail(world: World) -> None:
    path = world.log(ONE)
    path.write_bytes(b"old\n" * 100_000 + b"the last line\n")
    path.chmod(0o600)
    started(world, ONE)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_size <= process_log.LOG_KEPT
    # The agent that was started goes on below it.
    assert b"\nthe last line\n" in path.read_bytes()


@pytest.mark.parametrize("role", ["", "agent-", "agent-../up", "agent-Up", "nobody", "agent-a/b"])
def test_no_other_role_is_started(tmp_path: Path, role: str) -> None:
    with pytest.raises(ProcessError):
        spawn.start(World(tmp_path), role)


def test_a_world_without_folders_says_so(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match="could not be started"):
        spawn.start(World(tmp_path / "never"), ONE)


def test_exit_codes_are_kept_and_children_collected(world: World) -> None:
    first = started(world, ONE)
    assert process_records.exit_code(first.pid) is None
    assert spawn.end(first, 5.0)
    assert ended(first.pid) == 0
    assert process_records.exit_code(first.pid) == 0
    assert not psutil.pid_exists(first.pid)
    assert process_records.exit_code(os.getpid()) is None


def test_every_state_of_a_process_is_told_apart(sleeper: subprocess.Popen[bytes]) -> None:
    record = record_of(sleeper)
    seen = [process_records.alive(record)]
    sleeper.send_signal(signal.SIGSTOP)
    until(lambda: process_records.alive(record) is Liveness.STOPPED)
    spawn.resume(record)
    until(lambda: process_records.alive(record) is Liveness.RUNNING)
    sleeper.kill()
    until(lambda: process_records.alive(record) is Liveness.ZOMBIE)
    seen.append(process_records.alive(record))
    sleeper.wait()
    seen.append(process_records.alive(record))
    assert seen == [Liveness.RUNNING, Liveness.ZOMBIE, Liveness.DEAD]
    assert [state.over for state in seen] == [False, True, True]


def test_a_pid_that_now_belongs_to_somebody_else_is_left_alone(
    sleeper: subprocess.Popen[bytes],
) -> None:
    record = record_of(sleeper)
    assert record.start_ticks is not None
    other = replace(record, start_ticks=record.start_ticks - 1)
    assert process_records.alive(other) is Liveness.DEAD
    assert spawn.end(other, 0.1)
    spawn.terminate(other)
    assert process_records.alive(record) is Liveness.RUNNING
    for odd in (-1, 0, 2**40):
        assert process_records.alive(ProcessRecord("x", odd, 0.0)) is Liveness.DEAD


def test_who_ignores_a_request_is_killed(sleeper: subprocess.Popen[bytes]) -> None:
    assert spawn.end(record_of(sleeper), 0.2)
    assert sleeper.wait() == -signal.SIGKILL


def test_the_suspended_are_killed_at_once(sleeper: subprocess.Popen[bytes]) -> None:
    record = record_of(sleeper)
    sleeper.send_signal(signal.SIGSTOP)
    until(lambda: process_records.alive(record) is Liveness.STOPPED)
    assert spawn.end(record, 600.0)
    assert sleeper.wait() == -signal.SIGKILL


def test_why_nothing_can_be_left_in_a_world_is_told(world: World) -> None:
    assert spawn.unwritable(world) == ""
    assert spawn.unwritable(World(world.root / "gone")) == os.strerror(errno.ENOENT)
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from services.sources.local import layout, spawn\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "print(spawn.unwritable(layout.World(Path(sys.argv[1]))))"
    )
    argv = [sys.executable, "-c", program, str(world.root)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == os.strerror(errno.EFBIG) + "\n"
