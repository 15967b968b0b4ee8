"""The drawing of mutants: one operator each, the same for the same seed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.mutants import Mutant, Runner, Site, draw, importers, mutate

SOURCE = """\
def judge(a, b, c):
    if not a and b < c <= 3:
        return a is None or b in c
    return a == b
"""
MUTATED = {
    0: ("not a and b < c <= 3", "not a or b < c <= 3"),
    1: ("not a", "a"),
    2: ("b < c <= 3", "b <= c <= 3"),
    3: ("b < c <= 3", "b < c < 3"),
    4: ("a is None or b in c", "a is None and b in c"),
    5: ("a is None", "a is not None"),
    6: ("b in c", "b not in c"),
    7: ("a == b", "a != b"),
}


@pytest.mark.parametrize("number", MUTATED)
def test_each_site_changes_one_operator(number: int) -> None:
    mutant = mutate(SOURCE, Site("module", number))
    assert (mutant.before, mutant.after) == MUTATED[number]
    assert mutant.source == SOURCE.replace(*MUTATED[number], 1)


def test_the_same_seed_draws_the_same_and_more_of_it() -> None:
    sources = {"one": SOURCE, "two": SOURCE}
    every = draw(sources, "1a46efa1", 100)
    assert sorted(every) == [Site(name, n) for name in sources for n in MUTATED]
    assert draw(sources, "1a46efa1", 5) == every[:5]
    assert draw(sources, "1a46efa2", 5) != every[:5]


def tree(root: Path, test: str) -> Path:
    for name, text in (
        ("services/__init__.py", ""),
        ("services/judge.py", SOURCE),
        ("tests/test_judge.py", test),
        ("tests/test_other.py", "def test_it(): assert False\n"),
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return root


GOOD = "from services.judge import judge\ndef test_it(): assert judge(0, 1, 2)\n"
"""Notices a `<` that became another only where both sides are equal: it does not here."""


@pytest.mark.slow
@pytest.mark.parametrize("number, outcome", [(1, "killed"), (2, "survived")], ids=str)
def test_the_tests_that_import_it_decide(tmp_path: Path, number: int, outcome: str) -> None:
    source = "def judge(a, b, c):\n    return not a and b < c\n"
    root = tree(tmp_path, GOOD)
    (root / "services" / "judge.py").write_text(source, "utf-8")
    tests = importers(root, ["tests"])["services.judge"]
    assert tests == ("tests/test_judge.py",)
    mutant = mutate(source, Site("services.judge", number))
    assert Runner(root).run(mutant, tests) == outcome
    assert (root / "services" / "judge.py").read_text("utf-8") == source


def test_where_no_test_imports_it_the_nearest_unit_tests_are_asked(tmp_path: Path) -> None:
    for name, text in (
        ("services/__init__.py", ""),
        ("services/deep.py", ""),
        ("services/lone.py", ""),
        ("services/middle.py", "from services.deep import it\n"),
        ("services/top.py", "from services.middle import it\n"),
        ("tests/support/helper.py", "from services.middle import it\n"),
        ("tests/unit/test_top.py", "from services.top import it\n"),
        ("tests/unit/test_near.py", "from tests.support.helper import it\n"),
        ("tests/unit/test_nearest.py", "from services.middle import it\n"),
        ("tests/pilot/test_pilot.py", "from services.middle import it\n"),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    folders = ["tests/unit", "tests/pilot"]
    asked = importers(tmp_path, folders, ["tests/unit"])
    assert asked["services.top"] == ("tests/unit/test_top.py",)
    assert asked["services.middle"] == ("tests/unit/test_nearest.py", "tests/pilot/test_pilot.py")
    assert asked["services.deep"] == (
        "tests/unit/test_nearest.py",
        "tests/unit/test_near.py",
        "tests/unit/test_top.py",
    )
    assert asked["services.lone"] == ()
    assert importers(tmp_path, folders)["services.deep"] == ()


def test_where_there_is_no_test_a_mutant_lives(tmp_path: Path) -> None:
    mutant = Mutant(Site("services.judge", 0), 1, "", "", "")
    assert Runner(tmp_path).run(mutant, ()) == "survived"


@pytest.mark.slow
def test_slow_tests_are_not_asked(tmp_path: Path) -> None:
    test = GOOD.replace("def test", "import pytest\n@pytest.mark.slow\ndef test")
    root = tree(tmp_path, test)
    (root / "pytest.ini").write_text("[pytest]\nmarkers = slow\n", "utf-8")
    mutant = mutate(SOURCE, Site("services.judge", 1))
    assert Runner(root).run(mutant, ("tests/test_judge.py",)) == "survived"


@pytest.mark.slow
def test_a_mutant_that_never_ends_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "def judge(a):\n    while a < 0:\n        a -= 1\n    return a\n"
    test = "from services.judge import judge\ndef test_it(): assert judge(0) == 0\n"
    root = tree(tmp_path, test)
    (root / "services" / "judge.py").write_text(source, "utf-8")
    monkeypatch.setattr("tests.support.mutants.LEAST_S", 5.0)
    monkeypatch.setattr("tests.support.mutants.SLOWDOWN", 2)
    mutant = mutate(source, Site("services.judge", 0))
    assert "a <= 0" in mutant.source
    assert Runner(root).run(mutant, ("tests/test_judge.py",)) == "killed"


@pytest.mark.slow
def test_tests_that_fail_by_themselves_say_nothing(tmp_path: Path) -> None:
    root = tree(tmp_path, GOOD)
    mutant = Mutant(Site("services.judge", 0), 1, "", "", "")
    assert Runner(root).run(mutant, ("tests/test_other.py",)) == "broken"


def test_a_mistyped_commit_is_an_error_of_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.mutants", "--base", "no-such-commit"],
        cwd=Path(__file__).resolve().parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "mutants: error: there is no commit 'no-such-commit'"
