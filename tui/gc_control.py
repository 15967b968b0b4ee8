"""Garbage collector settings that keep frames in time (upstream/terminal: Garbage collection)."""

from __future__ import annotations

import gc

THRESHOLDS = (2_000, 50, 200)
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


def clear_styles_cache() -> None:
    """Clear Textual's style cache of removed widgets.

    Textual 8 keeps up to 1024 dialogs, toasts and the like as keys of one cache, each with its
    whole picture: tens of megabytes. Filling the cache anew costs next to nothing.
    """
    from textual._styles_cache import StylesCache

    StylesCache.get_inner_outer.cache_clear()
