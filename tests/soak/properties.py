"""The property tests with fresh seeds, again and again; what they find is kept and told."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from tests.support import dice

ROOT = Path(__file__).resolve().parents[2]
SEEDS = 1 << 32
LIMIT_S = 1800
"""Of one test, which throws more than in the suite."""


def properties(seconds: float, seed: int) -> list[str]:
    """The seeds that found something; at least one round is run.

    A seed is given to `pytest --hypothesis-seed` to see it again. The examples themselves are in
    the cache, where the next soak begins with them.
    """
    rolls = random.Random(seed)
    until = time.monotonic() + seconds
    found = []
    while True:
        one = rolls.randrange(SEEDS)
        if _round(one):
            found.append(f"properties fail with WAKEDECK_DICE=fresh and --hypothesis-seed={one}")
        if time.monotonic() >= until:
            return found


def _round(seed: int) -> int:
    print(f"properties, seed {seed}", flush=True)
    argv = [sys.executable, "-m", "pytest", "-m", "hypothesis", f"--timeout={LIMIT_S}"]
    argv.append(f"--hypothesis-seed={seed}")
    environ = {**os.environ, dice.VARIABLE: "fresh"}
    return subprocess.run(argv, cwd=ROOT, env=environ, check=False).returncode
