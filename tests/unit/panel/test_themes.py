"""Colours that can be read: measured contrast, and the theme a terminal can show."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

import pytest
from textual.color import Color
from textual.theme import Theme

from services.config.settings import Flags, load
from services.text import signs
from tui.panel import themes

TONES = ("text-success", "text-warning", "text-error", "text-primary", "text-accent")
GROUNDS = ("background", "surface", "panel")


def ratio(one: Color, other: Color) -> float:
    """Contrast as the web guidelines measure it, 1 to 21."""

    def luminance(colour: Color) -> float:
        def channel(value: float) -> float:
            return value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4

        red, green, blue = (channel(part / 255) for part in colour.rgb)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    ("theme", "least"),
    [(themes.DARK, 4.5), (themes.LIGHT, 4.5), (themes.CONTRAST, 7.0)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_every_tone_can_be_read_on_every_ground(theme: Theme, least: float) -> None:
    colours = theme.to_color_system().generate()
    names = [*TONES, "foreground"]
    if theme is themes.CONTRAST:
        names += ["text-muted", "foreground-muted"]
    for ground in GROUNDS:
        below = Color.parse(colours[ground])
        for name in names:
            measured = ratio(below + Color.parse(colours[name]), below)
            assert measured >= least, f"{theme.name}: {name} on {ground}: {measured:.1f}"


def test_frames_of_high_contrast_stand_out() -> None:
    colours = themes.CONTRAST.to_color_system().generate()
    for name in ("border", "border-blurred", "accent"):
        assert ratio(Color.parse(colours[name]), Color.parse(colours["background"])) >= 7


@pytest.mark.parametrize(
    ("environ", "theme"),
    [
        ({}, "wakedeck-dark"),
        ({"TERM": "xterm-256color"}, "wakedeck-dark"),
        ({"TERM": "tmux-256color"}, "wakedeck-dark"),
        ({"TERM": "xterm-kitty"}, "wakedeck-dark"),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, "wakedeck-dark"),
        ({"TERM": "xterm"}, "ansi-dark"),
        ({"TERM": "linux"}, "ansi-dark"),
        ({"TERM": "xterm-16color"}, "ansi-dark"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, "ansi-dark"),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, "wakedeck-dark"),
    ],
)
def test_without_a_wish_the_theme_is_one_the_terminal_can_show(
    environ: dict[str, str], theme: str
) -> None:
    assert themes.choose_theme(load(Flags(), {}), environ) == theme
    assert themes.choose_theme(load(Flags(theme="nord"), {}), environ) == "nord"


def test_a_profile_has_its_own_theme(home: Path) -> None:
    path = home / "wakedeck.toml"
    path.write_text(
        'theme = "wakedeck-light"\n[profiles.production]\ntheme = "wakedeck-contrast"\n', "utf-8"
    )
    assert themes.choose_theme(load(Flags(config=path), {}), {}) == "wakedeck-light"
    chosen = load(Flags(config=path, profile="production"), {})
    assert themes.choose_theme(chosen, {"TERM": "xterm"}) == "wakedeck-contrast"


def test_the_key_goes_round() -> None:
    names = [themes.DEFAULT]
    for _ in range(3):
        names.append(themes.next_theme(names[-1]))
    assert names == ["wakedeck-dark", "wakedeck-light", "wakedeck-contrast", "wakedeck-dark"]
    assert themes.next_theme("ansi-dark") == "ansi-light"
    assert themes.next_theme("nord") == themes.DEFAULT


@pytest.mark.parametrize(
    "table",
    [signs.SANDBOXES, signs.GATEWAYS, signs.STEPS, signs.ATTEMPTS, signs.SHELLS],
    ids=["sandboxes", "gateways", "steps", "attempts", "shells"],
)
def test_no_state_is_told_by_colour_alone(table: dict[Enum, signs.Sign]) -> None:
    said = [(sign.glyph, sign.word) for sign in table.values()]
    assert all(glyph and word for glyph, word in said)
    assert len({word for _, word in said}) == len(said)
