"""Frees what Textual caches of widgets that were removed."""

from __future__ import annotations

from textual._styles_cache import StylesCache

EVERY_S = 30.0


def clear_styles_cache() -> None:
    """Clear Textual's style cache of removed widgets.

    Textual 8 keeps up to 1024 dialogs, toasts and the like as keys of one cache, each with its
    whole picture: tens of megabytes. Filling the cache anew costs next to nothing.
    """
    StylesCache.get_inner_outer.cache_clear()
