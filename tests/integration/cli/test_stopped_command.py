"""A repair whose own process is stopped for a while at each of its steps, and goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.nanoclaw import short_folder
from tests.support.waiting import eventually_sync

WAKEDECK = Path(sys.executable).parent / "wakedeck"
STOPPED_S = 3.0


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with short_folder() as folder:
        assert wakedeck(folder, "local", "up").returncode == 0
        try:
            yield folder
        finally:
            wakedeck(folder, "local", "down")


def wakedeck(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [WAKEDECK, *words], env=environ(home), capture_output=True, text=True, check=False
    )


def environ(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}


@pytest.mark.slow
@pytest.mark.parametrize("step", ["check", "start", "wait", "connect"])
def test_it_goes_on_where_it_was_and_blames_nobody(home: Path, step: str) -> None:
    eventually_sync(lambda: wakedeck(home, "status").returncode == 0)
    for fault in ("agent-kill", "gateway-kill"):
        assert wakedeck(home, "local", "fault", "data-pull", fault).returncode == 0
    running = subprocess.Popen(
        [WAKEDECK, "reconnect", "data-pull"],
        env=environ(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    steps = []
    for line in running.stderr:
        steps.append(line.strip())
        if line.split() == [step, "running"]:
            running.send_signal(signal.SIGSTOP)
            time.sleep(STOPPED_S)  # what is tested: how long it is stopped
            running.send_signal(signal.SIGCONT)
    said = running.communicate(timeout=60)[0]
    assert running.returncode == 0, (steps, said)
    assert "was woken and is connected" in said
    assert "died" in said, "the first error is the headline"
    assert "answer" not in said, "nobody is blamed for the panel's own delay"
    assert sum(one.startswith("start") and "running" in one for one in steps) == 1, steps
