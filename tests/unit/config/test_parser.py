"""What is wrong in a configuration file is told with its file, its line and the nearest key."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.config.parser import line_of
from services.config.settings import Flags, load
from services.errors import ConfigError
from tui.app import bound_actions
from tui.panel import keymap, themes

SEVERAL = """\
reed_only = true
[sources.one]
kind = "nanoclaw"
root = "~/nanoclaw"
[sources.two]
kind = "kubernetes"
root = "/"
contxt = "prod"
interval_s = 0.1
[sources.three]
label = "no kind"
[sources.four]
kind = "kubernets"
[sources."a b"]
kind = "local"
"""


def complaint(home: Path, text: str) -> list[str]:
    path = home / "wakedeck.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        load(Flags(config=path), {})
    return [line.removeprefix(str(path)) for line in caught.value.sentence.splitlines()]


def test_everything_wrong_is_told_at_once_each_with_its_own_line(home: Path) -> None:
    said = complaint(home, SEVERAL)
    assert said[0] == ", line 1: unknown key 'reed_only'; did you mean 'read_only'?"
    # `root` stands on line 4 as well, where it belongs.
    assert said[1] == ", line 7: unknown key 'root' in [sources.two]"
    assert said[2].startswith(", line 8: unknown key 'contxt' in [sources.two]; did you mean 'cont")
    assert said[3].startswith(", line 9: sources.two.interval_s: expected")
    assert said[4].startswith(", line 10: [sources.three] says no 'kind'; there are: argocd, ")
    assert said[5].startswith(", line 13: unknown kind 'kubernets'; there are: ")
    assert said[5].endswith("did you mean 'kubernetes'?")
    assert said[6].startswith(", line 14: 'a b' cannot be a name here")


def test_a_flood_of_faults_is_bounded(home: Path) -> None:
    said = complaint(home, "".join(f"key{number} = 1\n" for number in range(40)))
    assert len(said) == 9
    assert said[-1] == "… and 32 more"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("sources = 3\n", ", line 1: sources: expected"),
        ("[sources]\none = 3\n", ", line 2: sources.one: a table is expected"),
        ('sources.one = { kind = "local", rot = "" }\n', ", line 1: unknown key 'rot'"),
        ("[sources.one]\nkind = 'local'\n\n  'rot' = ''\n", ", line 4: unknown key 'rot'"),
        ("[profiles.p]\nsources = 'all'\n", ", line 2: profiles.p.sources: expected"),
        ("[[profiles]]\n", ", line 1: profiles: expected"),
    ],
)
def test_every_way_to_write_a_table_is_found(home: Path, text: str, line: str) -> None:
    assert complaint(home, text)[0].startswith(line)


def test_a_key_from_outside_is_told_harmlessly(home: Path) -> None:
    said = complaint(home, '"\\u001b]52;c;aGk=\\u0007\\u202e" = 1\n')
    assert said[0].startswith(", line 1: unknown key")
    assert said[0].isprintable()


def test_a_line_is_found_below_its_own_header_alone() -> None:
    text = "a = 1\n[x]\na = 2\n[x.y]\na = 3\n"
    assert line_of(text, ("a",)) == 1
    assert line_of(text, ("x", "a")) == 3
    assert line_of(text, ("x", "y", "a")) == 5
    assert line_of(text, ("x", "y", "b")) == 4
    assert line_of(text, ("z",)) is None


def test_a_theme_that_is_not_there_names_who_asked_for_it(home: Path) -> None:
    path = home / "wakedeck.toml"
    path.write_text('profile = "default"\ntheme = "wakedek-dark"\n', "utf-8")
    with pytest.raises(ConfigError) as caught:
        themes.check(load(Flags(config=path), {}), ("wakedeck-dark", "nord"))
    assert caught.value.sentence == (
        f"{path}, line 2: there is no theme 'wakedek-dark'; did you mean 'wakedeck-dark'?"
    )
    assert "nord" in caught.value.advice
    with pytest.raises(ConfigError, match="--theme: there is no theme 'x'"):
        themes.check(load(Flags(config=path, theme="x"), {}), ("nord",))


def test_an_unknown_action_names_the_line_and_the_nearest(home: Path) -> None:
    path = home / "wakedeck.toml"
    path.write_text('[keys]\n"repair.wake" = "W"\n"repair.reconect" = "F"\n', "utf-8")
    settings = load(Flags(config=path), {})
    with pytest.raises(ConfigError) as caught:
        keymap.resolve(bound_actions(), settings.keys, settings.key_location)
    assert caught.value.sentence == (
        f"{path}, line 3: no action is called 'repair.reconect'; did you mean 'repair.reconnect'?"
    )


def test_a_clash_names_both_actions_and_the_line(home: Path) -> None:
    path = home / "wakedeck.toml"
    path.write_text('[keys]\n"repair.reconnect" = "w"\n', "utf-8")
    settings = load(Flags(config=path), {})
    with pytest.raises(ConfigError) as caught:
        keymap.resolve(bound_actions(), settings.keys, settings.key_location)
    said = caught.value.sentence
    assert said.startswith(f"{path}, line 2: 'w' would mean both ")
    assert "'repair.wake' (Wake)" in said
    assert "'repair.reconnect' (Reconnect)" in said
