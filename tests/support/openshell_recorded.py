"""What the real CLI printed, by version and situation, colours and wrapped gutters left in.

The recordings are the one place the tables of the tests are driven from.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from services.sources.openshell.cli import CliResult
from services.sources.openshell.cli_version import QUESTIONS, Toolset, toolset_from_answers

NONE, REFUSED, HEALTHY = "nothing configured", "port refused", "healthy"
VERSIONS = ("0.0.16", "0.0.44", "0.0.99", "0.0.111")


@cache
def _all() -> dict[tuple[str, str, str], CliResult]:
    rows = json.loads((Path(__file__).parent / "openshell_recordings.json").read_text("utf-8"))
    return {
        (row["version"], row["situation"], " ".join(row["argv"])): CliResult(
            row["code"], row["stdout"], row["stderr"]
        )
        for row in rows
    }


def recorded(version: str, situation: str, command: str) -> CliResult:
    """What that version answered there."""
    return _all()[version, situation, command]


def toolset(version: str) -> Toolset:
    """What detection makes of a version."""
    return toolset_from_answers(
        {name: recorded(version, NONE, " ".join(asked)) for name, asked in QUESTIONS.items()}
    )
