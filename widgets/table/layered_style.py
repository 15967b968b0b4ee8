"""Several component classes laid over each other as one style.

Textual's own merge keeps the background of one component alone; here a tone keeps the background
of the state below it, and a colour meant for any ground is judged against that ground.
"""

from __future__ import annotations

from rich.style import Style
from textual.color import Color
from textual.css.styles import StylesBase
from textual.widget import Widget


class LayeredStyles:
    """Resolves and caches the styles of one widget."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._cache: dict[tuple[str, ...], Style] = {}

    def invalidate(self) -> None:
        """Drop the cache, as after a change of stylesheet, theme or focus."""
        self._cache.clear()

    def __call__(self, *names: str) -> Style:
        """The style of component classes, later ones over earlier ones."""
        style = self._cache.get(names)
        if style is None:
            style = self._cache[names] = self._resolve(names)
        return style

    def _resolve(self, names: tuple[str, ...]) -> Style:
        _, background = self._widget.background_colors
        ink, opacity, text_style = _ink(self._widget.styles), 1.0, Style()
        for name in names:
            component = self._widget.get_component_styles(name)
            if component.has_rule("background"):
                background += component.background
            if component.has_rule("color"):
                ink = _ink(component)
            if component.has_rule("text_opacity"):
                opacity *= component.text_opacity
            text_style += component.text_style
        if ink.auto:
            ink = background.get_contrast_text(ink.a)
        foreground = background + ink
        if opacity < 1 and foreground.ansi is None and background.ansi is None:
            foreground = background.blend(foreground, opacity, 1.0)
        return text_style + Style.from_color(
            foreground.rich_color, background.rich_color if background.a else None
        )


def _ink(styles: StylesBase) -> Color:
    """The colour of text; one for any ground is marked so."""
    colour = styles.color
    return Color(0, 0, 0, colour.a, auto=True) if styles.auto_color else colour
