"""`python -m tests.soak --minutes N [--seed S]`: exit code 0 where nothing was found wrong."""

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

from tests.soak.run import soak


def main() -> int:
    """Run it in a temporary folder and an empty home; both are gone afterwards."""
    ask = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    ask.add_argument("--minutes", type=float, default=60.0)
    ask.add_argument("--seed", type=int, default=None, help="the same faults and keys again")
    chosen = ask.parse_args()
    seed = random.randrange(1_000_000) if chosen.seed is None else chosen.seed
    logging.basicConfig(level=logging.ERROR, format="%(asctime)s %(name)s: %(message)s")
    folder = Path(tempfile.mkdtemp(prefix="wakedeck-soak-"))
    os.environ["HOME"] = str(folder)
    print(f"seed {seed}, {chosen.minutes:g} min", flush=True)
    try:
        found = asyncio.run(soak(folder, chosen.minutes * 60, seed, _say))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    first, last = found.samples[0], found.samples[-1]
    print(f"first   {first}\nlast    {last}")
    print(
        f"{found.seconds / 60:.1f} min, {found.rounds} rounds, {len(found.injected)} faults, "
        f"{found.keys} keys, {len(found.wrong)} findings",
        flush=True,
    )
    for one in found.wrong:
        print(f"WRONG   {one}")
    return 1 if found.wrong else 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
