"""What the real CLI printed, by version and situation, colours and wrapped gutters left in.

The recordings are the one place the tables of the tests are driven from.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from services.sources.openshell.cli import Answer
from services.sources.openshell.cli_version import QUESTIONS, Toolset, understood

NONE, REFUSED, HEALTHY = "nothing configured", "port refused", "healthy"
VERSIONS = ("0.0.16", "0.0.44", "0.0.99", "0.0.111")


@cache
def _all() -> dict[tuple[str, str, str], Answer]:
    rows = json.loads((Path(__file__).parent / "openshell_recordings.json").read_text("utf-8"))
    return {
        (row["version"], row["situation"], " ".join(row["argv"])): Answer(
            row["code"], row["stdout"], row["stderr"]
        )
        for row in rows
    }


def recorded(version: str, situation: str, command: str) -> Answer:
    """What that version answered there."""
    return _all()[version, situation, command]


def toolset(version: str) -> Toolset:
    """What detection makes of a version."""
    return understood(
        {name: recorded(version, NONE, " ".join(asked)) for name, asked in QUESTIONS.items()}
    )
