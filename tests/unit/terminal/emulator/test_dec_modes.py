"""The DEC part of a VT420: modes that report themselves, areas, margins, saved cursors.

Screens are 10 × 6, unless a case says otherwise. What the published test programs for xterm look
at is here case by case, in our words.
"""

from __future__ import annotations

import pytest

from services.terminal.emulator import Emulator

C = "\x1b["
E = "\x1b"
AREA = "abcdef\r\nghijkl\r\nmnopqr\r\nstuvwx\r\nyz0123\r\n456789"
ROWS = AREA.split("\r\n")
OFF = f"{C}?6l{C}?69l{C}r"
SIDES = f"{C}?69h{C}2;5s"
BOX = f"{C}?69h{C}2;5s{C}2;5r"


def told(sent: str) -> str:
    said: list[bytes] = []
    Emulator(10, 6, said.append).feed(sent.encode())
    return b"".join(said).decode()


@pytest.mark.parametrize("mode", [4, 20])
def test_a_standard_mode_reports_what_it_was_set_to(mode: int) -> None:
    assert told(f"{C}{mode}h{C}{mode}$p{C}{mode}l{C}{mode}$p") == f"{C}{mode};1$y{C}{mode};2$y"


@pytest.mark.parametrize("mode", [1, 2, 5, 7, 10, 11, 13, 14, 15, 16, 17, 18, 19])
def test_a_standard_mode_of_paper_terminals_is_off_for_good(mode: int) -> None:
    assert told(f"{C}{mode}h{C}{mode}$p") == f"{C}{mode};4$y"


@pytest.mark.parametrize(
    "mode",
    [
        *(1, 5, 6, 7, 25, 40, 41, 45, 66, 67, 69, 47, 1047, 1049),
        *(1000, 1002, 1003, 1004, 1006, 1007, 1045, 2004, 2026, 2031),
    ],
)
def test_a_private_mode_reports_what_it_was_set_to(mode: int) -> None:
    sent = f"{C}?{mode}h{C}?{mode}$p{C}?{mode}l{C}?{mode}$p"
    assert told(sent) == f"{C}?{mode};1$y{C}?{mode};2$y"


def test_column_mode_reports_itself_only_where_it_was_allowed() -> None:
    assert told(f"{C}?3h{C}?3$p{C}?40h{C}?3h{C}?3$p") == f"{C}?3;2$y{C}?3;1$y"


def test_a_saved_mode_comes_back_on_and_off() -> None:
    sent = f"{C}?7h{C}?7s{C}?7l{C}?7r{C}?7$p{C}?7l{C}?7s{C}?7h{C}?7r{C}?7$p"
    assert told(sent) == f"{C}?7;1$y{C}?7;2$y"


SAVES = {
    "DEC": ("\x1b7", "\x1b8"),
    "ANSI": (f"{C}s", f"{C}u"),
    "1048": (f"{C}?1048h", f"{C}?1048l"),
}


@pytest.mark.parametrize("way", SAVES)
def test_a_saved_cursor_is_a_place_and_not_the_modes(way: str) -> None:
    save, restore = SAVES[way]
    assert told(f"{C}3;4H{save}{C}H{restore}{C}6n") == f"{C}3;4R"
    assert told(f"{C}!p{C}3;4H{restore}{C}6n") == f"{C}1;1R"
    moved = f"{C}3;4H{save}{C}?69h{C}2;5s{C}2;4r{C}?6h{restore}{C}H{C}6n"
    assert told(moved + f"{C}?6$p") == f"{C}1;1R{C}?6;2$y"
    assert told(f"{C}?7h{save}{C}?7l{restore}{C}?7$p") == f"{C}?7;2$y"
    assert told(f"{C}?45h{save}{C}?45l{restore}{C}?45$p") == f"{C}?45;2$y"
    assert told(f"{C}4h{save}{C}4l{restore}{C}4$p") == f"{C}4;2$y"
    screens = f"{C}2;3H{save}{C}?47h{C}4;5H{save}{C}?47l{restore}{C}6n{C}?47h{restore}{C}6n"
    assert told(screens) == f"{C}2;3R{C}4;5R"


