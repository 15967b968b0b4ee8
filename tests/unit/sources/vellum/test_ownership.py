"""Whose wake runs: only one of this assistant, by this registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.process.identity import Program
from services.sources.vellum.layout import place
from services.sources.vellum.ownership import _starter

HOME = {"HOME": "/home/me"}
HERE = place("production", HOME)
ENVIRONMENT = ("HOME=/home/me",)


def program(*argv: str, environment: tuple[str, ...] = ENVIRONMENT) -> Program:
    return Program(7, "node", True, argv, environment)


@pytest.mark.parametrize(
    ("found", "ours"),
    [
        (program("/usr/bin/vellum", "wake", "mine"), True),
        (program("node", "/x/@vellumai/cli/main.js", "wake", "mine"), True),
        (program("/usr/bin/vellum", "wake", "other"), False),
        (program("/usr/bin/vellum", "ps", "mine"), False),
        (program("/usr/bin/editor", "wake", "mine"), False),
        (program("/usr/bin/vellum", "wake", "mine", environment=("HOME=/home/you",)), False),
        (program("/usr/bin/vellum", "wake", "mine", environment=()), True),
    ],
)
def test_a_wake_is_this_assistants_by_all_it_says(found: Program, ours: bool) -> None:
    assert HERE.lockfile == Path("/home/me/.vellum.lock.json")
    assert _starter([found], "mine", HERE) == (7 if ours else None)
