"""The garbage collector, kept from holding up frames (upstream/terminal: Garbage collection)."""

from __future__ import annotations

import gc

THRESHOLDS = (20_000, 20, 50)
"""Collections are this much rarer than Python's own, each of them a pause of every key."""


def hold() -> None:
    """Until the screen is up nothing is garbage: looking for it only delays the first frame."""
    gc.disable()


def settle() -> None:
    """Once the screen is up: what exists now is for good and is never looked through again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    gc.enable()
