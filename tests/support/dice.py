"""How property tests throw their dice: always the same in the suite, afresh in a soak."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

from tests.support.cache import CACHE

VARIABLE = "WAKEDECK_DICE"
FINDS = CACHE / "finds"
"""What a soak found; the next one begins with it."""

_CLOCKLESS = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
"""How long an example takes says how busy the machine is."""

settings.register_profile("fixed", _CLOCKLESS, derandomize=True, database=None)
settings.register_profile(
    "fresh",
    _CLOCKLESS,
    max_examples=500,
    derandomize=False,
    database=DirectoryBasedExampleDatabase(FINDS),
)


def load() -> None:
    """Take the profile of this run, before any test module asks for one."""
    settings.load_profile(os.environ.get(VARIABLE) or "fixed")
