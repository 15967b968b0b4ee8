"""Another size: logical lines, the cursor's cell, history, and the alternate screen."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.terminal.cells import CellStyle, ScreenRow
from services.terminal.emulator import Emulator


def all_rows(emulator: Emulator) -> list[ScreenRow]:
    """The history and the screen, oldest first."""
    numbers = range(emulator.history_base, emulator.history_base + emulator.history_size)
    return [*(emulator.history_row(number) for number in numbers), *emulator.rows]


def logical_lines(emulator: Emulator) -> list[str]:
    """Lines with their wraps joined, without blank ones at the end."""
    lines = [""]
    for row in all_rows(emulator):
        lines[-1] += row.text
        if not row.wrapped:
            lines.append("")
    while lines and not lines[-1]:
        lines.pop()
    return lines


def shown(emulator: Emulator) -> list[str]:
    return [row.text for row in emulator.rows]


def at_cursor(emulator: Emulator) -> str:
    return emulator.display[emulator.cursor.line][emulator.cursor.column :]


def test_wrapped_lines_are_laid_out_anew() -> None:
    emulator = Emulator(10, 4)
    emulator.feed(b"0123456789abcdef\r\n$ ")
    emulator.resize(16, 4)
    assert shown(emulator) == ["0123456789abcdef", "$", "", ""]
    assert (emulator.cursor.column, emulator.cursor.line) == (2, 1)
    emulator.resize(6, 4)
    assert shown(emulator) == ["012345", "6789ab", "cdef", "$"]
    assert (emulator.cursor.column, emulator.cursor.line) == (2, 3)
    assert [row.wrapped for row in emulator.rows] == [True, True, False, False]
    emulator.resize(10, 4)
    assert shown(emulator) == ["0123456789", "abcdef", "$", ""]


def test_rows_go_to_the_history_and_come_back() -> None:
    emulator = Emulator(10, 5)
    emulator.feed(b"1\r\n2\r\n3\r\n4\r\n$ ")
    emulator.resize(10, 3)
    assert shown(emulator) == ["3", "4", "$"]
    assert emulator.history_size == 2
    assert emulator.cursor.line == 2
    emulator.resize(10, 5)
    assert shown(emulator) == ["1", "2", "3", "4", "$"]
    assert emulator.history_size == 0
    assert emulator.cursor.line == 4


def test_blank_rows_below_the_cursor_go_first() -> None:
    emulator = Emulator(10, 5)
    emulator.feed(b"1\r\n$ ")
    emulator.resize(10, 3)
    assert shown(emulator) == ["1", "$", ""]
    assert emulator.history_size == 0


def test_a_cleared_screen_stays_clear_when_the_width_changes() -> None:
    emulator = Emulator(10, 4)
    emulator.feed(b"old\r\n" * 20 + b"\x1b[H\x1b[2J$ ")
    emulator.resize(12, 4)
    assert shown(emulator) == ["$", "", "", ""]
    emulator.resize(12, 8)
    assert shown(emulator)[0] == "$"


def test_a_pending_wrap_survives() -> None:
    emulator = Emulator(4, 3)
    emulator.feed(b"abcd")
    emulator.resize(8, 3)
    emulator.feed(b"e")
    assert shown(emulator)[0] == "abcde"
    emulator.resize(5, 3)
    emulator.feed(b"f")
    assert shown(emulator)[:2] == ["abcde", "f"]
    assert emulator.rows[0].wrapped


def test_wide_cells_are_not_cut() -> None:
    emulator = Emulator(6, 4)
    emulator.feed("日本語中文字".encode())
    emulator.resize(5, 4)
    assert shown(emulator) == ["日本", "語中", "文字", ""]
    emulator.resize(12, 4)
    assert shown(emulator) == ["日本語中文字", "", "", ""]
    emulator.resize(3, 8)
    assert shown(emulator)[:6] == list("日本語中文字")


def test_styles_move_with_their_cells() -> None:
    emulator = Emulator(6, 3)
    emulator.feed(b"ab\x1b[31mcdefgh\x1b[m\r\n")
    emulator.resize(4, 3)
    red = CellStyle(foreground=1)
    rows = all_rows(emulator)
    assert list(rows[0].runs) == [("ab", CellStyle()), ("cd", red)]
    assert list(rows[1].runs) == [("efgh", red)]


def test_the_saved_cursor_moves_too() -> None:
    emulator = Emulator(10, 4)
    emulator.feed(b"0123456789abc\x1b7\r\nmore")
    emulator.resize(5, 4)
    emulator.feed(b"\x1b8X")
    assert logical_lines(emulator) == ["0123456789abcX", "more"]


def test_tab_stops_extend() -> None:
    emulator = Emulator(10, 2)
    emulator.feed(b"\x1b[3g\x1b[1;4H\x1bH")
    emulator.resize(30, 2)
    emulator.feed(b"\r\t1\t2\t3")
    assert emulator.rows[0].text == "   1            2       3"


def test_margins_go_back_to_the_edges() -> None:
    emulator = Emulator(10, 4)
    emulator.feed(b"\x1b[2;3r\x1b[4;1H")
    emulator.resize(10, 5)
    emulator.feed(b"\x1b[5;1Ha\nb")
    assert shown(emulator)[3:] == ["a", " b"]


def test_the_alternate_screen_is_cut_and_padded_and_the_shell_is_laid_out_anew() -> None:
    emulator = Emulator(10, 4)
    emulator.feed(
        "shell line that wraps\r\n$ \x1b[?1049h0123456789\r\n12345678日\r\n3\r\n4".encode()
    )
    emulator.resize(5, 3)
    assert shown(emulator) == ["12345", "3", "4"]
    assert emulator.cursor.line == 2
    emulator.resize(9, 4)
    assert shown(emulator) == ["12345", "3", "4", ""]
    assert emulator.history_size >= 0
    emulator.feed(b"\x1b[?1049lX")
    assert logical_lines(emulator) == ["shell line that wraps", "$ X"]


def test_half_a_wide_cell_is_not_left_at_the_edge() -> None:
    emulator = Emulator(6, 2)
    emulator.feed("\x1b[?1049h日本語".encode())
    emulator.resize(5, 2)
    assert emulator.display[0] == "日本 "


def test_a_tiny_or_absurd_size_is_made_usable() -> None:
    emulator = Emulator(0, 0)
    assert (emulator.columns, emulator.lines) == (2, 1)
    emulator.feed("日本\r\nabc".encode())
    emulator.resize(-5, -5)
    assert (emulator.columns, emulator.lines) == (2, 1)


words = st.sampled_from(
    ["a", "bc ", "日本", "e\u0301", "x" * 15, "👩‍💻", "\r\n", "\x1b[31m", "\x1b[m", "1 2"]
)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(words, max_size=30),
    st.lists(st.tuples(st.integers(2, 30), st.integers(1, 12)), min_size=1, max_size=6),
)
def test_logical_lines_survive_any_resizes(parts: list[str], sizes: list[tuple[int, int]]) -> None:
    emulator = Emulator(20, 6)
    emulator.feed(("".join(parts) + "|").encode())
    lines = logical_lines(emulator)
    for columns, rows in sizes:
        emulator.resize(columns, rows)
        assert logical_lines(emulator) == lines
        assert len(emulator.rows) == rows
        assert all(len(list(row.runs)) >= 0 for row in emulator.rows)
    cursor = emulator.cursor
    emulator.feed(b"END")
    assert logical_lines(emulator)[-1].endswith("|END"), cursor


@pytest.mark.parametrize("seed", range(10))
def test_a_resize_storm_over_a_long_history(seed: int) -> None:
    chance = random.Random(seed)
    emulator = Emulator(80, 24, history=400)
    for number in range(300):
        emulator.feed(f"{number}: {'word ' * chance.randrange(40)}\r\n".encode())
    lines = logical_lines(emulator)
    for _ in range(12):
        emulator.resize(chance.randrange(20, 140), chance.randrange(2, 60))
    kept = logical_lines(emulator)
    assert kept[1:] == lines[len(lines) - len(kept) + 1 :]
    assert emulator.history_size <= 400


def test_numbers_only_grow_through_a_resize() -> None:
    emulator = Emulator(10, 3, history=20)
    emulator.feed(b"0123456789abcdef\r\n" * 40)
    base = emulator.history_base
    for columns in (5, 30, 8):
        emulator.resize(columns, 3)
        assert emulator.history_base >= base
        assert emulator.history_size <= 20
        base = emulator.history_base
