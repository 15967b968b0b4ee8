"""Packages of other programs whose names are those of ours, first on Python's path."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ROOMS = ("services", "tui", "widgets")
COMMANDS = {
    "the command": [str(Path(sys.executable).parent / "wakedeck"), "config", "path"],
    "the module": [sys.executable, "-m", "wakedeck", "config", "path"],
}


def run(folder: Path, argv: list[str]) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), str(ROOT)])
    return subprocess.run(
        argv,
        env={**os.environ, "PYTHONPATH": path},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("argv", COMMANDS.values(), ids=COMMANDS.keys())
@pytest.mark.parametrize("name", ROOMS)
def test_ours_are_found_all_the_same(tmp_path: Path, name: str, argv: list[str]) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("raise SystemExit('somebody else')")
    done = run(tmp_path, argv)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip().endswith("config.toml")


@pytest.mark.parametrize("name", ROOMS)
def test_one_that_was_loaded_before_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").touch()
    words = f"import {name}, wakedeck; wakedeck.main()"
    done = run(tmp_path, [sys.executable, "-c", words])
    assert done.returncode == 1
    assert f"Another package called “{name}” was loaded first" in done.stderr
    assert "Traceback" not in done.stderr
