"""Text in an exact number of cells."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from widgets.table.columns import Cell
from widgets.text.cell_text import cut, fit_parts, sanitize_cell


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd…"),
        ("abc def", 5, "abc…"),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("abc", 1, "…"),
        ("abc", 0, ""),
    ],
)
def test_cut(text: str, width: int, expected: str) -> None:
    assert cut(text, width) == expected


@pytest.mark.parametrize("code", ["\x1b", "\x07", "\x9b", "\u202e", "\u200b", "\ud800", "\x00"])
def test_nothing_a_terminal_obeys_gets_through(code: str) -> None:
    assert sanitize_cell(f"a{code}b") == "a\ufffdb"


@pytest.mark.parametrize("blank", ["\t", "\n", "\r", "\xa0", "\u2028"])
def test_white_space_is_one_blank(blank: str) -> None:
    assert sanitize_cell(f"a{blank}b") == "a b"


def test_parts_keep_their_tones_and_say_that_something_is_missing() -> None:
    parts = (("two", "busy"), (" · ", "dim"), ("reason", "calm"))
    assert fit_parts(parts, 14) == [*parts, ("  ", "")]
    assert fit_parts(parts, 9) == [("two", "busy"), (" · ", "dim"), ("re…", "calm")]
    assert fit_parts(parts, 6) == [("two", "busy"), (" ·…", "dim")]
    assert fit_parts(parts, 3) == [("tw…", "busy")]
    assert fit_parts((("5s", "dim"),), 5, "right") == [("   ", ""), ("5s", "dim")]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.text(max_size=12), st.sampled_from(["", "bad"])), max_size=4),
    st.integers(0, 30),
    st.booleans(),
)
def test_a_cell_has_its_width_whatever_it_holds(
    parts: list[tuple[str, str]], width: int, right: bool
) -> None:
    laid = fit_parts(tuple(parts), width, "right" if right else "left")
    assert sum(cell_len(text) for text, _ in laid) == width
    assert "".join(text for text, _ in laid).isprintable()


def test_the_short_form_stands_in_where_the_long_one_does_not_fit() -> None:
    cell = Cell.of("stale 3m05", "warn", "!3m05")
    assert cell.fitting(10) == (("stale 3m05", "warn"),)
    assert cell.fitting(9) == (("!3m05", "warn"),)
    assert cell.text == "stale 3m05"