@pytest.mark.parametrize("way", ["DEC", "1048"])
def test_protection_is_saved_with_the_cursor(way: str) -> None:
    save, restore = SAVES[way]
    emulator = Emulator(10, 2)
    emulator.feed(f'{C}1"q{save}{C}0"q{restore}a{C}?2J'.encode())
    assert emulator.rows[0].text == "a"


def test_between_side_margins_the_short_save_means_the_margins() -> None:
    assert told(f"{C}2;3H{C}s{C}?69h{C}1;9s{C}4;5H{C}s{C}3;3H{C}u{C}6n") == f"{C}2;3R"


def filled(rows: list[str], top: int, left: int, bottom: int, right: int, char: str) -> list[str]:
    """Rows with an area, counted from 1, in which there is nothing but one character."""
    return [
        row[: left - 1] + char * (right - left + 1) + row[right:] if top <= y <= bottom else row
        for y, row in enumerate(rows, 1)
    ]


def screen(sent: str, columns: int = 10, lines: int = 6) -> list[str]:
    emulator = Emulator(columns, lines)
    emulator.feed(sent.encode())
    return [row.text for row in emulator.rows]


AREAS = {"DECFRA": (f"{C}33;", "$x", "!"), "DECERA": (C, "$z", " "), "DECSERA": (C, "${", " ")}


@pytest.mark.parametrize("name", AREAS)
def test_an_area_is_filled_or_erased(name: str) -> None:
    start, end, char = AREAS[name]
    assert screen(f"{AREA}{start}3;3;5;5{end}") == filled(ROWS, 3, 3, 5, 5, char)
    assert screen(f"{AREA}{start}4;4;3;3{end}") == ROWS
    assert screen(f"{AREA}{BOX}{start}3;3;6;6{end}") == [
        row.rstrip() for row in filled(ROWS, 3, 3, 6, 6, char)
    ]
    inside = f"{AREA}{BOX}{C}?6h{start}1;1;2;2{end}{OFF}"
    assert screen(inside) == filled(ROWS, 2, 2, 3, 3, char)
    corner = filled([row.ljust(10) for row in ROWS], 6, 10, 6, 10, char)
    assert screen(f"{AREA}{start}6;10;99;99{end}") == [row.rstrip() for row in corner]
    whole = start.removesuffix(";") if name == "DECFRA" else start
    assert screen(f"{AREA}{whole}{end}") == [(char * 10).rstrip()] * 6


@pytest.mark.parametrize("name", AREAS)
def test_the_cursor_stays_where_it_is(name: str) -> None:
    start, end, _ = AREAS[name]
    assert told(f"{C}3;4H{start}2;2;4;4{end}{C}6n") == f"{C}3;4R"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2;2;3;3;1;4;4;1", ["", "", "", "stuhix", "yz0no3", ""]),
        ("2;2;4;4;1;3;3;1", ["", "", "mnhijr", "stnopx", "yztuv3", ""]),
        ("2;2;4;4;1;5;9;1", ["", "", "", "", "yz0123  hi", "456789  no"]),
        (";;2;2;;5;5;1", ["", "", "", "", "yz01ab", "4567gh"]),
        ("2;2;4;4;1", ["hijdef", "nopjkl", "tuvpqr", "", "", ""]),
        ("2;2;1;1;1;5;5;1", [""] * 6),
        ("6;6;9;99;1;1;1;1", ["9    f", "", "", "", "", ""]),
    ],
)
def test_an_area_is_copied(given: str, expected: list[str]) -> None:
    rows = [row if changed == "" else changed for row, changed in zip(ROWS, expected, strict=True)]
    assert screen(f"{AREA}{C}{given}$v") == [row.rstrip() for row in rows]


