"""The platform's own client, pinned, as another voice beside ours."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

from tests.support.cache import UnobtainableError, once, pip

PIN = "centml==0.7.1"


@cache
def site() -> Path:
    """The folder its packages are in.

    Raises:
        UnobtainableError: they cannot be had here.
    """
    return once("centml", (PIN, sys.version_info[:2]), _fetch) / "site"


def missing() -> str:
    """Why it cannot be had; empty where it can."""
    try:
        site()
    except UnobtainableError as error:
        return str(error)
    return ""


def _fetch(folder: Path) -> None:
    pip("install", "--target", str(folder / "site"), PIN)


def environ(home: Path, url: str) -> dict[str, str]:
    """What it is run with."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": str(site()),
        "CENTML_PLATFORM_API_URL": url,
        "COLUMNS": "200",
        "NO_PROXY": "127.0.0.1",
    }


def command(*words: str) -> list[str]:
    """The argv of its command."""
    return [sys.executable, "-c", "from centml.cli import ccluster; ccluster()", *words]
