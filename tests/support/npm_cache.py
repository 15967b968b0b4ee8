"""Pinned packages from npm, fetched once into a cache folder; bounded, and a reason where not."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path

FETCH_S = 90
"""Of one fetch; another process that needs the same waits for it."""
TRIED_AGAIN_S = 600
"""A fetch that failed is believed for this long, so that a suite without a network stays quick."""
BUN = "@oven/bun-linux-x64@1.3.11"
# Found before a test gets a home of its own.
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
_INSTALL = (
    *("install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save"),
    *("--fetch-retries=1", "--fetch-timeout=30000"),
)


@functools.cache
def modules(*pins: str) -> Path | str:
    """The `node_modules` that holds exactly these packages, or why they cannot be had here."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return "the pinned bun is for Linux on x86-64"
    npm = shutil.which("npm")
    if npm is None:
        return "npm is not installed"
    digest = hashlib.sha256(" ".join(pins).encode()).hexdigest()[:12]
    folder = _CACHE / "wakedeck-tests" / f"npm-{digest}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    done, failed = folder / "made", folder / "failed"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists():
            return folder / "node_modules"
        if failed.exists() and time.time() - failed.stat().st_mtime < TRIED_AGAIN_S:
            return failed.read_text()
        problem = _fetch(npm, folder, pins)
        if problem:
            failed.write_text(problem)
            return problem
        done.write_text("\n".join(pins))
    return folder / "node_modules"


def _fetch(npm: str, folder: Path, pins: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(
            [npm, *_INSTALL, "--prefix", str(folder), *pins],
            capture_output=True,
            text=True,
            timeout=FETCH_S,
            check=False,
            cwd=folder,
        )
    except subprocess.TimeoutExpired:
        return f"npm did not fetch {pins[0]} within {FETCH_S} s"
    return f"npm could not fetch {pins[0]}" if done.returncode else ""
