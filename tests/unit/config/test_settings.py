"""Settings: merging, origins and errors that name the file, the line and the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.config.settings import Flags, load
from services.errors import ConfigError


def write(home: Path, text: str) -> Path:
    path = home / "wakedeck.toml"
    path.write_text(text, "utf-8")
    return path


def test_an_empty_machine_gets_the_embedded_world() -> None:
    settings = load(Flags(), {})
    assert [(one.key, one.kind) for one in settings.sources] == [("local", "local")]
    assert settings.profile == "default"
    assert set(settings.origins.values()) == {"default"}


def test_profile_beats_top_level_and_environment_beats_both(home: Path) -> None:
    path = write(
        home,
        'theme = "one"\nread_only = false\ntranscripts = false\n'
        '[sources.a]\nkind = "local"\n[sources.b]\nkind = "local"\n'
        '[profiles.prod]\ntheme = "two"\nread_only = true\ntranscripts = true\nsources = ["b"]\n',
    )
    settings = load(Flags(config=path, profile="prod"), {})
    assert (settings.theme, settings.read_only) == ("two", True)
    assert settings.transcripts
    assert not load(Flags(config=path), {}).transcripts
    assert [one.key for one in settings.sources] == ["b"]
    assert settings.origins["theme"] == f"{path} [profiles.prod]"
    settings = load(
        Flags(config=path, profile="prod"),
        {"WAKEDECK_THEME": "three", "WAKEDECK_READ_ONLY": "no"},
    )
    assert (settings.theme, settings.read_only) == ("three", False)
    assert settings.origins["read_only"] == "WAKEDECK_READ_ONLY"
    assert load(Flags(config=path, read_only=True), {"WAKEDECK_READ_ONLY": "no"}).read_only


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "theme = 'x'\nreed_only = true\n",
            "line 2: unknown key 'reed_only'; did you mean 'read_only'?",
        ),
        ("[sources.a]\nkind = 'local'\nintervall_s = 2\n", "line 3: unknown key 'intervall_s'"),
        ("[sources.a]\nkind = 'local'\ninterval_s = 0.1\n", "interval_s"),
        ("[sources.a]\nkind = 'moon'\n", "moon"),
        ("theme = \n", "line 1"),
        ("profile = 'gone'\n", "no profile 'gone'"),
        (
            "profile='p'\n[sources.a]\nkind='local'\n[profiles.p]\nsources=['b']\n",
            "names source 'b'; there are: a",
        ),
    ],
)
def test_what_is_wrong_is_named(home: Path, text: str, said: str) -> None:
    path = write(home, text)
    with pytest.raises(ConfigError) as caught:
        load(Flags(config=path), {})
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_named_file_that_is_not_there_is_an_error(home: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load(Flags(config=home / "none.toml"), {})


def test_bytes_that_are_no_text_are_an_error(home: Path) -> None:
    path = home / "wakedeck.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(Flags(config=path), {})


def test_a_variable_that_is_neither_true_nor_false_is_an_error() -> None:
    with pytest.raises(ConfigError, match="WAKEDECK_READ_ONLY"):
        load(Flags(), {"WAKEDECK_READ_ONLY": "perhaps"})
