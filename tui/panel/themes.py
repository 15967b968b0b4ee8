"""The panel's own three themes; Textual's built-in ones work as well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from textual.app import App
from textual.theme import Theme

from services.config.parser import nearest, with_line_number
from services.config.settings import Settings
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

CONTRAST = Theme(
    name="wakedeck-contrast",
    dark=True,
    primary="#66b3ff",
    secondary="#d0a8ff",
    accent="#00e5ff",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1c1c1c",
    success="#3dff6e",
    warning="#ffd400",
    error="#ff6b6b",
    variables={
        "text": "#ffffff",
        "text-muted": "#dcdcdc",
        "text-disabled": "#b4b4b4",
        "foreground-muted": "#dcdcdc",
        "foreground-disabled": "#b4b4b4",
        "border": "#ffffff",
        "border-blurred": "#b4b4b4",
        "block-cursor-background": "#ffffff",
        "block-cursor-foreground": "#000000",
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-background": "#444444",
        "block-cursor-blurred-foreground": "#ffffff",
        "footer-background": "#1c1c1c",
    },
)

THEMES = (DARK, LIGHT, CONTRAST)
DEFAULT = DARK.name
COLOR_SYSTEM = "TEXTUAL_COLOR_SYSTEM"
"""The variable that says how many colours there are, where a terminal's own words do not count."""
ANSI_THEME = "ansi-dark"
"""Where the terminal has its own sixteen colours, or none are wanted."""


def choose_theme(settings: Settings, environ: Mapping[str, str]) -> str:
    """The configured theme, or else one this terminal can show."""
    if settings.theme:
        return settings.theme
    return ANSI_THEME if no_color(environ) or _has_16_colors(environ) else DEFAULT


def no_color(environ: Mapping[str, str]) -> bool:
    """Whether NO_COLOR is set."""
    return bool(environ.get("NO_COLOR"))


def _has_16_colors(environ: Mapping[str, str]) -> bool:
    """Whether nothing says that the terminal has more (the same signs Rich goes by)."""
    said = environ.get(COLOR_SYSTEM, "auto")
    if said != "auto":
        return said not in ("256", "truecolor")
    if environ.get("COLORTERM", "").strip().lower() in ("truecolor", "24bit"):
        return False
    term = environ.get("TERM", "").strip().lower()
    return bool(term) and term.rpartition("-")[2] not in ("256color", "kitty")


def next_theme(name: str) -> str:
    """The theme after this one, for a key that goes through them."""
    for circle in ((DARK.name, LIGHT.name, CONTRAST.name), (ANSI_THEME, "ansi-light")):
        if name in circle:
            return circle[(circle.index(name) + 1) % len(circle)]
    return DEFAULT


def begin_with(app: App[Any], name: str) -> None:
    """Have style sheets parsed for this theme from the first, not for Textual's before it.

    Only for one that is dark and has colours of its own, as Textual's is; others are set later.
    """
    theme = app.available_themes[name]
    if theme.dark and not theme.ansi:
        app.set_reactive(App.theme, name)
        app.set_class(True, f"-theme-{name}", update=False)
        app.stylesheet.set_variables(app.get_css_variables())


def check(settings: Settings, known: Iterable[str]) -> None:
    """Hold the wanted theme against those there are.

    Raises:
        ConfigError: there is none of that name; the sentence says who asked for it.
    """
    names = sorted(known)
    if settings.theme and settings.theme not in names:
        origin = with_line_number(settings.origins.get("theme", "theme"), ("theme",))
        raise ConfigError(
            f"{origin}: there is no theme {settings.theme!r}{nearest(settings.theme, names)}",
            advice=f"There are: {', '.join(names)}.",
        )