def test_an_area_is_copied_within_margins_and_past_them() -> None:
    box = f"{AREA}{C}?69h{C}2;9s{C}2;6r"
    within = screen(f"{box}{C}?6h{C}1;1;2;2;1;3;3;1$v{OFF}")
    past = screen(f"{box}{C}2;2;3;3;1;4;4;1$v{OFF}")
    assert within == past == [*ROWS[:3], "stuhix", "yz0no3", ROWS[5]]


LINES = f"{C}2;3r"
CASES: list[tuple[str, str, list[str], tuple[int, int] | None]] = [
    ("wrap at the right margin", f"{BOX}{C}5;4Habcdef", ["", "", "", "   ab", " cdef"], (4, 4)),
    ("no wrap at the right margin", f"{BOX}{C}?7l{C}5;4Habcdef", [*[""] * 4, "   af"], (4, 4)),
    ("tabs end at the right margin", f"{C}?69h{C}3;9s\t\t\tX", ["        X"], (8, 0)),
    ("margins do not outlive a soft reset", f"{BOX}{C}!p{C}3;3Habcd", ["", "", "  abcd"], (6, 2)),
    ("nor does their mode", f"{C}?69h{C}!p{C}2;4s{C}3;3Habc", ["", "", "  abc"], (5, 2)),
    ("nor origin mode", f"{BOX}{C}?6h{C}!p{C}G{C}dX", ["X"], (1, 0)),
    ("nor protection", f'{C}1"q{C}!pX{C}?2J', [""], (1, 0)),
    ("nor wrapping backwards", f"{C}?45h{C}!p{C}2;1H\b", [], (0, 1)),
    ("a soft reset moves nothing", f"{C}3;4H{C}!p", [], (3, 2)),
    ("a status line takes no text", f"{C}1$}}{C}!pX", ["X"], (1, 0)),
    ("index from above the region", f"{LINES}{C}3;2Hx{C}1;2H{E}D{E}D{E}D", ["", " x"], (1, 2)),
    ("VT is an index", f"{LINES}{C}3;2Hx{C}2;2H\x0b\x0b", ["", " x"], (1, 2)),
    ("FF is an index", f"{LINES}{C}3;2Hx{C}2;2H\x0c\x0c", ["", " x"], (1, 2)),
    ("VT beside the region", f"{BOX}{C}5;3Hx{C}5;8H\x0b\x0b", [*[""] * 4, "  x"], (7, 4)),
    ("VT below the region", f"{LINES}{C}5;1Hx\x0b\x0b\x0b", [*[""] * 4, "x"], (1, 5)),
    ("reverse index below the region", f"{C}2;4r{C}6;1H{E}M{E}MX", ["", "", "", "X"], (1, 3)),
    ("reverse index beside the region", f"{BOX}{C}2;3Hx{C}2;8H{E}M", ["", "  x"], (7, 1)),
    ("a line feed below the region", f"{LINES}{C}2;1H1\r\n2{C}4;1H\r\n", ["", "1", "2"], (0, 4)),
    (
        "a line feed on the last line below it",
        f"{LINES}{C}2;1H1\r\n2{C}6;1H3\r\n",
        ["", "1", "2", "", "", "3"],
        (0, 5),
    ),
    ("a region from 0", f"{C}0;3r1\r\n2\r\n3\r\n4", ["2", "3", "4"], (1, 2)),
    ("a region to 0", f"{C}3;1Hx{C}2;0r{C}6;1H\n", ["", "x"], (0, 5)),
    ("a region beyond the screen", f"{C}2;1Hx{C}1;99r{C}6;1H\r\n", ["x"], (0, 5)),
    ("the default region", f"{LINES}{C}r{C}3;1H\r\nx", ["", "", "", "x"], (1, 3)),
    (
        "a repeat scrolls the region",
        f"{C}2;4r{C}4;9Ha{C}3b",
        ["", "", "        aa", "aa"],
        (2, 3),
    ),
    ("insert at the last column", f"0123456789{C}4h{C}1;10HYZ", ["012345678Y", "Z"], (1, 1)),
    ("insert off the edge does not wrap", f"0123456789{C}H{C}4hX", ["X012345678"], (1, 0)),
    ("all pushed out", f"0123456789{C}H{C}10@", [""], (0, 0)),
    ("ECH left of the margins", f"abcdefg{SIDES}{C}H{C}4X", ["    efg"], (0, 0)),
    ("alignment removes margins", f"{BOX}{E}#8{C}2;2H{C}9A{C}9D", ["E" * 10] * 6, (0, 0)),
    (
        "back to the right margin from left of it",
        f"{C}?45h{C}?69h{C}3;6s{C}3;1H\bX",
        ["", "     X"],
        (5, 1),
    ),
    ("back over the top goes to the bottom", f"{C}?45h{C}2;4r{C}2;1H\b", [], (9, 3)),
    ("back from a pending wrap stays", f"{C}?45h{C}1;9Hab\b", ["        ab"], (9, 0)),
    ("back left of the left margin", f"{C}?69h{C}4;8s{C}1;3H\b", [], (1, 0)),
    (
        "a tab after a full line, mode 41",
        f"{C}?41h0123456789\t1",
        ["0123456789", "        1"],
        None,
    ),
    ("tab stops where they are set", f"{C}3g{C}1;5H{E}H{C}1;1H\tX", ["    X"], (5, 0)),
    ("DECSED 1 spares", f'{C}1"qab{C}0"qX{C}1;3H{C}?1J', ["ab"], (2, 0)),
    ("DECSED 3 touches nothing", f"ab{C}?3J", ["ab"], (2, 0)),
    ("DECSED ignores margins", f"{AREA}{BOX}{C}2;3H{C}?0J", ["abcdef", "gh"], (2, 1)),
    ("DECSEL 1 spares", f'{C}1"qab{C}0"qX{C}1;3H{C}?1K', ["ab"], (2, 0)),
    ("ED does not spare DECSCA's", f'{C}1"qab{C}0"q{C}H{C}J', [""], (0, 0)),
    ("a full reset clears stops", f"{C}3g{C}1;4H{E}H{E}c\tX", ["        X"], (9, 0)),
    ("a full reset removes margins", f"{BOX}{E}c{C}3;3H{C}9A{C}9DX", ["X"], (1, 0)),
    ("DECFI right of the margin", f"{C}?69h{C}3;5s{C}1;6H{E}9X", ["      X"], (7, 0)),
    ("DECFI at the edge of the screen", f"{SIDES}{C}1;10Hx{C}1;10H{E}9", ["         x"], (9, 0)),
    ("DECFI scrolls the whole screen", f"{C}1;10Hx{C}1;10H{E}9", ["        x"], (9, 0)),
    ("DECBI scrolls the whole screen", f"x{C}H{E}6", [" x"], (0, 0)),
    ("column mode takes the margins away", f"{C}?40h{BOX}{C}?3h\r\nHello", ["", "Hello"], (5, 1)),
]


@pytest.mark.parametrize(("name", "sent", "rows", "cursor"), CASES, ids=[case[0] for case in CASES])
def test_the_screen_shows(
    name: str, sent: str, rows: list[str], cursor: tuple[int, int] | None
) -> None:
    data = sent.encode()
    for cut in (False, True):
        emulator = Emulator(10, 6)
        for piece in [data[at : at + 1] for at in range(len(data))] if cut else [data]:
            emulator.feed(piece)
        assert [row.text for row in emulator.rows] == [*rows, *[""] * (6 - len(rows))], name
        if cursor is not None:
            assert (emulator.cursor.column, emulator.cursor.line) == cursor, name
