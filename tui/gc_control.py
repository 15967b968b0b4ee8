"""Garbage collector settings that keep frames in time (upstream/terminal: Garbage collection)."""

from __future__ import annotations

import gc

THRESHOLDS = (20_000, 20, 50)
"""Collections are this much rarer than Python's own, each of them a pause of every key."""


def disable_until_started() -> None:
    """Disable the garbage collector until the first frame is on the screen."""
    gc.disable()


def freeze_startup_objects() -> None:
    """Freeze what exists after start-up and enable rarer collections."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    gc.enable()
