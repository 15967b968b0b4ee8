"""`python -m tests.soak --minutes N`: exit code 0 where nothing was found wrong.

First a minute of random documents at each parser, then the property tests with fresh seeds, then
fifty megabytes up to a command in every family, then the panel with faults and keys.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.soak.parsers import parsers
from tests.soak.properties import properties
from tests.soak.run import soak
from tests.soak.transfers import transfers

PARTS = ("panel", "properties", "parsers", "transfers")


def main() -> int:
    """Run all, or the one asked for."""
    ask = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    ask.add_argument("--minutes", type=float, default=60.0)
    ask.add_argument("--seed", type=int, default=None, help="the same faults and keys again")
    ask.add_argument("--only", choices=PARTS, help="one of them")
    chosen = ask.parse_args()
    seed = random.randrange(1_000_000) if chosen.seed is None else chosen.seed
    print(f"seed {seed}, {chosen.minutes:g} min each", flush=True)
    wrong = []
    if chosen.only in (None, "parsers"):
        wrong += parsers(min(60.0, chosen.minutes * 60), seed)
    if chosen.only in (None, "properties"):
        wrong += properties(chosen.minutes * 60, seed)
    if chosen.only in (None, "transfers"):
        wrong += transfers()
    if chosen.only in (None, "panel"):
        wrong += _panel(chosen.minutes, seed)
    for one in wrong:
        print(f"WRONG   {one}")
    return 1 if wrong else 0


def _panel(minutes: float, seed: int) -> list[str]:
    """Run the panel in a temporary folder and an empty home; both are gone afterwards."""
    logging.basicConfig(level=logging.ERROR, format="%(asctime)s %(name)s: %(message)s")
    folder = Path(tempfile.mkdtemp(prefix="wakedeck-soak-"))
    os.environ["HOME"] = str(folder)
    try:
        found = asyncio.run(soak(folder, minutes * 60, seed, _say))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    first, last = found.samples[0], found.samples[-1]
    print(f"first   {first}\nlast    {last}")
    print(
        f"{found.seconds / 60:.1f} min, {found.rounds} rounds, {len(found.injected)} faults, "
        f"{found.keys} keys, {len(found.wrong)} findings",
        flush=True,
    )
    return [str(one) for one in found.wrong]


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
