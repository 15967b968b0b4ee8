"""The emulator counts columns exactly as the view's layout library does."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich._unicode_data import load
from rich.cells import cell_len

from services.terminal.cells import Run
from services.terminal.emulator import Emulator, width_table
from services.terminal.emulator.widths import (
    INVISIBLE,
    LONGEST,
    WIDE_SPACER,
    Clusters,
    is_zero,
    joins,
)

CLUSTERS = (
    *(
        "👩‍💻",
        "❤️",
        "🇫🇷",
        "👍🏽",
        "1️⃣",
        "🏳️‍🌈",
        "👨‍👩‍👧‍👦",
        "e\u0301",
        "한",
        "\u1100\u1161\u11a8",
        "🏴\U000e0067\U000e007f",
    ),
    *("☎️", "©", "©️", "🇫", "a\u0302\u0323", "👩‍❤️‍👨", "⚕️", "✅", "〰️", "▶️", "น้"),
)


def test_a_cell_takes_joined_characters_up_to_its_limit() -> None:
    joiner = "\u200d"
    full = ("👩" + joiner) * (LONGEST // 2)
    assert len(full) == LONGEST
    assert not joins(full, True, "👩")
    assert joins(full[2:], True, "👩") and not joins(full[2:], False, "👩")
    assert joins("🇫", True, "🇷") and not joins("🇫🇷", True, "🇫") and not joins("x", False, "🇫")


def ranges(table: str) -> set[int]:
    found: set[int] = set()
    for word in table.split():
        first, _, last = word.partition("-")
        found.update(range(int(first, 16), int(last or first, 16) + 1))
    return found


def test_the_table_is_the_layout_librarys_code_point_by_code_point() -> None:
    theirs = load("latest")
    zero = {c for first, last, width in theirs.widths if width == 0 for c in range(first, last + 1)}
    wide = {c for first, last, width in theirs.widths if width == 2 for c in range(first, last + 1)}
    printable = set(range(0xA0, 0xD800)) | set(range(0xE000, 0x110000))
    assert ranges(width_table.ZERO) == zero & printable
    assert ranges(width_table.WIDE) == wide & printable
    assert ranges(width_table.WIDENED) == {ord(char) for char in theirs.narrow_to_wide}


@pytest.mark.slow
def test_every_character_takes_the_columns_the_view_gives_it() -> None:
    clusters = Clusters()
    wrong = []
    for code in [*range(0x20, 0x7F), *range(0xA0, 0xD800), *range(0xE000, 0x30000)]:
        char = chr(code)
        if INVISIBLE.match(char) or is_zero(char):
            continue
        if len(clusters.normalise(char)) != cell_len(char):
            wrong.append(hex(code))
    assert not wrong


def test_what_is_dropped_has_no_column() -> None:
    dropped = [chr(code) for code in range(0x110000) if INVISIBLE.match(chr(code))]
    assert "\u202e" in dropped and "\u200d" not in dropped and "\ufe0f" not in dropped
    assert {char for char in dropped if cell_len(char)} <= {"\ufff0"} | {
        chr(code) for code in (*range(0xFFF0, 0xFFFC), 0x180E, *range(0xE0000, 0xE1000))
    }


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_a_cluster_is_one_cell_as_wide_as_the_view_draws_it(cluster: str) -> None:
    clusters = Clusters()
    kept = clusters.normalise(cluster)
    assert len(kept) == cell_len(cluster)
    assert len(kept) == 1 or kept[1:] == WIDE_SPACER
    assert clusters.to_text(kept) == cluster


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_a_cluster_that_arrives_in_bytes_is_the_same_cell(cluster: str) -> None:
    whole, bytewise = Emulator(20, 2), Emulator(20, 2)
    data = f"a{cluster}b".encode()
    whole.feed(data)
    for at in range(len(data)):
        bytewise.feed(data[at : at + 1])
    assert whole.display == bytewise.display
    assert whole.cursor == bytewise.cursor
    assert whole.cursor.column == cell_len(cluster) + 2


def columns_of(runs: list[Run]) -> int:
    return sum(cell_len(text) for text, _ in runs)


ODD = st.sampled_from(
    (
        *("a", "1", "漢", "👩", "💻", "\u200d", "\ufe0f", "\u0301", "🇫", "🇷", "👍", "🏽", "♂", "❤"),
        *("\x1b[2D", "\b", "\x1b[1;3H", "\x1b[1@", "\x1b[1P", "\x1b[7m", "\x1b[m", "\r"),
    )
)


@settings(deadline=None, max_examples=200)
@given(st.lists(ODD, max_size=30))
@example(["a" * 9, "漢", "\u200d", "\u200d", "漢"])
@example(["漢", "\u200d", "\ufe0f", "\u200d", "\u200d", "❤", "\ufe0f"])
@example(["👩", "\u200d", "🇫", "🇷"])
def test_runs_are_as_wide_as_their_cells(parts: list[str]) -> None:
    emulator = Emulator(12, 2)
    emulator.feed("".join(parts).encode())
    for row, shown in zip(emulator.rows, emulator.display, strict=True):
        runs = list(row.runs)
        text = "".join(text for text, _ in runs)
        assert shown.rstrip(" ").startswith(text.rstrip(" "))
        blank = len(shown) - len(shown.rstrip(" "))
        assert columns_of(runs) <= 12
        assert columns_of(runs) >= 12 - blank
        assert all(cell_len(text) > 0 for text, _ in runs)


def test_a_cell_cannot_grow_for_ever() -> None:
    emulator = Emulator(10, 2)
    emulator.feed(("a" + "\u0301" * 5000).encode())
    assert len(emulator.rows[0].text) == LONGEST
    emulator.feed("👩".encode() + "\u200d👩".encode() * 5000)
    assert all(len(row.text) <= 10 * LONGEST for row in emulator.rows)


def test_stand_ins_run_out_without_harm() -> None:
    clusters = Clusters()
    clusters._cells = ["x"] * 0xFFFD
    assert clusters.stand_in("e\u0301") == "e"
    assert clusters.stand_in("\U00100000") == "\ufffd"
