"""The tutorial's commands, run one after the other as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "tutorial.md"
BINARIES = Path(sys.executable).parent
COMMANDS = [
    line
    for block in re.findall(r"^```console\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    for line in block.splitlines()
]


@pytest.fixture
def env(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An empty home; whatever happens, its world is ended."""
    made = {
        "HOME": str(tmp_path),
        "PATH": f"{BINARIES}:{os.environ['PATH']}",
        "TMPDIR": os.environ["TMPDIR"],
        "LANG": "C.UTF-8",
    }
    yield made
    subprocess.run(
        ["wakedeck", "local", "down"], env=made, capture_output=True, timeout=60, check=False
    )


def test_every_command_does_what_the_page_says(env: dict[str, str]) -> None:
    told: dict[str, str] = {}
    for line in COMMANDS:
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        told[line] = done.stdout
    assert "4 ready" in told["wakedeck status"]
    assert told["wakedeck exec data-pull -- echo inside"] == "inside\n"
    happened = told["wakedeck events"]
    assert "night-watch was woken and is serving" in happened
    assert "data-pull" in happened and "reconnect" in happened
