"""Rows as strips: styles, caches, cursor, marks, and nothing but cells to the outer terminal."""

from __future__ import annotations

import gc
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.style import Style
from textual.strip import Strip

from services.terminal.cells import (
    BACKGROUND,
    CURSOR,
    FOREGROUND,
    PLAIN,
    RGB,
    CellStyle,
    CursorShape,
    Underline,
)
from tests.support.screens import GivenRow, GivenScreen, row
from widgets.terminal.frame_pacing import FramePacing
from widgets.terminal.links import link_at
from widgets.terminal.paint import (
    Painter,
    RowStrip,
    cell_at,
    draw_cursor,
    highlight,
    overlay_text,
    sanitize_run,
)
from widgets.terminal.palette import (
    DARK,
    LIGHT,
    Palette,
    blend,
    palette_of,
)
from widgets.terminal.rows import CellPosition, indices_of, logical, logical_line, piece
from widgets.terminal.search import Match, Query
from widgets.terminal.selection import (
    Selection,
    Unit,
    selected_text,
    sgr,
    styled_text,
    word,
)
from widgets.terminal.viewport import Viewport

PALETTE = palette_of(True, 0xDDDDDD, 0x101010, 0xFFAA00)


@pytest.fixture
def painter() -> Painter:
    return Painter(PALETTE)


def colours_of(style: Style) -> tuple[int | None, int | None]:
    def packed(triplet: tuple[int, int, int] | None) -> int | None:
        return None if triplet is None else triplet[0] << 16 | triplet[1] << 8 | triplet[2]

    return (
        packed(style.color.triplet if style.color else None),
        packed(style.bgcolor.triplet if style.bgcolor else None),
    )


def looks(strip: Strip) -> list[tuple[str, Style]]:
    return [(text, style or Style.null()) for text, style, _ in strip]


# Colours


def test_the_palette_is_resolved_to_true_colour(painter: Painter) -> None:
    assert colours_of(painter.style(PLAIN)) == (0xDDDDDD, 0x101010)
    assert colours_of(painter.style(CellStyle(foreground=1, background=12))) == (DARK[1], DARK[12])
    assert colours_of(painter.style(CellStyle(foreground=16, background=231))) == (0, 0xFFFFFF)
    assert colours_of(painter.style(CellStyle(foreground=196)))[0] == 0xFF0000
    assert colours_of(painter.style(CellStyle(foreground=232)))[0] == 0x080808
    assert colours_of(painter.style(CellStyle(foreground=255)))[0] == 0xEEEEEE
    assert colours_of(painter.style(CellStyle(background=RGB | 0x123456)))[1] == 0x123456


def test_what_the_program_redefined_wins() -> None:
    painter = Painter(PALETTE.overridden({1: 0x00FF00, 256: 0x111111, 257: 0x222222, 999: 0}))
    assert colours_of(painter.style(CellStyle(foreground=1)))[0] == 0x00FF00
    assert colours_of(painter.style(PLAIN)) == (0x111111, 0x222222)


def test_reverse_video_exchanges_the_defaults_only() -> None:
    painter = Painter(PALETTE.reversed())
    assert colours_of(painter.style(PLAIN)) == (0x101010, 0xDDDDDD)
    assert colours_of(painter.style(CellStyle(foreground=196)))[0] == 0xFF0000


def test_reverse_dim_and_conceal_are_colours(painter: Painter) -> None:
    assert colours_of(painter.style(CellStyle(reverse=True))) == (0x101010, 0xDDDDDD)
    faint, back = colours_of(painter.style(CellStyle(dim=True)))
    assert faint == blend(0xDDDDDD, 0x101010, 0.45)
    assert back == 0x101010
    assert colours_of(painter.style(CellStyle(conceal=True))) == (0x101010, 0x101010)
    for style in (CellStyle(dim=True), CellStyle(reverse=True), CellStyle(conceal=True)):
        drawn = painter.style(style)
        assert not (drawn.dim or drawn.reverse or drawn.conceal)


def test_attributes_and_underline_kinds(painter: Painter) -> None:
    style = painter.style(CellStyle(bold=True, italic=True, strike=True, overline=True))
    assert (style.bold, style.italic, style.strike, style.overline) == (True, True, True, True)
    assert painter.style(CellStyle(underline=Underline.CURLY)).underline
    double = painter.style(CellStyle(underline=Underline.DOUBLE))
    assert double.underline2
    assert not double.underline
    assert not painter.style(PLAIN).underline
    assert painter.style(CellStyle(blink=True)).blink
    assert not painter.style(PLAIN).blink


