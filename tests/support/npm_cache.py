"""Pinned packages from npm, fetched once into a cache folder; bounded, and a reason where not."""

from __future__ import annotations

import functools
import platform
import shutil
import subprocess
from pathlib import Path

from tests.support.cache import LIMIT_S, UnobtainableError, once

BUN = "@oven/bun-linux-x64@1.3.11"
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
    try:
        return once("npm", pins, lambda folder: _fetch(npm, folder, pins)) / "node_modules"
    except UnobtainableError as error:
        return str(error)


def _fetch(npm: str, folder: Path, pins: tuple[str, ...]) -> None:
    argv = [npm, *_INSTALL, "--prefix", str(folder), *pins]
    try:
        done = subprocess.run(argv, capture_output=True, timeout=LIMIT_S, check=False, cwd=folder)
    except subprocess.TimeoutExpired as error:
        raise UnobtainableError(f"npm did not fetch {pins[0]} within {LIMIT_S:g} s") from error
    if done.returncode:
        raise UnobtainableError(f"npm could not fetch {pins[0]}")
