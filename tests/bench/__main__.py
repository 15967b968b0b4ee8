"""`make bench`: every figure the README quotes, each beside a peer or a floor of the same run.

Name benches to run only those: `python -m tests.bench panel`. What is printed is kept as text in
`build/bench/`, a file for each run, with the commit and the load of the machine above it.
"""

from __future__ import annotations

import importlib
import os
import platform
import subprocess
import sys
import time
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import TextIO, cast

HERE = Path(__file__).parent
KEPT = HERE.parents[1] / "build" / "bench"
ORDER = (
    *("panel", "rest", "scale", "watching", "terminal", "costly", "reflow", "drawing"),
    *("flood", "wire"),
    *("pods", "sandboxes", "nanoclaw", "vellum", "remote", "openclaw"),
)


class Both:
    """Writes to the terminal and to the file."""

    def __init__(self, *ends: TextIO) -> None:
        self._ends = ends

    def write(self, text: str) -> int:
        """To both, at once: a bench that fails has kept what came before."""
        for one in self._ends:
            one.write(text)
            one.flush()
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""


def heading() -> str:
    """What the figures depend on besides the code."""
    asked = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(asked, cwd=HERE, capture_output=True, text=True, check=False).stdout
    load = "/".join(f"{one:.1f}" for one in os.getloadavg())
    return (
        f"commit {commit.strip() or 'unknown'}, Python {platform.python_version()}, "
        f"Textual {version('textual')}, {os.cpu_count()} cores, load {load}"
    )


def main(names: list[str]) -> None:
    """Run the named benches, or all there are."""
    there = [name for name in ORDER if (HERE / f"{name}.py").exists()]
    KEPT.mkdir(parents=True, exist_ok=True)
    kept = (KEPT / time.strftime("%Y%m%dT%H%M%S.txt")).open("w", encoding="utf-8")
    with kept, redirect_stdout(cast(TextIO, Both(sys.stdout, kept))):
        print(heading())
        for name in names or there:
            print(f"== {name}", flush=True)
            importlib.import_module(f"tests.bench.{name}").main()


if __name__ == "__main__":
    main(sys.argv[1:])