def test_a_native_theme_leaves_the_sixteen_to_the_outer_terminal() -> None:
    painter = Painter(replace(PALETTE, native=True))
    style = painter.style(CellStyle(foreground=3, reverse=True))
    assert style.color is not None
    assert style.color.number == 3
    assert style.bgcolor is not None
    assert style.bgcolor.is_default
    assert style.reverse


def test_blend_goes_from_one_to_the_other() -> None:
    assert blend(0x000000, 0xFFFFFF, 0) == 0
    assert blend(0x000000, 0xFFFFFF, 1) == 0xFFFFFF
    assert blend(0x102030, 0x304050, 0.5) == 0x203040


# Strips


def test_a_strip_is_as_wide_as_the_view(painter: Painter) -> None:
    for text in ("", "short", "x" * 30, "漢字" * 9, "a" * 9 + "漢"):
        strip = painter.strip(row(text), 10)
        assert strip.cell_length == 10
        assert cell_len(strip.text) == 10


def test_a_strip_is_made_once_until_the_row_changes(painter: Painter) -> None:
    line = row("text")
    first = painter.strip(line, 10)
    assert painter.strip(line, 10) is first
    assert painter.strip(line, 12) is not first
    again = painter.strip(line, 10)
    line.cache = None
    assert painter.strip(line, 10) is not again


