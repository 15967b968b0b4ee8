"""Programs that tests keep as text import what exists: no tool that renames sees into them."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.import_graph import PACKAGES, under

ROOT = Path(__file__).resolve().parents[3]
# The tests of the project itself plant imports that are wrong on purpose.
FILES = [
    path
    for path in sorted((ROOT / "tests").rglob("*.py"))
    if not path.is_relative_to(ROOT / "tests" / "unit" / "project")
]


def programs(source: str) -> Iterator[ast.Module]:
    """Every string that is a program with an import in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if "import " not in node.value:
                continue
            try:
                yield ast.parse(node.value)
            except SyntaxError:
                continue


def missing(program: ast.Module) -> list[str]:
    """What it imports of ours that is not there."""
    found: list[str] = []
    for node in ast.walk(program):
        if isinstance(node, ast.Import):
            wanted = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            wanted = [(node.module or "", alias.name) for alias in node.names]
        else:
            continue
        for module, name in wanted:
            if under(module, *PACKAGES, "tests") and not _is_there(module, name):
                found.append(f"{module}: {name}")
    return found


def _is_there(module: str, name: str) -> bool:
    try:
        if not name or hasattr(importlib.import_module(module), name):
            return bool(importlib.import_module(module))
        return bool(importlib.import_module(f"{module}.{name}"))
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize(
    "source, wrong",
    [
        ("X = 'import services.gone'", ["services.gone: "]),
        ("X = 'from services.models import Gone, Event'", ["services.models: Gone"]),
        ("X = 'from services import models; import os.gone'", []),
        ("X = 'Words that only import nothing from services.gone'", []),
    ],
)
def test_what_is_missing_is_named(source: str, wrong: list[str]) -> None:
    assert [one for program in programs(source) for one in missing(program)] == wrong


@pytest.mark.slow
def test_programs_in_tests_import_what_exists() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {one}"
        for path in FILES
        for program in programs(path.read_text("utf-8"))
        for one in missing(program)
    ]
    assert wrong == []
