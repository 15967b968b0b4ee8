"""`make bench`: every figure the README quotes, each beside a peer or a floor of the same run.

Name benches to run only those: `python -m tests.bench panel`.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

HERE = Path(__file__).parent
ORDER = (
    *("panel", "rest", "scale", "watching", "terminal", "costly", "reflow", "drawing"),
    *("flood", "wire"),
    *("pods", "sandboxes", "nanoclaw", "vellum", "remote"),
)


def main(names: list[str]) -> None:
    """Run the named benches, or all there are."""
    there = [name for name in ORDER if (HERE / f"{name}.py").exists()]
    for name in names or there:
        print(f"== {name}", flush=True)
        importlib.import_module(f"tests.bench.{name}").main()


if __name__ == "__main__":
    main(sys.argv[1:])
