"""What a view reads: runs, styles, damage, history, cursor and modes."""

from __future__ import annotations

import pytest

from services.terminal.cells import (
    PLAIN,
    RGB,
    CellStyle,
    CursorShape,
    MouseMode,
    Run,
    ScreenRow,
    TerminalModes,
    TerminalScreen,
    Underline,
)
from services.terminal.emulator import Emulator
from tests.support.terminal_tokens import pieces, session

STYLES: list[tuple[str, CellStyle]] = [
    ("0", PLAIN),
    ("", PLAIN),
    ("1", CellStyle(bold=True)),
    ("2", CellStyle(dim=True)),
    ("3;9;53", CellStyle(italic=True, strike=True, overline=True)),
    ("4", CellStyle(underline=Underline.SINGLE)),
    ("21", CellStyle(underline=Underline.DOUBLE)),
    ("4:0", PLAIN),
    ("4:2", CellStyle(underline=Underline.DOUBLE)),
    ("4:3", CellStyle(underline=Underline.CURLY)),
    ("4:4", CellStyle(underline=Underline.DOTTED)),
    ("4:5", CellStyle(underline=Underline.DASHED)),
    ("4:9", PLAIN),
    ("5", CellStyle(blink=True)),
    ("6", CellStyle(blink=True)),
    ("7;8", CellStyle(reverse=True, conceal=True)),
    ("31;44", CellStyle(foreground=1, background=4)),
    ("97;100", CellStyle(foreground=15, background=8)),
    ("38;5;208", CellStyle(foreground=208)),
    ("48:5:17", CellStyle(background=17)),
    ("38;2;1;2;3", CellStyle(foreground=RGB | 0x010203)),
    ("48:2::1:2:3", CellStyle(background=RGB | 0x010203)),
    ("48:2:1:2:3", CellStyle(background=RGB | 0x010203)),
    ("58:2::9:8:7;4:3", CellStyle(underline=Underline.CURLY, underline_colour=RGB | 0x090807)),
    ("58;5;7", CellStyle(underline_colour=7)),
    ("1;22", PLAIN),
    ("3;4;5;7;8;9;53;23;24;25;27;28;29;55", PLAIN),
    ("31;42;58;5;1;39;49;59", PLAIN),
    ("1;0;3", CellStyle(italic=True)),
    ("38;5;999", PLAIN),
    ("38;2;1;2;999", PLAIN),
    ("38;5", PLAIN),
    ("38;2;1;2", PLAIN),
    ("38;7;1", CellStyle(bold=True)),
    ("999;1", CellStyle(bold=True)),
]


@pytest.mark.parametrize(("parameters", "style"), STYLES, ids=[row[0] or "-" for row in STYLES])
def test_renditions(parameters: str, style: CellStyle) -> None:
    emulator = Emulator(20, 2)
    for _ in range(3):
        emulator.feed(f"\x1b[m\x1b[{parameters}mx\r".encode())
    assert list(emulator.rows[0].runs) == [("x", style)]


def test_the_emulator_is_a_terminal_screen() -> None:
    screen: TerminalScreen = Emulator(20, 5)
    assert (screen.columns, screen.lines, len(screen.rows)) == (20, 5, 5)


def test_equal_styles_are_the_same_object() -> None:
    emulator = Emulator(20, 2)
    emulator.feed(b"\x1b[1;31ma\x1b[m \x1b[31m\x1b[1mb")
    (_, first), (_, blank), (_, second) = emulator.rows[0].runs
    assert first is second
    assert blank == PLAIN


def test_runs_join_neighbours_of_equal_style_and_leave_out_the_blank_end() -> None:
    emulator = Emulator(20, 2)
    emulator.feed(b"ab\x1b[31mcd\x1b[32m\x1b[31mef\x1b[m   \x1b[1;2HX\r\n\x1b[44m  \x1b[m ")
    assert [text for text, _ in emulator.rows[0].runs] == ["aX", "cdef"]
    assert list(emulator.rows[1].runs) == [("  ", CellStyle(background=4))]


