"""`wakedeck logs`: real processes and files, stdout for lines, stderr for the rest."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.process.signals import catch_ignored
from tests.support.nanoclaw import ScriptedDocker, install_states, short_folder
from tests.support.waiting import LIMIT_S, eventually_sync

NOW = time.strftime("%H:%M:%S")
"""As a log of today has it."""
ENTRY = "from tui.cli.main import main; main()"


@pytest.fixture
def root() -> Iterator[Path]:
    with short_folder() as folder:
        yield install_states(folder / "claw")


@pytest.fixture
def home(tmp_path: Path, root: Path) -> dict[str, str]:
    docker = ScriptedDocker(tmp_path / "bin", root)
    config = tmp_path / "config.toml"
    config.write_text(f'[sources.claw]\nkind = "nanoclaw"\nroot = "{root}"\n', "utf-8")
    return {
        **os.environ,
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "PATH": f"{docker.folder}:{os.environ['PATH']}",
        "WAKEDECK_TEST_CONFIG": str(config),
    }


def argv(env: dict[str, str], *words: str) -> list[str]:
    config = env["WAKEDECK_TEST_CONFIG"]
    return [sys.executable, "-c", ENTRY, "--config", config, "logs", *words]


def run(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv(env, *words), env=env, capture_output=True, text=True, timeout=60, check=False
    )


def test_what_is_there_is_printed_and_that_is_all(home: dict[str, str], root: Path) -> None:
    log = root / "logs" / "nanoclaw.error.log"
    log.write_text(f"[{NOW}.000] WARN one token=abcdefghijkl\n\x1b[31m[{NOW}.000] ERROR two\n")
    done = run(home, "sess-fx-mixed", "--stream", "errors")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"[{NOW}.000] WARN one token=***",
        f"[{NOW}.000] ERROR two",
    ]
    done = run(home, "sess-fx-mixed", "--stream", "errors", "--tail", "1")
    assert done.stdout.splitlines() == [f"[{NOW}.000] ERROR two"]


def test_streams_are_listed_and_others_refused(home: dict[str, str]) -> None:
    done = run(home, "sess-fx-mixed", "--streams")
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "session",
        "host",
        "errors",
        "container",
    ]
    done = run(home, "sess-fx-mixed", "--stream", "nonsense")
    assert done.returncode == 2
    assert "session, host, errors, container" in done.stderr
    assert done.stdout == ""
    assert run(home, "nobody").returncode == 4


@contextmanager
def following(env: dict[str, str], *more: str) -> Iterator[subprocess.Popen[str]]:
    """A follower of the host's log, killed, if need be, at the end."""
    words = argv(env, "sess-fx-mixed", "--stream", "host", "--follow", *more)
    # One that is started where SIGINT is ignored rightly goes on ignoring it.
    catch_ignored()
    with subprocess.Popen(
        words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        last_resort = threading.Timer(LIMIT_S, child.kill)
        last_resort.start()
        try:
            yield child
        finally:
            last_resort.cancel()
            child.kill()


def test_following_goes_on_across_a_rotation_until_it_is_stopped(
    home: dict[str, str], root: Path
) -> None:
    log = root / "logs" / "nanoclaw.log"
    log.write_text(f"[{NOW}.000] INFO first\n")
    with following(home) as child:
        assert child.stdout is not None and child.stderr is not None
        assert child.stdout.readline() == f"[{NOW}.000] INFO first\n"
        log.rename(log.with_suffix(".1"))
        log.write_text(f"[{NOW}.000] INFO second\n")
        assert child.stdout.readline() == f"[{NOW}.000] INFO second\n"
        assert child.stderr.readline() == "— the host log was replaced: told from its beginning\n"
        child.send_signal(signal.SIGINT)
        assert child.wait(LIMIT_S) == 130
        assert "Traceback" not in child.stderr.read()


def test_following_begins_with_the_newest_lines_asked_for(home: dict[str, str], root: Path) -> None:
    log = root / "logs" / "nanoclaw.log"
    log.write_text("".join(f"[{NOW}.000] INFO line {number}\n" for number in range(50)))
    with following(home, "--tail", "2") as child:
        assert child.stdout is not None
        assert child.stdout.readline() == f"[{NOW}.000] INFO line 48\n"
        assert child.stdout.readline() == f"[{NOW}.000] INFO line 49\n"
        with log.open("a") as stream:
            stream.write(f"[{NOW}.000] INFO comes\n")
        assert child.stdout.readline() == f"[{NOW}.000] INFO comes\n"


def test_a_reader_that_leaves_ends_it_quietly(home: dict[str, str], root: Path) -> None:
    log = root / "logs" / "nanoclaw.log"
    log.write_text("first\n")

    def ended() -> bool:
        with log.open("a") as stream:
            stream.write("more\n")
        return child.poll() is not None

    with following(home) as child:
        assert child.stdout is not None and child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        eventually_sync(ended)
        assert child.returncode == 0
        assert "Traceback" not in child.stderr.read()
