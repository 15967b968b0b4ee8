"""How property tests throw their dice: always the same in the suite, afresh in a soak."""

from __future__ import annotations

import os

from hypothesis import settings
from hypothesis.database import DirectoryBasedExampleDatabase

from tests.support.cache import CACHE

VARIABLE = "WAKEDECK_DICE"
FINDS = CACHE / "finds"
"""What a soak found; the next one begins with it."""

settings.register_profile("fixed", derandomize=True, deadline=None, database=None, print_blob=True)
settings.register_profile(
    "fresh",
    max_examples=500,
    derandomize=False,
    deadline=None,
    database=DirectoryBasedExampleDatabase(FINDS),
    print_blob=True,
)


def load() -> None:
    """Take the profile of this run, before any test module asks for one."""
    settings.load_profile(os.environ.get(VARIABLE) or "fixed")
