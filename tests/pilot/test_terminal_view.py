"""The terminal view on a real emulator: keys, paste, drawing, scrollback, size."""

from __future__ import annotations

from itertools import pairwise
from time import monotonic

from textual import events
from textual.geometry import Region
from textual.widgets import Input

from services.terminal.cells import Cursor
from services.terminal.emulator.emulator import Emulator
from tests.support.screens import GivenScreen, row
from tests.support.terminal_host import (
    COLUMNS,
    LINES,
    Host,
    feed,
    numbered,
    paste,
    rested,
    running,
)
from tests.support.waiting import eventually
from widgets.terminal.frame_pacing import REST_FACTOR
from widgets.terminal.view import BELL_EVERY, RESIZE_EVERY, TerminalView

# Keys


KEYS = {
    "a": b"a",
    "q": b"q",
    "Q": b"Q",
    "space": b" ",
    "ctrl+q": b"\x11",
    "ctrl+p": b"\x10",
    "ctrl+c": b"\x03",
    "ctrl+z": b"\x1a",
    "tab": b"\t",
    "shift+tab": b"\x1b[Z",
    "escape": b"\x1b",
    "enter": b"\r",
    "backspace": b"\x7f",
    "up": b"\x1b[A",
    "ctrl+shift+up": b"\x1b[1;6A",
    "f2": b"\x1bOQ",
    "shift+f5": b"\x1b[15;2~",
    "alt+x": b"\x1bx",
    "alt+left": b"\x1b[1;3D",
    "漢": "漢".encode(),
    "left_shift": b"",
}


async def test_keys_reach_the_program_whatever_the_app_binds() -> None:
    async with running() as (app, pilot):
        for key, expected in KEYS.items():
            await pilot.press(key)
            await pilot.pause()
            assert app.typed == expected, key
            app.heard.clear()
        assert app.notes == []
        assert app.focused is app.view


async def test_the_modes_of_the_moment_decide_the_bytes() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, "\x1b[?1h\x1b[20h")
        await pilot.press("up", "enter")
        await feed(app, pilot, "\x1b[?1l\x1b[20l")
        await pilot.press("up", "enter")
        assert app.typed == b"\x1bOA\r\n\x1b[A\r"


async def test_one_chord_gives_the_keyboard_back() -> None:
    async with running() as (app, pilot):
        await pilot.press("ctrl+right_square_bracket")
        await pilot.pause()
        assert len(app.of(TerminalView.Released)) == 1
        assert app.typed == b""


async def test_the_chord_is_a_parameter() -> None:
    async with running(release_key="ctrl+g") as (app, pilot):
        await pilot.press("ctrl+right_square_bracket", "ctrl+g")
        await pilot.pause()
        assert app.typed == b"\x1d"
        assert len(app.of(TerminalView.Released)) == 1


async def test_bindings_fire_again_when_the_view_is_not_focused() -> None:
    async with running() as (app, pilot):
        app.query_one(Input).focus()
        await pilot.pause()
        await pilot.press("f2", "ctrl+q")
        assert app.notes == ["f2", "quit"]
        assert app.typed == b""


# Paste


async def test_a_line_is_pasted_without_a_question() -> None:
    async with running() as (app, pilot):
        await paste(app, pilot, "ls \x1b[31m-l\x03")
        assert [m.data for m in app.heard if isinstance(m, TerminalView.Pasted)] == [b"ls [31m-l"]


async def test_several_lines_are_asked_about_and_sent_when_confirmed() -> None:
    async with running() as (app, pilot):
        await paste(app, pilot, "one\ntwo\n")
        (asked,) = app.heard
        assert isinstance(asked, TerminalView.PasteQuestion)
        assert asked.view is app.view
        assert "2 lines" in asked.reason
        app.heard.clear()
        app.view.paste(asked.text, confirmed=True)
        await pilot.pause()
        (sent,) = app.heard
        assert isinstance(sent, TerminalView.Pasted)
        assert sent.data == b"one\rtwo\r"


async def test_a_program_that_takes_brackets_gets_them_at_once() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, "\x1b[?2004h")
        await paste(app, pilot, "one\ntwo\x1b[201~three")
        (sent,) = app.heard
        assert isinstance(sent, TerminalView.Pasted)
        assert sent.data == b"\x1b[200~one\rtwo[201~three\x1b[201~"


# Drawing


async def test_what_is_fed_is_shown() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, "hello\r\n\x1b[31mred\x1b[0m 漢字")
        assert app.shown == ["hello", "red 漢字", "", "", "", ""]


async def test_only_changed_rows_are_drawn_anew() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, "one\r\ntwo\r\nthree")
        kept = app.emulator.rows[0].cache
        assert kept is not None
        await feed(app, pilot, " more")
        assert app.emulator.rows[0].cache is kept
        assert app.shown[2] == "three more"


