"""Fifty megabytes up to a command in every family, and five of them through bad weather."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.transfers import VARIABLE

ROOT = Path(__file__).resolve().parents[2]
MEGABYTES = 50
FILES = (
    "tests/integration/terminal/exec/test_families.py",
    "tests/integration/terminal/transport/test_bad_weather.py",
)


def transfers() -> list[str]:
    """The tests of the suite that send something up, with more to send; one at a time."""
    print(f"{MEGABYTES} MB up in every family", flush=True)
    argv = [sys.executable, "-m", "pytest", *FILES, "-k", "go_up or goes_up", "-n", "0", "-q", "-s"]
    env = {**os.environ, VARIABLE: str(MEGABYTES)}
    wrong = subprocess.run(argv, cwd=ROOT, env=env, check=False).returncode
    return [f"transfers fail with {VARIABLE}={MEGABYTES}"] if wrong else []
