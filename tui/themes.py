"""The panel's own two themes; Textual's built-in ones work as well."""

from __future__ import annotations

from collections.abc import Iterable

from textual.theme import Theme

from services.config import Settings
from services.config_file import nearest, spot
from services.errors import ConfigError

DARK = Theme(
    name="wakedeck-dark",
    dark=True,
    primary="#7aa2f7",
    secondary="#9d8cff",
    accent="#7dcfff",
    foreground="#d5dae6",
    background="#12141b",
    surface="#171a23",
    panel="#222736",
    success="#8fce7a",
    warning="#e6b450",
    error="#f2777a",
    variables={
        "border": "#39415a",
        "border-blurred": "#2b3145",
        "block-cursor-background": "#2c3a5e",
        "block-cursor-foreground": "#f0f3fa",
        "block-cursor-text-style": "none",
        "block-cursor-blurred-background": "#222736",
        "block-cursor-blurred-foreground": "#d5dae6",
        "footer-background": "#171a23",
    },
)

LIGHT = Theme(
    name="wakedeck-light",
    dark=False,
    primary="#2f5fd0",
    secondary="#6b4fc9",
    accent="#0b7285",
    foreground="#22252e",
    background="#f6f7f9",
    surface="#ffffff",
    panel="#e6e9f0",
    success="#2b7a3d",
    warning="#946200",
    error="#b3261e",
    variables={
        "border": "#b6bed0",
        "border-blurred": "#d3d8e4",
        "block-cursor-background": "#d6e2ff",
        "block-cursor-foreground": "#14161c",
        "block-cursor-text-style": "none",
        "block-cursor-blurred-background": "#e6e9f0",
        "block-cursor-blurred-foreground": "#22252e",
        "footer-background": "#ffffff",
    },
)

THEMES = (DARK, LIGHT)
DEFAULT = DARK.name


def check(settings: Settings, known: Iterable[str]) -> None:
    """Hold the wanted theme against those there are.

    Raises:
        ConfigError: there is none of that name; the sentence says who asked for it.
    """
    names = sorted(known)
    if settings.theme and settings.theme not in names:
        origin = spot(settings.origins.get("theme", "theme"), ("theme",))
        raise ConfigError(
            f"{origin}: there is no theme {settings.theme!r}{nearest(settings.theme, names)}",
            advice=f"There are: {', '.join(names)}.",
        )