async def test_damage_refreshes_its_lines_and_the_cursors() -> None:
    async with running() as (app, _):
        screen = GivenScreen([row(f"row {n}") for n in range(LINES)], cursor=Cursor(0, 1))
        app.view.terminal = screen
        app.view.request_redraw()
        await rested(app)
        refreshed: list[tuple[Region, ...]] = []
        refresh = app.view.refresh

        def noted(*regions: Region, **options: bool) -> TerminalView:
            refreshed.append(regions)
            return refresh(*regions, **options)

        app.view.refresh = noted  # type: ignore[method-assign]
        screen.rows[4] = row("changed")
        screen.damage = frozenset({4})
        screen.cursor = Cursor(0, 2)
        app.view.request_redraw()
        await rested(app)
        assert [set(regions) for regions in refreshed] == [
            {Region(0, 1, COLUMNS, 2), Region(0, 4, COLUMNS, 1)}
        ]
        app.view.request_redraw()
        await rested(app)
        assert len(refreshed) == 1


async def test_a_row_keeps_its_strip_when_it_scrolls() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, "\r\n".join(f"row {n}" for n in range(LINES)))
        kept = app.emulator.rows[3].cache
        assert kept is not None
        await feed(app, pilot, "\r\n")
        assert app.emulator.rows[2].cache is kept
        assert app.shown[:5] == [f"row {n}" for n in range(1, 6)]


async def test_the_cursor_is_drawn_where_it_is_and_moves() -> None:
    def column(app: Host) -> int:
        strip = app.view.render_lines(app.view.size.region)[0]
        plain = app.view.render_lines(app.view.size.region)[5]
        base = next(iter(plain)).style
        used = 0
        for text, style, _ in strip:
            if style is not None and base is not None and style.bgcolor != base.bgcolor:
                return used
            used += len(text)
        return -1

    async with running() as (app, pilot):
        await feed(app, pilot, "abc")
        assert column(app) == 3
        await feed(app, pilot, "\x1b[D")
        assert column(app) == 2
        await feed(app, pilot, "\x1b[?25l")
        assert column(app) == -1


async def test_a_synchronised_update_is_drawn_at_its_end() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, "before")
        app.emulator.take_damage()
        app.emulator.feed(b"\x1b[?2026h\rafter!")
        app.view.request_redraw()
        assert app.emulator.take_damage() == frozenset({0})
        await feed(app, pilot, "\x1b[?2026l")
        assert app.shown[0] == "after!"


async def test_a_program_that_never_ends_its_update_is_drawn_all_the_same() -> None:
    async with running() as (app, _):
        app.emulator.take_damage()
        app.emulator.feed(b"\x1b[?2026hstuck")
        app.view.request_redraw()
        await rested(app)
        assert app.emulator.take_damage() == frozenset()
        assert app.shown[0] == "stuck"


async def test_colours_follow_the_program_and_the_theme() -> None:
    def background(app: Host) -> object:
        (segment, *_) = app.view.render_lines(app.view.size.region)[5]
        assert segment.style is not None
        return segment.style.bgcolor

    async with running() as (app, pilot):
        dark = background(app)
        app.theme = "textual-light"
        await pilot.pause()
        light = background(app)
        assert light != dark
        await feed(app, pilot, "\x1b]11;#123456\x07")
        redefined = background(app)
        assert getattr(redefined, "triplet", None) == (0x12, 0x34, 0x56)


async def test_nothing_but_cells_reaches_the_outer_terminal() -> None:
    hostile = (
        b"\x1b]0;title\x07\x1b]52;c;AAAA\x07\x1bP1$r0m\x1b\\\x1b_G\x1b\\\x1b]8;;https://x.example\x07"
        b"link\x1b]8;;\x07 \x9b31m\xc2\x9b31m \xe2\x80\xaeabc \x00\x01\x05\x07\x08\x7f\xff\xfe"
    )
    async with running() as (app, pilot):
        await feed(app, pilot, hostile)
        update = app.screen._compositor.render_full_update()
        sent = update.render_segments(app.console)
        assert "link" in sent
        assert "x.example" not in sent
        assert "\x1b]" not in sent
        assert not {"\x00", "\x01", "\x05", "\x07", "\x08", "\x7f", "\x9b", "\u202e"} & set(sent)


# Scrollback


async def test_scrolling_up_pauses_following_and_typing_returns() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, numbered(1, 50))
        assert app.shown[:5] == [f"line {n}" for n in range(46, 51)]
        await pilot._post_mouse_events([events.MouseScrollUp], app.view, offset=(2, 2))
        await pilot.pause()
        before = app.shown
        assert before[0] == "line 43"
        await feed(app, pilot, numbered(51, 60))
        assert app.shown[:5] == before[:5]
        assert app.shown[5].endswith("+10 lines ↓")
        await pilot.press("x")
        await pilot.pause()
        assert app.shown[:5] == [f"line {n}" for n in range(56, 61)]
        assert app.typed == b"x"


