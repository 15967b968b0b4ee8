"""The far side by itself: its locks, what is not of the protocol, names and terminals."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from pathlib import Path

import pytest

from services.errors import NotFoundError, ReadOnlyError, WakedeckError
from services.models import AttemptState, Capability, SandboxState, Verb
from services.repair.locks import RepairLock, RepairLocks
from services.terminal.exec.requests import ExecRequest, collect_output
from services.wire.frames import FrameReader
from services.wire.messages import Call, Failed, Hello, decode, encode
from tests.support.remote import BIN, all_ready, embedded_world, far_side, live_remote, way
from tests.support.waiting import eventually


def run(home: Path, *words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        far_side(home, *words), input=given, capture_output=True, check=False, timeout=60
    )


@pytest.mark.timeout(120)
async def test_a_wake_waits_for_another_repair_on_that_machine(tmp_path: Path) -> None:
    """The lock is that of every panel there, and what it mended is left alone."""
    home = tmp_path / "far"
    async with (
        embedded_world(home) as world,
        live_remote(far_side(home), tmp_path / "locks") as box,
    ):
        seen = await box.until(all_ready)
        target = next(one.id for one in seen.sandboxes if one.name == "data-pull")
        record = world.read_record("agent-data-pull")
        assert record is not None
        os.kill(record.pid, signal.SIGKILL)
        await box.until(
            lambda one: (
                next(row for row in one.sandboxes if row.id == target).state is SandboxState.DOWN
            )
        )
        locks = RepairLocks(home / ".local/state/wakedeck/locks")
        held = locks.acquire("local", f"local:{world.root}")
        assert isinstance(held, RepairLock), held
        handle = box.attempts.request(Verb.WAKE, target)
        said = await eventually(
            lambda: [one.detail for one in handle.attempt.steps if one.name == "lock"]
        )
        assert "waiting for another panel" in said[0]
        held.release()
        ended = await handle.wait()
        assert ended.state is AttemptState.DONE, ended


async def test_a_read_only_far_side_refuses_in_the_services(tmp_path: Path) -> None:
    home = tmp_path / "far"
    async with (
        embedded_world(home),
        live_remote(far_side(home, "--read-only"), tmp_path / "locks") as box,
    ):
        seen = await box.until(all_ready)
        assert "read-only" in dict(seen.sandboxes[0].unavailable)[Capability.WAKE]
        with pytest.raises(ReadOnlyError):
            await collect_output(
                box.source.actor.exec(seen.sandboxes[0].id, ExecRequest(("true",)))
            )
        ended = await box.attempts.request(Verb.WAKE, seen.sandboxes[0].id).wait()
        assert ended.state in (AttemptState.DONE, AttemptState.FAILED) and not ended.wakes


async def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    home = tmp_path / "far"
    async with (
        embedded_world(home),
        live_remote(far_side(home), tmp_path / "locks") as box,
    ):
        seen = await box.until(all_ready)
        assert dict(way(seen).evidence)["source local"] == "local: 4 sandboxes"
        for name in ("local/nobody", "nowhere/alpha"):
            with pytest.raises(WakedeckError):
                await box.source.observer.queue(box.id(name), 10)
        with pytest.raises(NotFoundError):
            box.source.actor.shell(box.id("nowhere/alpha"), None)  # type: ignore[arg-type]


def test_bytes_that_are_no_messages_end_it_with_a_sentence(tmp_path: Path) -> None:
    done = run(tmp_path, given=encode(Hello(1)) + b"\xff\xff\xff\xffGET / HTTP/1.1\r\n")
    assert done.returncode == 1
    assert b"cannot be understood" in done.stderr and b"Traceback" not in done.stderr


def test_unknown_methods_are_refused_by_name_and_nothing_is_printed(tmp_path: Path) -> None:
    done = run(tmp_path, given=encode(Hello(1)) + encode(Call(7, "format_disk", {"x": 1})))
    assert done.returncode == 0 and done.stderr == b""
    frames = FrameReader()
    told = [decode(one) for one in frames.feed(done.stdout)]
    assert isinstance(told[0], Hello) and [one.key for one in told[0].sources] == ["local"]
    (refused,) = [one for one in told if isinstance(one, Failed)]
    assert refused.id == 7 and "format_disk" in refused.sentence
    assert not frames.noise and not frames.unfinished


def test_a_source_that_is_not_there_and_a_terminal_are_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "--only", "nothing")
    assert done.returncode == 4 and b"There are: local" in done.stderr and done.stdout == b""
    ours, theirs = pty.openpty()
    try:
        refused = subprocess.run(
            [str(BIN / "wakedeck"), "source", "--stdio"],
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert refused.returncode == 3 and b"not to a terminal" in refused.stderr


@pytest.mark.parametrize("name", ["stdin", "stdout"])
def test_what_has_no_other_end_is_refused(name: str, tmp_path: Path) -> None:
    with Path(os.devnull).open("r+b") as device, (tmp_path / "file").open("w+b") as file:
        for odd in (device, file):
            refused = subprocess.run(
                [str(BIN / "wakedeck"), "source", "--stdio"],
                stdin=odd if name == "stdin" else subprocess.PIPE,
                stdout=odd if name == "stdout" else subprocess.PIPE,
                stderr=subprocess.PIPE,
                check=False,
                timeout=60,
            )
            assert refused.returncode == 3, refused
            assert f"over pipes, and {name} is a file or a device".encode() in refused.stderr
