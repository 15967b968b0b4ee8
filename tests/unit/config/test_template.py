"""The printed configuration file says exactly what the tables hold."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.config.settings import VARIABLES, FileTable, Flags, ProfileTable, load, read_file
from services.config.template import default_text, field_descriptions, kinds, source_block
from tui.cli.config_report import values


def uncommented() -> str:
    """The file with every setting in force: prose begins with a blank after the #."""
    lines = default_text().splitlines()
    return "\n".join(line[1:] if line[:1] == "#" and line[1:2] != " " else line for line in lines)


def filed(home: Path, text: str) -> Path:
    path = home / "wakedeck.toml"
    path.write_text(text, "utf-8")
    return path


def test_as_it_is_printed_it_changes_nothing(home: Path) -> None:
    path = filed(home, default_text())
    assert read_file(path) == FileTable()
    assert load(Flags(config=path), {}).sources == load(Flags(), {}).sources


def test_with_every_line_in_force_it_loads_and_every_source_has_its_defaults(home: Path) -> None:
    table = read_file(filed(home, uncommented()))
    found = {str(one.__struct_config__.tag): one for one in table.sources.values()}
    assert set(found) == {str(kind.__struct_config__.tag) for kind in kinds()}
    for kind in kinds():
        assert found[str(kind.__struct_config__.tag)] == kind()


def test_with_every_line_in_force_the_panel_would_start(home: Path) -> None:
    path = filed(home, uncommented())
    settings = load(Flags(config=path, profile="production"), {})
    assert settings.read_only
    assert [one.key for one in settings.sources] == ["local"]


def test_every_key_of_every_table_is_in_it() -> None:
    written = tomllib.loads(uncommented())
    for name in FileTable.__struct_fields__:
        assert name in written, name
    for kind in kinds():
        tag = str(kind.__struct_config__.tag)
        assert set(written["sources"][tag]) == {"kind", *kind.__struct_fields__}
    assert set(written["profiles"]["production"]) == set(ProfileTable.__struct_fields__)


@pytest.mark.parametrize("table", [FileTable, ProfileTable, *kinds()], ids=lambda t: t.__name__)
def test_every_key_says_what_it_is_for(table: type[msgspec.Struct]) -> None:
    assert set(field_descriptions(table)) == set(table.__struct_fields__)


def test_a_block_to_paste_loads_whatever_it_holds(home: Path) -> None:
    hostile = 'a"b\\c\n[sources.x]\n\x1b]52;c;aGk=\x07\x7f\x9b\u202e\U0001f600'
    block = source_block("home", "nanoclaw", {"root": hostile, "interval_s": 2.5})
    block += source_block(
        "lab", "openshell", {"gateways": ["a", "b"], "start": {"a b": ["systemctl", "start"]}}
    )
    assert all(line.isprintable() for line in block.splitlines())
    table = read_file(filed(home, block))
    assert list(table.sources) == ["home", "lab"]
    assert getattr(table.sources["home"], "root") == hostile  # noqa: B009
    assert getattr(table.sources["lab"], "start") == {"a b": ("systemctl", "start")}  # noqa: B009


def whence(settings: Any) -> dict[str, str]:
    return {one.name: one.origin for one in values(settings)}


def test_every_value_says_where_it_came_from(home: Path) -> None:
    path = filed(
        home,
        'theme = "nord"\ntranscripts = true\n'
        '[keys]\n"repair.wake" = "W"\n'
        '[sources.home]\nkind = "nanoclaw"\nroot = "~/n"\n'
        '[profiles.night]\nanimation = false\nread_only = true\nsources = ["home"]\n',
    )
    settings = load(Flags(config=path, profile="night"), {"WAKEDECK_READ_ONLY": "0"})
    origins = whence(settings)
    assert origins["profile"] == "--profile"
    assert origins["theme"] == origins["transcripts"] == origins["keys.repair.wake"] == str(path)
    assert origins["animation"] == origins["sources"] == f"{path} [profiles.night]"
    assert origins["read_only"] == "WAKEDECK_READ_ONLY"
    assert origins["sources.home.root"] == f"{path} [sources.home]"
    assert origins["sources.home.interval_s"] == "default"
    assert (settings.read_only, settings.animation, settings.theme) == (False, False, "nord")


@pytest.mark.parametrize(("name", "variable"), VARIABLES.items())
def test_every_variable_is_heard(name: str, variable: str) -> None:
    said = {"profile": "default", "confirm_quit": "always"}.get(name, "true")
    settings = load(Flags(), {variable: said})
    assert settings.origins[name] == variable
    assert getattr(settings, name) in (said, True)


def test_a_flag_beats_a_variable() -> None:
    settings = load(Flags(theme="nord"), {"WAKEDECK_THEME": "gruvbox"})
    assert (settings.theme, settings.origins["theme"]) == ("nord", "--theme")
