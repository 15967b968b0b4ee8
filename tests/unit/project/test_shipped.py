"""What is shipped: as the parser is today; what is declared is imported, and the reverse."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

from tests.support import shipped

ROOT = Path(__file__).resolve().parents[3]
ROOMS = ("services", "tui", "widgets")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
NEVER_NAMED = {"sniffio"}
"""Imported by a library of ours only where it is there, and slow where it is not."""
_BY_NAME = {"import_module", "find_spec"}
FORGE = sorted([*ROOT.glob(".github/**/*.yml"), ROOT / ".pre-commit-config.yaml"])


def plain(name: str) -> str:
    """A distribution's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s<>=!~;\[]", name, maxsplit=1)[0]).lower()


def _name(called: ast.expr) -> str:
    """The last part of what is called."""
    return str(getattr(called, "attr", getattr(called, "id", "")))


@cache
def imported(*rooms: str) -> frozenset[str]:
    """Top-level names that modules below these folders import from elsewhere."""
    found: set[str] = set()
    for path in (path for room in rooms for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {one.name.split(".")[0] for one in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
            elif isinstance(node, ast.Call) and _name(node.func) in _BY_NAME:
                named = [one.value for one in node.args if isinstance(one, ast.Constant)]
                found |= {str(one).split(".")[0] for one in named}
    return frozenset(found) - set(sys.stdlib_module_names) - {*ROOMS, "tests", "wakedeck"}


def distributions(names: frozenset[str]) -> set[str]:
    """What has to be installed for these names."""
    known = packages_distributions()
    unknown = names - set(known)
    assert not unknown, f"no distribution has {sorted(unknown)}"
    return {plain(one) for name in names for one in known[name]}


def declared(*extras: str) -> set[str]:
    found = set(PROJECT["dependencies"]) if not extras else set()
    for extra in extras:
        found |= set(PROJECT["optional-dependencies"][extra])
    return {plain(one) for one in found}


def optional() -> set[str]:
    return set(PROJECT["optional-dependencies"]) - {"dev", "docs"}


@pytest.mark.slow
def test_what_the_panel_imports_is_declared() -> None:
    assert distributions(imported(*ROOMS)) <= declared() | declared(*optional())


@pytest.mark.slow
def test_what_is_declared_is_imported() -> None:
    used = distributions(imported(*ROOMS))
    assert declared() - used == NEVER_NAMED
    assert declared(*optional()) <= used


@pytest.mark.slow
def test_what_only_the_tests_import_is_declared_for_them() -> None:
    assert distributions(imported("tests")) <= declared() | declared("dev", *optional())


def test_the_manual_and_the_completions_are_of_today() -> None:
    places = [one for one in shipped.SHARE.rglob("*") if one.is_file()]
    held = {str(one.relative_to(shipped.SHARE)): one.read_text("utf-8") for one in places}
    assert held == shipped.files(), "run `make shipped`"


@pytest.mark.parametrize("path", FORGE, ids=lambda path: path.name)
def test_what_the_forge_reads_can_be_read(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text("utf-8")), dict)


def test_what_the_forge_runs_exists() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    assert set(re.findall(r"make ([a-z-]+)", script)) <= targets
    parts = set(re.findall(r"[a-z]+", " ".join(re.findall(r"^ +([a-z |]+)\)", script, re.M))))
    for path in ROOT.glob(".github/workflows/*.yml"):
        for words in re.findall(r"\.ci/run ([a-z ]+)", path.read_text("utf-8")):
            assert set(words.split()) <= parts, path.name
