"""What the first releases of the oldest Python we run on lack is not used (Debian 12: 3.11.2)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = next(up for up in Path(__file__).resolve().parents if (up / "pyproject.toml").exists())
LACKING = {
    "the transport of a pipe cannot say whether it reads": re.compile(r"\.is_reading\("),
    "a possessive group does not take back what it looked at in vain": re.compile(
        r"\(\?[!=][^()]*\)\)[*+?]\+"
    ),
}


@pytest.mark.parametrize("why", LACKING)
def test_nothing_of_ours_asks_for_it(why: str) -> None:
    asking = [
        str(path.relative_to(ROOT))
        for room in ("services", "widgets", "tui")
        for path in (ROOT / room).rglob("*.py")
        if LACKING[why].search(path.read_text("utf-8"))
    ]
    assert not asking, why
