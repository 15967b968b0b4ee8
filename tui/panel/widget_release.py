"""What Textual keeps of widgets that are no more."""

from __future__ import annotations

from textual._styles_cache import StylesCache

EVERY_S = 30.0


def let_go() -> None:
    """Forget what was drawn of them.

    Textual 8 keeps up to 1024 dialogs, toasts and the like as keys of one cache, each with its
    whole picture: tens of megabytes. Filling the cache anew costs next to nothing.
    """
    StylesCache.get_inner_outer.cache_clear()