def test_erased_cells_keep_the_background_alone() -> None:
    emulator = Emulator(6, 3)
    emulator.feed(b"abc\x1b[2;1H\x1b[1;4;44m\x1b[K\x1b[3;1Hx\n")
    background = CellStyle(background=4)
    assert list(emulator.rows[0].runs) == [("      ", background)]
    assert emulator.rows[2].runs[-1] == ("      ", background)
    drawn = CellStyle(background=4, bold=True, underline=Underline.SINGLE)
    assert list(emulator.rows[1].runs) == [("x", drawn)]


def test_links() -> None:
    emulator = Emulator(20, 2)
    emulator.feed(b"\x1b]8;id=1;http://a/\x1b\\ab\x1b[1mc\x1b[0md\x1b]8;;\x1b\\e")
    assert [(text, style.link, style.bold) for text, style in emulator.rows[0].runs] == [
        ("ab", "http://a/", False),
        ("c", "http://a/", True),
        ("d", "http://a/", False),
        ("e", "", False),
    ]
    emulator.feed(f"\r\x1b]8;;http://{'x' * 5000}\x07y\x1b]8;;a\x01b\x07z".encode())
    assert emulator.rows[0].runs[0] == ("y", PLAIN)
    assert "\x01" not in emulator.rows[0].runs[1][1].link


def test_damage_is_the_rows_that_changed_since_last_asked() -> None:
    emulator = Emulator(10, 4)
    assert emulator.take_damage() is None
    assert emulator.take_damage() == frozenset()
    emulator.feed(b"a\x1b[3;1Hb")
    assert emulator.take_damage() == frozenset({0, 2})
    assert emulator.take_damage() == frozenset()
    emulator.feed(b"\x1b[2;2H\x1b[31m")
    assert emulator.take_damage() == frozenset()
    for change in (b"\x1b[K", b"\x1b[X", b"\x1b[@", b"\x1b[P", b"\xcc\x81x", b"\x1b[2;1;2;2$z"):
        emulator.feed(b"\x1b[2;2Hxyz")
        emulator.take_damage()
        emulator.feed(b"\x1b[2;2H" + change)
        assert emulator.take_damage() == frozenset({1}), change
    emulator.feed(b"\x1b[4;1H\n")
    assert emulator.take_damage() == frozenset({0, 1, 2, 3})
    for change in (b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b]4;1;#fff\x07", b"\x1b[?5h", b"\x1bc"):
        emulator.feed(change)
        assert emulator.take_damage() is None, change
    emulator.resize(11, 4)
    assert emulator.take_damage() is None


@pytest.mark.parametrize("count", range(1, 9))
def test_rows_that_scrolled_around_are_damaged(count: int) -> None:
    emulator = Emulator(10, 4)
    emulator.feed(b"a\r\nb\r\nc\r\nd")
    assert emulator.take_damage() is None
    emulator.feed(b"\x1b[1m" + b"\r\n\x1b[m" * count)
    assert emulator.take_damage() == frozenset(range(4))
    assert [line.rstrip() for line in emulator.display] == [*"abcd", *[""] * count][-4:]


def test_what_a_view_keeps_on_a_row_goes_when_the_row_changes() -> None:
    emulator = Emulator(10, 3)
    emulator.feed(b"one\r\ntwo\r\nthree")
    for row in emulator.rows:
        row.cache = row.text
    emulator.take_damage()
    emulator.feed(b"\r\nfour")
    assert [row.cache for row in emulator.rows] == ["two", "three", None]
    emulator.feed(b"\x1b[1;1Hx")
    assert [row.cache for row in emulator.rows] == [None, "three", None]


