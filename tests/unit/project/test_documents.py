"""The documents name only what exists: links, pictures, keys, ids, commands, tests."""

from __future__ import annotations

import ast
import re
import tomllib
from enum import Enum
from functools import cache
from pathlib import Path

import click
import pytest
from textual.keys import format_key

from services import models
from services.config.parser import find_problems
from services.config.settings import FileTable
from tests.support.keys_reference import PAGE, page
from tui.app import bound_actions
from tui.cli.main import main

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
FEATURES = ROOT / "docs" / "features.md"
INVARIANTS = ROOT / "docs" / "invariants.md"
GLOSSARY = ROOT / "docs" / "glossary.md"
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
ROW = re.compile(r"^\| (?P<name>.+?) \| \*\*(?P<must>[MS])\*\* \| (?P<how>.+) \| (?P<tests>.+) \|$")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_every_link_and_picture_is_there(path: Path) -> None:
    for target in LINK.findall(path.read_text("utf-8")):
        if not target.startswith(("http:", "https:")):
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("start", ["README.md", "mkdocs.yml"])
def test_every_page_is_found_from_the_start(start: str) -> None:
    text = (ROOT / start).read_text("utf-8")
    assert not [named(one) for one in ROOT.glob("docs/**/*.md") if named(one) not in text]


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_every_configuration_shown_loads(path: Path) -> None:
    for block in re.findall(r"^```toml\n(.*?)^```", path.read_text("utf-8"), re.M | re.S):
        assert not list(find_problems(tomllib.loads(block), FileTable)), block


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_every_command_shown_exists(path: Path) -> None:
    for words in re.findall(r"`wakedeck ([a-z][a-z ]*)", path.read_text("utf-8")):
        command: click.Command | None = main
        for word in words.split():
            if not isinstance(command, click.Group):
                break
            command = command.get_command(click.Context(command), word)
            assert command is not None, f"wakedeck {words}"


def test_the_keys_page_is_of_today() -> None:
    assert PAGE.read_text("utf-8") == page(), "run `make keys`"


def test_every_source_has_a_page_with_the_same_parts() -> None:
    for place in ROOT.glob("docs/sources/*.md"):
        text = place.read_text("utf-8")
        assert "## Configure" in text, place
        assert "never does" in text, place
        assert "screenshots/" in text, place


@cache
def names_in(place: str) -> frozenset[str]:
    tree = ast.parse((ROOT / place).read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(one.name for one in ast.walk(tree) if isinstance(one, kinds))


def rows() -> list[re.Match[str]]:
    lines = FEATURES.read_text("utf-8").splitlines()
    found = [ROW.match(line) for line in lines if line.startswith("| ") and "**" in line]
    assert all(found)
    return [one for one in found if one is not None]


def test_every_feature_has_a_test_that_exists() -> None:
    every = rows()
    assert len(every) >= 32
    for row in every:
        tests = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row["tests"])
        assert tests, row["name"]
        for place, name in tests:
            assert name in names_in(place), f"{row['name']}: {place}::{name}"


def test_every_key_of_a_feature_is_the_one_that_is_bound() -> None:
    bound = {one.id: one for one in bound_actions()}
    seen = 0
    for row in rows():
        for key, words, action in re.findall(
            r"`([^`]+)`([^`()]*)\(`([a-z]+\.[a-z_-]+)`", row["how"]
        ):
            assert action in bound, f"{row['name']}: {action}"
            if "–" in words or action == "panel.sandboxes":
                continue  # A range of keys, told by its last.
            keys = {*bound[action].keys, *map(format_key, bound[action].keys)}
            assert key in keys, f"{row['name']}: {key} is not {action}"
            seen += 1
        for action in re.findall(r"\(`([a-z]+\.[a-z_-]+)`", row["how"]):
            assert action in bound, f"{row['name']}: {action}"
    assert seen >= 15


def test_every_other_test_named_exists() -> None:
    for place, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", FEATURES.read_text("utf-8")):
        assert name in names_in(place), f"{place}::{name}"


def test_every_invariant_has_a_place_and_a_test_that_exist() -> None:
    lines = [line for line in INVARIANTS.read_text("utf-8").splitlines() if line.startswith("| ")]
    held = [line.strip("| ").rsplit(" | ", 2) for line in lines if not line.startswith("| Never ")]
    assert len(held) >= 30
    for never, where, tests in held:
        places = re.findall(r"`([\w/.]+)`", where)
        assert places, never
        for place in places:
            assert (ROOT / place).exists(), f"{never}: {place}"
        found = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", tests)
        assert len(found) == len(tests.split(", ")), never
        for place, name in found:
            assert name in names_in(place), f"{never}: {place}::{name}"


def test_every_promise_names_tests_that_exist() -> None:
    found = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "SECURITY.md").read_text("utf-8"))
    assert len(found) >= 20
    for place, name in found:
        assert name in names_in(place), f"{place}::{name}"


def glossary() -> list[str]:
    return re.findall(r"^- \*\*(.+?)\*\*: .+\.$", GLOSSARY.read_text("utf-8"), re.M)


def test_the_glossary_is_in_order_and_has_each_word_once() -> None:
    words = glossary()
    assert words == sorted(set(words), key=lambda word: (word.casefold(), word))
    assert len(words) == GLOSSARY.read_text("utf-8").count("\n- ")


def test_the_glossary_has_every_word_of_the_vocabulary() -> None:
    kinds = [
        one
        for one in vars(models).values()
        if isinstance(one, type)
        and one.__module__.startswith(models.__name__)
        and one.__name__[0] != "_"
    ]
    wanted = {one.__name__ for one in kinds}
    for kind in kinds:
        if issubclass(kind, Enum):
            wanted |= {str(one.value) for one in kind if one.value}
    assert len(wanted) > 60
    assert wanted <= set(glossary()), sorted(wanted - set(glossary()))
