"""The clock is set while the embedded world runs: by libfaketime, for the command line."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.sources.local.layout import World
from services.sources.local.ticker import ClockSteps
from tests.support.debian import faketime_library
from tests.support.nanoclaw import short_folder
from tests.support.waiting import eventually_sync


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with short_folder() as folder:
        assert wakedeck(folder, "local", "up").returncode == 0
        try:
            yield folder
        finally:
            wakedeck(folder, "local", "down")


def wakedeck(home: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).resolve().parents[4]
    return subprocess.run(
        [Path(sys.executable).parent / "wakedeck", *words],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", **environ},
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.kit("faketime")
@pytest.mark.parametrize("step", ["-1h", "-5s", "+5s", "+1h"])
def test_no_living_process_is_called_dead_or_started_again(
    home: Path, tmp_path: Path, step: str
) -> None:
    eventually_sync(lambda: wakedeck(home, "local", "status").returncode == 0)
    place = World(home / ".local/state/wakedeck/local")

    def records() -> dict[str, str]:
        return {path.name: path.read_text() for path in (place.root / "run").glob("*.json")}

    eventually_sync(lambda: len(records()) == 7, what=records)
    before = records()
    stepped = {"FAKETIME": step, "DONT_FAKE_MONOTONIC": "1"}
    # LD_PRELOAD names files by blanks between them, and one may stand in the home of the cache.
    library = tmp_path / "faketime.so"
    library.symlink_to(faketime_library())
    stepped["LD_PRELOAD"] = str(library)
    date = ["date", "+%s"]
    before_date = time.time()
    shown = subprocess.run(date, env=os.environ | stepped, capture_output=True, check=True)
    shift = int(step[:-1]) * (3600 if step.endswith("h") else 1)
    assert before_date - 1 <= int(shown.stdout) - shift <= time.time(), "the clock is not stepped"
    told = wakedeck(home, "local", "status", **stepped)
    assert told.returncode == 0, told.stdout
    assert told.stdout.count("running") == 6
    if step.endswith("s"):
        # By an hour the agents' heartbeats, which the kernel stamps, are of another clock here.
        woken = wakedeck(home, "wake", "data-pull", **stepped)
        assert woken.returncode == 0, woken.stderr
    assert records() == before


def test_a_step_is_noticed_once_and_drift_never(monkeypatch: pytest.MonkeyPatch) -> None:
    wall, steady = 1000.0, 5.0
    monkeypatch.setattr(time, "time", lambda: wall)
    monkeypatch.setattr(time, "monotonic", lambda: steady)
    clock = ClockSteps()
    wall, steady = wall + 10.5, steady + 10
    assert clock.since_last() == 0
    wall -= 3600
    assert clock.since_last() == pytest.approx(-3599.5)
    assert clock.since_last() == 0
