"""A test that waits for time says why; others wait for the thing itself."""

from __future__ import annotations

import ast
import re
import tokenize
from functools import cache
from pathlib import Path

import pytest

ROOT = next(up for up in Path(__file__).resolve().parents if (up / "pyproject.toml").exists())
TESTS = sorted(
    path
    for path in (ROOT / "tests").rglob("*.py")
    if path.relative_to(ROOT).parts[1] not in ("bench", "soak")
)


def naps(path: Path) -> list[ast.Call]:
    """Every call that waits for time: `asyncio.sleep`, `time.sleep`, a pilot's numbered pause."""
    tree = ast.parse(path.read_text("utf-8"))
    bare = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in ("asyncio", "time")
        for alias in node.names
        if alias.name == "sleep"
    }
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not _ends_with(node.func, "pause", "sleep", *bare):
            continue
        called = ast.unparse(node.func)
        if called in {"asyncio.sleep", "time.sleep", *bare} or (
            called.rpartition(".")[0].endswith("pilot") and called.endswith(".pause") and node.args
        ):
            found.append(node)
    return sorted(found, key=lambda call: call.lineno)


def _ends_with(called: ast.expr, *names: str) -> bool:
    """Whether it is one of these names, or an attribute of that name."""
    return getattr(called, "attr", getattr(called, "id", "")) in names


def reason_behind(path: Path, call: ast.Call) -> str:
    """The trailing comment on the line where a call ends."""
    return _comments(path).get(call.end_lineno or 0, "")


@cache
def _comments(path: Path) -> dict[int, str]:
    with path.open("rb") as source:
        return {
            token.start[0]: token.string.lstrip("# ")
            for token in tokenize.tokenize(source.readline)
            if token.type == tokenize.COMMENT
        }


@pytest.mark.slow
def test_a_test_that_waits_for_time_says_why() -> None:
    """Others wait for the thing: `tests.support.waiting`, or the clock of `tests.support.clock`."""
    silent = [
        f"{path.relative_to(ROOT)}:{call.lineno}: {ast.unparse(call)}"
        for path in TESTS
        for call in naps(path)
        if len(reason_behind(path, call).split()) < 3
        or reason_behind(path, call).startswith(("type:", "noqa"))
    ]
    assert not silent


def test_a_screen_is_waited_for_with_all_that_it_is_composed_of() -> None:
    """A screen is in front before its widgets are made: `tests.support.waiting.on_screen`."""
    hasty = re.compile(r"lambda: isinstance\([\w.]+\.screen,")
    early = [path for path in TESTS if hasty.search(path.read_text("utf-8"))]
    assert not early
    assert hasty.search("until(lambda: " + "isinstance(stage.app.screen, Dialog))")


def test_a_nap_is_seen_by_whatever_name(tmp_path: Path) -> None:
    path = tmp_path / "naps.py"
    path.write_text(
        "import asyncio, time\n"
        "from asyncio import sleep as rest\n"
        "async def test(pilot, stage, clock):\n"
        "    await asyncio.sleep(1)\n"
        "    await rest(0)  # a turn of the loop\n"
        "    time.sleep(1)  # noqa: ASYNC251\n"
        "    await stage.pilot.pause(0.2)\n"
        "    await pilot.pause()\n"
        "    await clock.sleep(3)\n"
        "    'time.sleep(1)'\n"
    )
    assert [(call.lineno, reason_behind(path, call)) for call in naps(path)] == [
        (4, ""),
        (5, "a turn of the loop"),
        (6, "noqa: ASYNC251"),
        (7, ""),
    ]
