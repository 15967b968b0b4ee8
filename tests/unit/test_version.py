"""`wakedeck --version`."""

from __future__ import annotations

import tomllib
from pathlib import Path

from click.testing import CliRunner

from tui.cli import main

ROOT = Path(__file__).resolve().parents[2]


def test_it_is_the_one_of_the_distribution() -> None:
    said = CliRunner().invoke(main, ["--version"])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert said.exit_code == 0
    assert said.output.split()[-1] == project["version"]
    assert said.output.startswith("wakedeck")
