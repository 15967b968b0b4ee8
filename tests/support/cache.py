"""What tests fetch from outside is fetched once, pinned, into a folder of the user's cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import platformdirs

# Every test has a home of its own: this is asked before the first one.
CACHE = Path(platformdirs.user_cache_path("wakedeck-tests"))
LIMIT_S = float(os.environ.get("WAKEDECK_KITS_LIMIT") or 90)
"""Of one fetch. `make kits` gives longer than a test would wait."""
TRIED_AGAIN_S = 600.0
"""A fetch that failed is believed for this long, so that a suite without a network stays quick."""
_MADE, _FAILED = "made", "failed"


class UnobtainableError(Exception):
    """It cannot be had here; the text says why in one line."""


def once(name: str, pins: object, make: Callable[[Path], object]) -> Path:
    """The folder `make` filled for these pins; other processes wait for the one that fills it.

    Raises:
        UnobtainableError: not here, or not in time.
    """
    digest = hashlib.sha256(repr(pins).encode()).hexdigest()[:12]
    folder = CACHE / f"{name}-{digest}"
    made, failed = folder / _MADE, folder / _FAILED
    if made.exists():
        return folder
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (CACHE / f"{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if made.exists():
                return folder
            if failed.exists() and time.time() - failed.stat().st_mtime < TRIED_AGAIN_S:
                raise UnobtainableError(failed.read_text("utf-8"))
            _empty(folder)
            try:
                make(folder)
            except UnobtainableError as error:
                failed.write_text(str(error), "utf-8")
                raise
            made.touch()
    except OSError as error:
        raise UnobtainableError(f"{folder} cannot be filled: {error.strerror or error}") from error
    return folder


def pip(verb: str, *words: str) -> None:
    """Have pip `install` or `download`, within the limit of one fetch.

    Raises:
        UnobtainableError: it could not, or not in time.
    """
    argv = [
        *(sys.executable, "-m", "pip", verb, "-q", "--disable-pip-version-check"),
        *("--retries", "1", "--timeout", "30", *words),
    ]
    what = " ".join(one for one in words if "==" in one)
    try:
        done = subprocess.run(argv, capture_output=True, check=False, timeout=LIMIT_S)
    except subprocess.TimeoutExpired as error:
        raise UnobtainableError(f"{what} was not fetched within {LIMIT_S:g} s") from error
    if done.returncode:
        raise UnobtainableError(f"pip could not fetch {what}")


def forget_failures() -> None:
    """Have what failed be tried again at once."""
    for failed in CACHE.glob(f"*/{_FAILED}"):
        failed.unlink(missing_ok=True)


def _empty(folder: Path) -> None:
    """Half of a fetch is none."""
    shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
