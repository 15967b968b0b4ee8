"""`wakedeck watch` over a real world: one history, gone on with by key, and nothing done."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.nanoclaw import short_folder
from tests.support.waiting import eventually_sync

WAKEDECK = Path(sys.executable).parent / "wakedeck"


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with short_folder() as folder:
        assert wakedeck(folder, "local", "up").returncode == 0
        try:
            eventually_sync(lambda: wakedeck(folder, "status").returncode == 0)
            yield folder
        finally:
            wakedeck(folder, "local", "down")


def environ(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}


def wakedeck(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [WAKEDECK, *words], env=environ(home), capture_output=True, text=True, check=False
    )


class Watch:
    """A running `watch --json`, its lines in a file."""

    def __init__(self, process: subprocess.Popen[bytes], out: Path) -> None:
        self.process, self._out = process, out

    def lines(self) -> list[dict[str, Any]]:
        whole = self._out.read_text("utf-8").rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def texts(self) -> list[str]:
        return [one["text"] for one in self.lines()]

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


@contextmanager
def watching(home: Path, out: Path, *words: str) -> Iterator[Watch]:
    with out.open("wb") as file:
        process = subprocess.Popen(
            [WAKEDECK, "watch", "--json", *words],
            env=environ(home),
            stdout=file,
            stderr=subprocess.PIPE,
        )
    try:
        assert process.stderr is not None
        # What it sees first is what later looks are compared with.
        while b"watching 4 sandboxes" not in (line := process.stderr.readline()):
            assert line, "it ended"
        yield Watch(process, out)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def last_state(home: Path) -> str:
    found = json.loads(wakedeck(home, "sandboxes", "--json").stdout)
    return str(next(one["state"] for one in found["sandboxes"] if one["name"] == "data-pull"))


def test_two_side_by_side_tell_everything_once_and_one_goes_on_by_key(
    home: Path, tmp_path: Path
) -> None:
    with (
        watching(home, tmp_path / "one", "--since", "1h") as one,
        watching(home, tmp_path / "two", "--since", "1h") as two,
    ):
        assert wakedeck(home, "local", "fault", "data-pull", "agent-kill").returncode == 0
        down = "data-pull is down"
        eventually_sync(lambda: any(text.startswith(down) for text in one.texts()))
        assert last_state(home) == "down", "nothing of ours wakes it"
        assert wakedeck(home, "wake", "data-pull").returncode == 0
        eventually_sync(lambda: "data-pull is ready" in one.texts())
        eventually_sync(lambda: two.lines() == one.lines())
        lines = one.lines()
        assert one.end(signal.SIGTERM) == 0 and two.end(signal.SIGINT) == 0
    kinds = [(line["kind"], line["after"]) for line in lines if line["subject"] == "data-pull"]
    # The panel that looks may see it serve before the attempt has proved it, and may see it start.
    assert kinds[0] == ("sandbox", "down")
    told = [kind for kind in kinds[1:] if kind != ("sandbox", "settling")]
    assert sorted(told) == [("attempt", "done"), ("sandbox", "ready")]
    assert all(line["schema"] == 1 for line in lines)
    assert len({line["key"] for line in lines}) == len(lines)

    with watching(home, tmp_path / "three", "--after", lines[0]["key"]) as three:
        eventually_sync(lambda: three.lines() == lines[1:])
        assert three.end(signal.SIGHUP) == 0


def test_it_goes_on_where_nothing_can_be_kept(home: Path, tmp_path: Path) -> None:
    journal = home / ".local/state/wakedeck/journal.db"
    for ending in ("", "-wal", "-shm"):
        journal.with_name(journal.name + ending).unlink(missing_ok=True)
    journal.mkdir()
    try:
        with watching(home, tmp_path / "out") as watch:
            assert wakedeck(home, "local", "fault", "data-pull", "agent-kill").returncode == 0
            eventually_sync(lambda: any("data-pull is down" in text for text in watch.texts()))
            told = [line for line in watch.lines() if "data-pull is down" in line["text"]]
            assert all(line["key"] is None for line in told)
            assert watch.end() == 0
    finally:
        journal.rmdir()


def test_the_unit_names_this_command_and_is_one(home: Path, tmp_path: Path) -> None:
    config = tmp_path / "50% of it.toml"
    config.write_text("")
    done = wakedeck(home, "--config", str(config), "watch", "--print-unit")
    assert done.returncode == 0
    start = next(one for one in done.stdout.splitlines() if one.startswith("ExecStart="))
    assert start.startswith(f"ExecStart={WAKEDECK} --config ") and "50%% of it.toml" in start
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "wakedeck-watch.service"
    unit.write_text(done.stdout)
    checked = subprocess.run(
        [verify, "--user", "verify", unit], capture_output=True, text=True, check=False
    )
    assert "wakedeck-watch.service" not in checked.stderr, checked.stderr


@pytest.mark.parametrize(
    "words", [("--after", "yesterday"), ("--since", "soon"), ("--since", "1h", "--after", "1-1")]
)
def test_a_beginning_that_cannot_be_is_a_usage_error(home: Path, words: tuple[str, ...]) -> None:
    done = wakedeck(home, "watch", *words)
    assert done.returncode == 2 and "Traceback" not in done.stderr