def test_history_has_absolute_numbers_that_survive_trimming() -> None:
    emulator = Emulator(10, 3, history=5)
    emulator.feed(b"".join(b"line %d\r\n" % n for n in range(20)))
    assert (emulator.history_base, emulator.history_size) == (13, 5)
    assert [emulator.history_row(13 + n).text for n in range(5)] == [
        f"line {n + 13}" for n in range(5)
    ]
    for number in (12, 18, -1):
        with pytest.raises(IndexError):
            emulator.history_row(number)
    emulator.feed(b"\x1b[2J")
    assert emulator.history_size == 5
    emulator.feed(b"\x1b[3J")
    assert (emulator.history_base, emulator.history_size) == (18, 0)
    emulator.feed(b"\x1b[3;1Hmore\r\n")
    assert emulator.history_size == 1


@pytest.mark.parametrize("prefix", [b"\x1b[?1049h", b"\x1b[2;3r", b"\x1b[?69h\x1b[2;5s"])
def test_only_the_top_of_the_main_screen_goes_to_history(prefix: bytes) -> None:
    emulator = Emulator(10, 3)
    emulator.feed(prefix + b"x\r\n" * 50 + b"\x1b[3S")
    assert emulator.history_size == 0


def test_a_region_at_the_top_goes_to_history() -> None:
    emulator = Emulator(10, 3)
    emulator.feed(b"\x1b[1;2ra\r\nb\r\nc")
    assert emulator.history_row(0).text == "a"
    emulator.feed(b"\x1b[1;1H\x1b[M")
    assert emulator.history_size == 1


def test_a_history_row_is_the_same_object_while_it_is_looked_at() -> None:
    emulator = Emulator(10, 2)
    emulator.feed(b"one\r\ntwo\r\nthree\r\n")
    emulator.history_row(0).cache = "drawn"
    assert emulator.history_row(0).cache == "drawn"
    emulator.resize(12, 2)
    assert emulator.history_row(0).cache is None
    emulator.feed(b"".join(b"%d\r\n" % number for number in range(2000)))
    numbers = range(3, 1500)
    assert [emulator.history_row(n).text for n in numbers] == [str(n - 3) for n in numbers]


def test_history_keeps_styles_and_wraps() -> None:
    emulator = Emulator(5, 2)
    emulator.feed("\x1b[31mab\x1b[mc\r\n日本語x\r\ny\r\nz\r\n".encode())
    rows = [emulator.history_row(n) for n in range(emulator.history_size)]
    assert list(rows[0].runs) == [("ab", CellStyle(foreground=1)), ("c", PLAIN)]
    assert [(row.text, row.wrapped) for row in rows[1:3]] == [("日本", True), ("語x", False)]


def test_no_history_at_all() -> None:
    emulator = Emulator(10, 2, history=0)
    emulator.feed(b"x\r\n" * 5000)
    assert (emulator.history_size, emulator.history_base) == (0, 4999)


MODES: list[tuple[str, TerminalModes]] = [
    ("?1h", TerminalModes(application_cursor=True)),
    ("?66h", TerminalModes(application_keypad=True)),
    ("?2004h", TerminalModes(bracketed_paste=True)),
    ("?1004h", TerminalModes(focus_events=True)),
    ("?1000;1006h", TerminalModes(mouse=MouseMode.CLICK, mouse_sgr=True)),
    ("?1002h", TerminalModes(mouse=MouseMode.DRAG)),
    ("?1000;1003h", TerminalModes(mouse=MouseMode.MOTION)),
    ("?1049h", TerminalModes(alternate_screen=True)),
    ("?1007l", TerminalModes(alternate_scroll=False)),
    ("?5h", TerminalModes(reverse_video=True)),
    ("?2026h", TerminalModes(synchronised=True)),
    ("20h", TerminalModes(newline=True)),
    (">4;1m", TerminalModes(modify_other_keys=1)),
    (">4m", TerminalModes()),
]


