"""The marks of starts that failed, in a sandbox's folder; only reads them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from services.files.bounded import open_regular, parse_json

CRASHES = "crashes.jsonl"
GAVE_UP = "gave-up.json"
_CRASHES_READ = 64 * 1024


@dataclass(frozen=True, slots=True)
class Crash:
    """One start that failed."""

    at: float
    pid: int
    why: str


def read_crashes(folder: Path) -> tuple[Crash, ...]:
    """The starts that failed, oldest first; lines that are not whole are left out."""
    found: list[Crash] = []
    for line in crash_lines(folder / CRASHES):
        try:
            fields = parse_json(line)
            found.append(Crash(float(fields["at"]), int(fields["pid"]), str(fields["why"])))
        except (ValueError, KeyError, TypeError):
            continue
    return tuple(found)


def crash_lines(path: Path) -> list[str]:
    """The lines at the end of a file of crashes."""
    try:
        with open_regular(path) as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - _CRASHES_READ))
            return [line for line in stream.read().decode("utf-8", "replace").splitlines() if line]
    except OSError:
        return []
