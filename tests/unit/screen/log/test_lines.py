"""Rows, bounds and matches of a log's lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.models import LogLine
from widgets.log.lines import KEPT, LEAST_WIDTH, LogLines, shifted, wrapped
from widgets.log.painter import tone_of
from widgets.text.cell_text import width_of

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("C", "M")), max_size=200)


def lines(*texts: str) -> list[LogLine]:
    return [LogLine(text) for text in texts]


@given(TEXT, st.integers(LEAST_WIDTH, 60))
def test_rows_of_a_line_are_the_line_and_none_is_too_wide(text: str, width: int) -> None:
    parts = wrapped(text, width)
    assert "".join(text[start:end] for start, end in parts) == text
    assert all(width_of(text[start:end]) <= width for start, end in parts)
    assert len(parts) >= 1


@given(TEXT, st.integers(0, 80))
def test_what_is_moved_away_is_as_wide_as_asked(text: str, cells: int) -> None:
    left, gone = shifted(text, cells)
    assert text[gone:] == left
    assert width_of(text) <= cells or cells <= width_of(text[:gone]) <= cells + 1


@pytest.mark.slow
@given(st.lists(st.integers(1, 900), max_size=30), st.sampled_from([None, 20]))
def test_the_newest_are_kept_and_rows_matches_and_numbers_agree(
    batches: list[int], width: int | None
) -> None:
    held = LogLines()
    held.lay_out(width)
    held.search("Line 7")
    came = 0
    for size in batches:
        rows = len(held.rows)
        fresh = [LogLine(f"line {came + at} and some words") for at in range(size)]
        dropped = held.extend(fresh)
        came += size
        taken = sum(1 if width is None else len(wrapped(one.text, width)) for one in fresh)
        assert len(held.rows) == rows + taken - dropped
    assert held.end == came
    assert min(came, KEPT) <= len(held) <= KEPT + 500
    assert all(held[number].text.startswith(f"line {number} ") for number in held.matches)
    expected = [n for n in range(held.first, held.end) if str(n).startswith("7")]
    assert list(held.matches) == expected
    for number in (held.first, held.end - 1):
        if len(held):
            assert held.rows[held.row_of(number)].number == number
            assert held.rows[held.row_of(number)].first


def test_matches_are_walked_both_ways() -> None:
    held = LogLines()
    held.extend(lines("a cat", "dog", "CAT", "cow", "concat"))
    held.search("cat")
    assert list(held.matches) == [0, 2, 4]
    assert held.older(2) == 0
    assert held.newer(2) == 4
    assert held.older(0) is None
    assert held.newer(4) is None
    held.search("")
    assert not held.matches


def test_where_a_match_stands_in_a_wrapped_line() -> None:
    held = LogLines()
    held.lay_out(10)
    held.extend(lines("0123456needle789"))
    held.search("NEEDLE")
    assert [held.spans(row) for row in held.rows] == [[(7, 10)], [(0, 3)]]


def test_levels_are_read_from_the_beginning_of_a_line() -> None:
    assert tone_of(LogLine("[12:00:00.000] ERROR it broke")) == "bad"
    assert tone_of(LogLine("[12:00:00.000] WARN look")) == "warn"
    assert tone_of(LogLine("time=… level=DEBUG x")) == "dim"
    assert tone_of(LogLine("no terror here")) == "line"
    assert tone_of(LogLine("x" * 200 + " ERROR")) == "line"
    assert tone_of(LogLine("— ERROR lost", ours=True)) == "ours"
