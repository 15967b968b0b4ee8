"""What the configuration says of the screen, checked without opening it."""

from __future__ import annotations

from services.config.settings import Settings


def check(settings: Settings) -> None:
    """Hold theme and keys against those there are.

    Raises:
        ConfigError: what would stop the panel, in the panel's words.
    """
    if not settings.keys and not settings.theme:
        return
    from textual.theme import BUILTIN_THEMES

    from tui.app import bound_actions
    from tui.panel import keymap, themes

    themes.check(settings, [*BUILTIN_THEMES, *(one.name for one in themes.THEMES)])
    keymap.resolve(bound_actions(), settings.keys, settings.key_location)