def test_a_strip_the_compositor_took_whole_goes_without_the_garbage_collector(
    painter: Painter,
) -> None:
    def strips() -> int:
        return sum(isinstance(each, RowStrip) for each in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = strips()
        for _ in range(10):
            strip = painter.strip(row("text"), 10)
            assert strip.divide([10]) == [strip]
            assert [part.text for part in strip.divide([2, 10])] == ["te", "xt      "]
        del strip
        assert strips() == before
    finally:
        gc.enable()


def test_a_new_palette_makes_strips_anew(painter: Painter) -> None:
    line = GivenRow([("x", CellStyle(foreground=1))])
    first = painter.strip(line, 4)
    painter.palette = PALETTE.overridden({1: 0xABCDEF})
    assert painter.strip(line, 4) is not first
    assert colours_of(looks(painter.strip(line, 4))[0][1])[0] == 0xABCDEF


@pytest.mark.slow
def test_equal_styles_of_different_objects_never_mix(painter: Painter) -> None:
    for value in range(50_000):
        style = CellStyle(foreground=RGB | value)
        assert colours_of(painter.style(style))[0] == value


@given(st.lists(st.tuples(st.text(max_size=12), st.sampled_from([PLAIN, CellStyle(bold=True)]))))
def test_nothing_but_printable_text_leaves_a_strip(runs: list[tuple[str, CellStyle]]) -> None:
    strip = Painter(PALETTE).strip(GivenRow(runs), 16)
    assert cell_len(strip.text) == strip.cell_length == 16
    sent = strip.render(Console(color_system="truecolor", force_terminal=True))
    text = "".join(part.partition("m")[2] for part in ("m" + sent).split("\x1b["))
    for char in text:
        assert not (char < " " or "\x7f" <= char <= "\x9f" or "\ud800" <= char <= "\udfff")
        assert char not in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f"


@pytest.mark.parametrize("text", ["👩\u200d💻", "❤️", "\ue0b0"])
def test_what_programs_draw_with_stays(text: str) -> None:
    assert sanitize_run(text) == text


def test_what_a_terminal_obeys_is_marked_or_dropped() -> None:
    assert sanitize_run("a\x1b]0;x\x07b") == "a\ufffd]0;x\ufffdb"
    assert sanitize_run("user\u202etxt.exe") == "usertxt.exe"


def test_a_link_is_underlined_and_never_sent_as_a_link(painter: Painter) -> None:
    strip = painter.strip(GivenRow([("here", CellStyle(link="https://example.org/"))]), 8)
    assert looks(strip)[0][1].underline
    sent = strip.render(Console(color_system="truecolor", force_terminal=True))
    assert "example" not in sent
    assert "\x1b]8" not in sent


# Cursor and marks


def test_marks_keep_wide_characters_whole(painter: Painter) -> None:
    strip = highlight(painter.strip(row("a漢b"), 6), 2, 3, Style(bold=True))
    assert strip.text == "a漢b  "
    assert [text for text, style in looks(strip) if style.bold] == ["漢"]


def test_a_mark_past_the_end_stops_there(painter: Painter) -> None:
    strip = highlight(painter.strip(row("ab"), 4), 1, 1 << 20, Style(bold=True))
    assert "".join(text for text, style in looks(strip) if style.bold) == "b  "
    assert strip.cell_length == 4


def test_overlaid_text_is_cut_at_the_edge(painter: Painter) -> None:
    strip = overlay_text(painter.strip(row("0123456789"), 10), 6, "漢字漢字", Style(bold=True))
    assert strip.text == "012345漢字"
    assert strip.cell_length == 10
    assert overlay_text(painter.strip(row("0123456789"), 10), 0, "ab", Style()).text == "ab23456789"
    bad = overlay_text(painter.strip(row(""), 10), 0, "bad\x1b[31m", Style())
    assert bad.text == "bad\ufffd[31m  "


@pytest.mark.parametrize("focused", [True, False])
@pytest.mark.parametrize("shape", list(CursorShape))
@pytest.mark.parametrize(("text", "column", "taken"), [("abc", 1, 1), ("a漢c", 1, 2), ("", 3, 1)])
def test_the_cursor_takes_one_character_and_changes_no_width(
    painter: Painter, text: str, column: int, taken: int, shape: CursorShape, focused: bool
) -> None:
    plain = painter.strip(row(text), 8)
    strip = draw_cursor(plain, column, shape, focused, PALETTE)
    assert strip.cell_length == cell_len(strip.text) == 8
    base = painter.style(PLAIN)
    changed = "".join(part for part, style in looks(strip) if style != base)
    assert cell_len(changed) == taken


def test_cursor_shapes_differ_and_an_unfocused_one_is_faint(painter: Painter) -> None:
    plain = painter.strip(row("abc"), 8)
    drawn = {
        shape: looks(draw_cursor(plain, 1, shape, True, PALETTE))[1][1] for shape in CursorShape
    }
    assert len(set(drawn.values())) == 3
    assert colours_of(drawn[CursorShape.BLOCK]) == (0x101010, 0xFFAA00)
    assert drawn[CursorShape.UNDERLINE].underline
    faint = looks(draw_cursor(plain, 1, CursorShape.BLOCK, False, PALETTE))[1][1]
    assert colours_of(faint)[1] == blend(0x101010, 0xFFAA00, 0.35)
    bar = draw_cursor(painter.strip(row(""), 4), 2, CursorShape.BAR, True, PALETTE)
    assert bar.text == "  ▏ "


def test_a_cursor_past_the_edge_stays_on_the_line(painter: Painter) -> None:
    assert draw_cursor(painter.strip(row("ab"), 4), 9, CursorShape.BLOCK, True, PALETTE).text == (
        "ab  "
    )


def test_cell_at_finds_characters_by_column(painter: Painter) -> None:
    strip = painter.strip(row("a漢b"), 5)
    assert cell_at(strip, 0) == (0, 1, "a")
    assert cell_at(strip, 1) == cell_at(strip, 2) == (1, 3, "漢")
    assert cell_at(strip, 3) == (3, 4, "b")


@given(st.text(alphabet="ab漢字é🙂\u0301", max_size=12), st.integers(0, 14), st.integers(0, 14))
def test_columns_and_indices_agree(text: str, start: int, end: int) -> None:
    low, high = indices_of(text, start, end)
    assert 0 <= low <= high <= len(text)
    if start < end:
        assert cell_len(text[:low]) <= start or low == len(text)
        assert cell_len(text[:high]) >= min(end, cell_len(text))
    assert piece(text, 0, 1 << 20) == text


# Places, selection, search, links


def wrapped_screen() -> GivenScreen:
    history = [row("old one"), row("a long line that wra", True), row("ps twice because it ", True)]
    rows = [row("is long"), row("next  "), row("漢字 wide"), row("")]
    return GivenScreen(rows, history=history, history_base=100)


def test_logical_lines_follow_soft_wraps() -> None:
    screen = wrapped_screen()
    assert [logical(screen, line) for line in (100, 101, 102, 103, 104)] == [
        (100, 100),
        (101, 103),
        (101, 103),
        (101, 103),
        (104, 104),
    ]
    line = logical_line(screen, 102)
    assert line.text == "a long line that wraps twice because it is long"
    assert line.position(line.text.index("wraps")) == CellPosition(101, 17)
    assert line.index(CellPosition(102, 3)) == line.text.index("twice")
    spans = list(line.spans(line.text.index("wraps"), line.text.index("wraps") + 5))
    assert spans == [(101, 17, 20), (102, 0, 2)]


def test_selected_text_joins_wraps_and_drops_trailing_blanks() -> None:
    screen = wrapped_screen()
    assert selected_text(screen, Selection(CellPosition(101, 7), CellPosition(104, 19))) == (
        "line that wraps twice because it is long\nnext"
    )
    backwards = Selection(CellPosition(104, 19), CellPosition(101, 7))
    assert selected_text(screen, backwards).startswith("line that")
    assert selected_text(screen, Selection(CellPosition(105, 1), CellPosition(105, 2))) == "漢字"


def test_words_and_lines_reach_across_wraps() -> None:
    screen = wrapped_screen()
    assert word(screen, CellPosition(102, 0)) == (CellPosition(101, 17), CellPosition(102, 2))
    assert (
        selected_text(screen, Selection(CellPosition(102, 1), CellPosition(102, 1), Unit.WORD))
        == "wraps"
    )
    assert selected_text(
        screen, Selection(CellPosition(102, 1), CellPosition(102, 1), Unit.LINE)
    ) == ("a long line that wraps twice because it is long")
    assert (
        selected_text(screen, Selection(CellPosition(105, 6), CellPosition(105, 6), Unit.WORD))
        == "wide"
    )


def test_a_selection_of_lines_no_longer_kept_is_empty() -> None:
    screen = wrapped_screen()
    assert selected_text(screen, Selection(CellPosition(5, 0), CellPosition(6, 3))).strip() == ""


def test_styled_text_is_what_a_terminal_would_be_told() -> None:
    red = CellStyle(foreground=1, bold=True)
    screen = GivenScreen([GivenRow([("ab", red), ("cd", PLAIN)], True), GivenRow([("ef", red)])])
    assert styled_text(screen, Selection(CellPosition(0, 1), CellPosition(1, 0))) == (
        "\x1b[0;1;31mb\x1b[0mcd\x1b[0;1;31me\x1b[0m"
    )


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        (PLAIN, "0"),
        (CellStyle(dim=True, italic=True, strike=True), "0;2;3;9"),
        (
            CellStyle(underline=Underline.CURLY, underline_colour=RGB | 0x010203),
            "0;4:3;58:2::1:2:3",
        ),
        (CellStyle(foreground=9, background=12), "0;91;104"),
        (CellStyle(foreground=200, background=RGB | 0x0A0B0C), "0;38;5;200;48;2;10;11;12"),
        (CellStyle(reverse=True, blink=True, overline=True), "0;5;7;53"),
    ],
)
def test_sgr(style: CellStyle, expected: str) -> None:
    assert sgr(style) == f"\x1b[{expected}m"