@pytest.mark.parametrize(("sequence", "modes"), MODES, ids=[row[0] for row in MODES])
def test_modes(sequence: str, modes: TerminalModes) -> None:
    emulator = Emulator(10, 2)
    assert emulator.modes == TerminalModes()
    emulator.feed(b"\x1b[" + sequence.encode())
    assert emulator.modes == modes
    emulator.feed(b"\x1bc")
    assert emulator.modes == TerminalModes()


def test_keypad_modes() -> None:
    emulator = Emulator(10, 2)
    emulator.feed(b"\x1b=")
    assert emulator.modes.application_keypad
    emulator.feed(b"\x1b>")
    assert not emulator.modes.application_keypad


@pytest.mark.parametrize(
    ("style", "shape", "blinking"),
    [
        (0, CursorShape.BLOCK, True),
        (1, CursorShape.BLOCK, True),
        (2, CursorShape.BLOCK, False),
        (3, CursorShape.UNDERLINE, True),
        (4, CursorShape.UNDERLINE, False),
        (5, CursorShape.BAR, True),
        (6, CursorShape.BAR, False),
    ],
)
def test_cursor_shapes(style: int, shape: CursorShape, blinking: bool) -> None:
    emulator = Emulator(10, 2)
    emulator.feed(b"ab\x1b[%d q\x1b[?25l" % style)
    cursor = emulator.cursor
    assert (cursor.column, cursor.line, cursor.visible) == (2, 0, False)
    assert (cursor.shape, cursor.blinking) == (shape, blinking)


def test_bells_titles_and_colours() -> None:
    emulator = Emulator(10, 2)
    emulator.feed(
        "\a\a\x1b]0;títle\x07\x1b]1;icon\x07\x1b]4;3;#102030\x07\x1b]12;#fff\x07".encode()
    )
    assert emulator.bells == 2
    assert emulator.title == "títle"
    assert emulator.colours == {3: 0x102030, 258: 0xF0F0F0}


def test_display_is_as_wide_as_the_screen() -> None:
    emulator = Emulator(6, 2)
    emulator.feed("日x\r\ne\u0301".encode())
    assert emulator.display == ["日x   ", "e\u0301     "]


def test_changed_attributes_of_an_area() -> None:
    emulator = Emulator(6, 2)
    emulator.feed(b"abc\x1b[2*x\x1b[1;2;1;2;1;7$r")
    assert [(text, style.bold, style.reverse) for text, style in emulator.rows[0].runs] == [
        ("a", False, False),
        ("b", True, True),
        ("c", False, False),
    ]
    emulator.feed(b"\x1b[1;2;1;3;7$t")
    assert [(text, style.reverse) for text, style in emulator.rows[0].runs] == [
        ("a", False),
        ("b", False),
        ("c", True),
    ]


def drawn(row: ScreenRow) -> list[Run]:
    """What a view draws of a row; blanks at its end are drawn alike, written or not."""
    runs = list(row.runs)
    while runs and runs[-1][1] == PLAIN:
        text = runs.pop()[0].rstrip(" ")
        if text:
            return [*runs, (text, PLAIN)]
    return runs


@pytest.mark.parametrize("seed", range(30))
def test_a_row_that_looks_different_is_damage_and_has_no_cache(seed: int) -> None:
    emulator = Emulator(*((80, 24) if seed % 2 else (12, 5)))
    emulator.take_damage()
    before = [drawn(row) for row in emulator.rows]
    for piece in pieces(session(seed, 120), seed, 40):
        emulator.feed(piece)
        now = [drawn(row) for row in emulator.rows]
        assert all(row.cache in (None, runs) for row, runs in zip(emulator.rows, now, strict=True))
        damage = emulator.take_damage()
        if damage is not None:
            changed = {y for y, runs in enumerate(now) if runs != before[y]}
            assert changed <= damage
        for row, runs in zip(emulator.rows, now, strict=True):
            row.cache = runs
        before = now
