"""Only cells that changed are sent."""

from __future__ import annotations

import re

from rich.console import Console
from rich.segment import Segment
from textual._compositor import ChopsUpdate
from textual.strip import Strip

from tui.panel.cropped_update import cropped


def test_a_span_is_cut_on_both_sides() -> None:
    line = {0: Strip([Segment("abcdefghij")]), 10: None, 20: Strip([Segment("KLMNOPQRST")])}
    update = cropped(ChopsUpdate([line], [(0, 4, 6), (0, 8, 23), (0, 29, 30)], [[10, 20, 30]]))
    assert isinstance(update, ChopsUpdate)
    sent = update.render_segments(Console())
    assert re.findall(r"\x1b\[(\d+;\d+)H([^\x1b]*)", sent) == [
        ("1;5", "ef"),
        ("1;9", "ij"),
        ("1;21", "KLM"),
        ("1;30", "T"),
    ]


def test_what_is_whole_is_left_alone() -> None:
    assert cropped(None) is None
    assert cropped("text") == "text"