def found(walk: object) -> Match | None:
    return next((match for match in walk if match is not None), None)  # type: ignore[attr-defined]


def test_search_walks_both_ways_and_across_wraps() -> None:
    screen = wrapped_screen()
    query = Query("WRAPS".lower())
    match = found(query.older(screen, CellPosition(107, 0)))
    assert match is not None
    assert match.position == CellPosition(101, 17)
    assert match.spans == ((101, 17, 20), (102, 0, 2))
    assert found(query.older(screen, match.position)) is None
    newer = found(Query("wide").newer(screen, match.position))
    assert newer is not None
    assert newer.spans == ((105, 5, 9),)


def test_search_minds_case_only_with_a_capital() -> None:
    screen = GivenScreen([row("Error error")])
    assert len(Query("error").matches(logical_line(screen, 0))) == 2
    assert len(Query("Error").matches(logical_line(screen, 0))) == 1
    assert Query("").matches(logical_line(screen, 0)) == []
    assert len(Query(".").matches(logical_line(screen, 0))) == 0


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("see https://example.org/a?b=c.", "https://example.org/a?b=c"),
        ("(http://example.org/x_(y))", "http://example.org/x_(y)"),
        ("<https://example.org>", "https://example.org"),
        ('"ftp://example.org/f",', "ftp://example.org/f"),
        ("see javascript:alert(1) here", None),
        ("no address here", None),
    ],
)
def test_addresses_written_out_are_links(text: str, url: str | None) -> None:
    screen = GivenScreen([row(text)], columns=60)
    column = text.find("://") + 1 if "://" in text else 6
    link = link_at(screen, CellPosition(0, column))
    assert (link.url if link else None) == url