async def test_the_scrollback_has_keys_on_the_main_screen_only() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, numbered(1, 50))
        await pilot.press("shift+home")
        assert app.shown[0] == "line 1"
        await pilot.press("shift+pagedown")
        assert app.shown[0] == "line 6"
        await pilot.press("shift+pageup")
        assert app.shown[0] == "line 1"
        await pilot.press("shift+end")
        assert app.view.viewport.following
        assert app.typed == b""
        await feed(app, pilot, "\x1b[?1049h")
        await pilot.press("shift+pageup", "shift+home")
        assert app.typed == b"\x1b[5;2~\x1b[1;2H"


async def test_the_pill_brings_the_tail_back() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, numbered(1, 50))
        await pilot.press("shift+pageup")
        assert app.shown[5].endswith("5 below ↓")
        await pilot.click(app.view, offset=(18, 5))
        assert app.view.viewport.following


# Focus, size, bell, title


async def test_focus_is_reported_where_asked() -> None:
    async with running() as (app, pilot):
        app.query_one(Input).focus()
        await pilot.pause()
        app.view.focus()
        await pilot.pause()
        assert app.typed == b""
        await feed(app, pilot, "\x1b[?1004h")
        app.query_one(Input).focus()
        await pilot.pause()
        app.view.focus()
        await pilot.pause()
        assert app.typed == b"\x1b[O\x1b[I"


async def test_a_resize_storm_ends_in_the_last_size() -> None:
    async with running(size=(80, 12)) as (app, _):

        def as_told() -> bool:
            return app.view.size.width == width

        began = monotonic()
        for width in range(30, 60):
            app.view.styles.width = width
            await eventually(as_told)
        await eventually(lambda: [size.columns for size in app.sizes][-1:] == [59])
        sizes = app.sizes
        assert len(sizes) <= (monotonic() - began) / RESIZE_EVERY + 2
        gaps = [two.time - one.time for one, two in pairwise(sizes)]
        assert all(gap >= 0.045 for gap in gaps)


async def test_the_first_size_is_told_and_a_resized_emulator_is_drawn() -> None:
    app = Host()
    async with app.run_test(size=(40, 12)) as pilot:
        await pilot.pause()
        (size,) = app.of(TerminalView.Resized)
        assert isinstance(size, TerminalView.Resized)
        assert (size.columns, size.lines) == (COLUMNS, LINES)
        await feed(app, pilot, "a line of more than ten")
        app.view.styles.width = 10
        await pilot.pause()
        app.emulator.resize(10, LINES)
        app.view.request_redraw()
        await pilot.pause()
        assert app.shown[:3] == ["a line of", "more than", "ten"]


async def test_bells_are_announced_but_not_one_by_one() -> None:
    async with running() as (app, pilot):
        began = monotonic()
        for _ in range(20):
            await feed(app, pilot, "\x07\x07")
        assert len(app.of(TerminalView.BellRang)) <= (monotonic() - began) / BELL_EVERY + 1
        assert len(app.of(TerminalView.BellRang)) >= 1


async def test_the_title_is_announced_once_per_change() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, "\x1b]2;first\x07")
        await feed(app, pilot, "text")
        await feed(app, pilot, "\x1b]2;second\x07")
        await eventually(lambda: app.titles[-1:] == ["second"])
        assert app.titles == ["first", "second"]


async def test_a_rest_after_an_expensive_frame_loses_neither_rows_nor_titles() -> None:
    async with running() as (app, _):
        await rested(app)
        app.view._frame_pacing.record_cost(0.1)
        app.view.request_redraw()
        rests_until = monotonic() + 0.1 * REST_FACTOR
        app.emulator.feed(b"\x1b]2;meanwhile\x07late")
        app.view.request_redraw()
        assert app.view._later is not None
        await rested(app)
        assert monotonic() >= rests_until - 0.05
        await eventually(lambda: app.titles == ["meanwhile"])
        assert app.shown[0] == "late"


async def test_another_emulator_can_take_its_place() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, numbered(1, 50))
        await pilot.press("shift+pageup")
        other = Emulator(COLUMNS, LINES)
        other.feed(b"the other one")
        app.view.terminal = other
        await pilot.pause()
        assert app.shown[0] == "the other one"
        assert app.view.viewport.following
        app.view.terminal = None
        await pilot.pause()
        assert app.shown == [""] * LINES
        await pilot.press("x")
        await eventually(lambda: app.typed == b"x")


async def test_the_theme_s_colours_are_there_for_programs_that_ask() -> None:
    async with running() as (app, _):
        dark = app.view.theme_colours()
        assert sorted(dark) == list(range(259))
        app.theme = "textual-light"
        await eventually(lambda: app.view.theme_colours()[257] != dark[257])
        light = app.view.theme_colours()
        assert sum(light[257].to_bytes(3)) > sum(dark[257].to_bytes(3))