def test_a_link_across_a_wrap_is_one_link() -> None:
    screen = GivenScreen([row("go to https://exampl", True), row("e.org/page now")])
    link = link_at(screen, CellPosition(1, 3))
    assert link is not None
    assert link.url == "https://example.org/page"
    assert link.spans == ((0, 6, 20), (1, 0, 10))
    assert link_at(screen, CellPosition(1, 12)) is None


def test_a_marked_link_is_its_target_whatever_the_text_says() -> None:
    style = CellStyle(link="https://real.example/")
    screen = GivenScreen([GivenRow([("x ", PLAIN), ("https://bank.example", style)])])
    link = link_at(screen, CellPosition(0, 4))
    assert link is not None
    assert link.url == "https://real.example/"
    assert link_at(screen, CellPosition(0, 0)) is None


# Scrolling


def test_the_viewport_follows_until_scrolled_and_then_stays() -> None:
    screen = wrapped_screen()
    viewport = Viewport()
    assert viewport.top(screen, 4) == 103
    assert viewport.move(screen, 4, -2)
    assert viewport.top(screen, 4) == 101
    screen.history.append(row("new"))
    assert viewport.top(screen, 4) == 101
    assert viewport.newer(screen) == 1
    assert viewport.below(screen, 4) == 3
    assert viewport.follow()
    assert viewport.top(screen, 4) == 104
    assert not viewport.follow()


def test_the_viewport_stops_at_both_ends_and_survives_trimming() -> None:
    screen = wrapped_screen()
    viewport = Viewport()
    assert viewport.move(screen, 4, -1000)
    assert viewport.top(screen, 4) == 100
    del screen.history[:2]
    screen.history_base = 102
    assert viewport.top(screen, 4) == 102
    assert viewport.move(screen, 4, 1000)
    assert viewport.following


def test_there_is_nothing_to_scroll_on_the_alternate_screen() -> None:
    screen = wrapped_screen()
    screen.modes = replace(screen.modes, alternate_screen=True)
    viewport = Viewport()
    assert not viewport.move(screen, 4, -2)
    assert viewport.following


def test_a_view_shorter_than_the_screen_shows_its_end() -> None:
    screen = wrapped_screen()
    assert Viewport().top(screen, 3) == 104
    assert Viewport().top(screen, 9) == 103


def test_default_indices_of_the_palette() -> None:
    assert isinstance(PALETTE, Palette)
    assert [PALETTE.colours[index] for index in (FOREGROUND, BACKGROUND, CURSOR)] == [
        0xDDDDDD,
        0x101010,
        0xFFAA00,
    ]
    assert len(PALETTE.colours) == 259


# Pacing


def test_a_synchronised_update_holds_drawing_until_its_end_or_the_limit() -> None:
    pacing = FramePacing()
    assert pacing.wait(10.0, synchronised=False) == 0
    assert pacing.wait(10.0, synchronised=True) == pytest.approx(0.15)
    assert pacing.wait(10.1, synchronised=True) == pytest.approx(0.05)
    assert pacing.wait(10.11, synchronised=False) == 0
    assert pacing.wait(10.2, synchronised=True) == pytest.approx(0.15)
    assert pacing.wait(10.36, synchronised=True) == 0
    assert pacing.wait(10.37, synchronised=True) > 0


def test_an_expensive_frame_is_followed_by_a_rest() -> None:
    pacing = FramePacing()
    pacing.record_cost(0.003)
    assert pacing.wait(1.0, synchronised=False) == 0
    assert pacing.wait(1.001, synchronised=False) == 0
    pacing.record_cost(0.05)
    assert pacing.wait(2.0, synchronised=False) == 0
    assert pacing.wait(2.1, synchronised=False) == pytest.approx(0.05)
    assert pacing.wait(2.16, synchronised=False) == 0


@pytest.mark.parametrize(("sixteen", "background"), [(DARK, 0x121212), (LIGHT, 0xE0E0E0)])
def test_the_sixteen_are_legible_and_tell_apart(sixteen: tuple[int, ...], background: int) -> None:
    def light(colour: int) -> float:
        parts = [(colour >> shift & 0xFF) / 255 for shift in (16, 8, 0)]
        linear = [
            part / 12.92 if part <= 0.04 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(one: int, two: int) -> float:
        low, high = sorted((light(one), light(two)))
        return (high + 0.05) / (low + 0.05)

    assert len(set(sixteen)) == 16
    for index in (1, 2, 3, 4, 5, 6, 9, 12, 13, 14):
        assert contrast(sixteen[index], background) >= 3
