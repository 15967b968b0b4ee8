"""The terminal view on a real emulator: keys, paste, mouse, scrollback, selection, size."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import ClassVar

import pytest
from services.terminal.emulator import Emulator
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Offset, Region
from textual.message import Message
from textual.pilot import Pilot
from textual.widgets import Footer, Input

from services.terminal.cells import Cursor
from tests.support.screens import GivenScreen, row
from widgets.terminal.messages import ViewMessage
from widgets.terminal.view import TerminalView

COLUMNS, LINES = 20, 6


class Host(App[None]):
    """A view, something else to focus, and bindings that must not fire inside the shell."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "note('quit')", "Quit", priority=True),
        Binding("ctrl+p", "note('palette')", "Palette", priority=True),
        Binding("f2", "note('f2')", "F2", priority=True),
        Binding("q", "note('q')", "Q"),
        Binding("tab", "note('tab')", "Tab", priority=True),
    ]
    CSS = """
    TerminalView { width: 20; height: 6; }
    """

    def __init__(self, **options: object) -> None:
        super().__init__()
        self.emulator = Emulator(COLUMNS, LINES)
        self.view = TerminalView(self.emulator, **options)  # type: ignore[arg-type]
        self.heard: list[ViewMessage] = []
        self.notes: list[str] = []

    def compose(self) -> ComposeResult:
        yield Input()
        yield self.view
        yield Footer()

    def on_mount(self) -> None:
        self.view.focus()

    def action_note(self, what: str) -> None:
        self.notes.append(what)

    async def _on_message(self, message: Message) -> None:
        if isinstance(message, ViewMessage):
            self.heard.append(message)
        await super()._on_message(message)

    def of(self, kind: type[ViewMessage]) -> list[ViewMessage]:
        return [message for message in self.heard if isinstance(message, kind)]

    @property
    def typed(self) -> bytes:
        return b"".join(m.data for m in self.heard if isinstance(m, TerminalView.Typed))

    @property
    def shown(self) -> list[str]:
        strips = self.view.render_lines(self.view.size.region)
        return [strip.text.rstrip() for strip in strips]


@asynccontextmanager
async def running(
    size: tuple[int, int] = (40, 12), **options: object
) -> AsyncIterator[tuple[Host, Pilot[None]]]:
    app = Host(**options)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        app.heard.clear()
        yield app, pilot


async def feed(app: Host, pilot: Pilot[None], data: str | bytes) -> None:
    app.emulator.feed(data.encode() if isinstance(data, str) else data)
    app.view.painted()
    await pilot.pause()


async def until(pilot: Pilot[None], true: Callable[[], object]) -> None:
    for _ in range(500):
        if true():
            return
        await pilot.pause(0.01)
    raise AssertionError("it never came true")


# Keys


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a", b"a"),
        ("q", b"q"),
        ("Q", b"Q"),
        ("space", b" "),
        ("ctrl+q", b"\x11"),
        ("ctrl+p", b"\x10"),
        ("ctrl+c", b"\x03"),
        ("ctrl+z", b"\x1a"),
        ("tab", b"\t"),
        ("shift+tab", b"\x1b[Z"),
        ("escape", b"\x1b"),
        ("enter", b"\r"),
        ("backspace", b"\x7f"),
        ("up", b"\x1b[A"),
        ("ctrl+shift+up", b"\x1b[1;6A"),
        ("f2", b"\x1bOQ"),
        ("shift+f5", b"\x1b[15;2~"),
        ("alt+x", b"\x1bx"),
        ("alt+left", b"\x1b[1;3D"),
        ("漢", "漢".encode()),
        ("left_shift", b""),
    ],
)
async def test_keys_reach_the_program_whatever_the_app_binds(key: str, expected: bytes) -> None:
    async with running() as (app, pilot):
        await pilot.press(key)
        await pilot.pause()
        assert app.typed == expected
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


async def paste(app: Host, pilot: Pilot[None], text: str) -> None:
    app.view.post_message(events.Paste(text))
    await pilot.pause()


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
    async with running() as (app, pilot):
        screen = GivenScreen([row(f"row {n}") for n in range(LINES)], cursor=Cursor(0, 1))
        app.view.terminal = screen
        app.view.painted()
        await pilot.pause()
        screen.rows[4] = row("changed")
        screen.damage = frozenset({4})
        screen.cursor = Cursor(0, 2)
        app.view.painted()
        assert set(app.view._exchange_repaint_regions()) == {
            Region(0, 1, COLUMNS, 2),
            Region(0, 4, COLUMNS, 1),
        }
        app.view.painted()
        await pilot.pause()
        assert not app.view._exchange_repaint_regions()


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
        app.view.painted()
        assert app.emulator.take_damage() == frozenset({0})
        await feed(app, pilot, "\x1b[?2026l")
        assert app.shown[0] == "after!"


async def test_a_program_that_never_ends_its_update_is_drawn_all_the_same() -> None:
    async with running() as (app, pilot):
        app.emulator.take_damage()
        app.emulator.feed(b"\x1b[?2026hstuck")
        app.view.painted()
        await until(pilot, lambda: app.emulator.take_damage() == frozenset())
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


def numbered(first: int, last: int) -> str:
    return "".join(f"line {n}\r\n" for n in range(first, last + 1))


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


# Search


async def test_search_finds_in_the_scrollback_and_walks() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, numbered(1, 300))
        await pilot.press("ctrl+shift+f", *"line 1")
        await until(pilot, lambda: app.view.match is not None and app.shown[0] == "line 199")
        assert app.view.match is not None
        assert app.shown[5].startswith(" find: line 1▏")
        await pilot.press("enter", "n")
        await until(pilot, lambda: app.shown[0] == "line 198")
        await pilot.press("N")
        await until(pilot, lambda: app.view.match is not None and app.view.match.place.line == 198)
        await pilot.press("escape")
        assert app.view.match is None
        assert app.typed == b""
        await pilot.press("n")
        assert app.typed == b"n"


async def test_search_says_when_there_is_nothing() -> None:
    async with running(size=(60, 12)) as (app, pilot):
        app.view.styles.width = 60
        await feed(app, pilot, numbered(1, 20))
        app.view.start_search()
        await paste(app, pilot, "nowhere")
        await until(pilot, lambda: "not found" in app.shown[5])
        await pilot.press("backspace", "ctrl+u", *"line 20")
        await until(pilot, lambda: app.view.match is not None)
        assert app.of(TerminalView.Pasted) == []


# Selection


async def drag(pilot: Pilot[None], start: tuple[int, int], end: tuple[int, int]) -> None:
    await pilot.mouse_down(TerminalView, offset=start)
    await pilot.hover(TerminalView, offset=end)
    await pilot.mouse_up(TerminalView, offset=end)
    await pilot.pause()


def copied(app: Host) -> list[str]:
    return [m.text for m in app.heard if isinstance(m, TerminalView.Copied)]


async def test_a_drag_over_a_soft_wrap_copies_joined_text() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, "start of a line that wraps here\r\nnext   \r\n")
        await drag(pilot, (6, 0), (19, 2))
        assert copied(app) == ["of a line that wraps here\nnext"]
        assert app.clipboard == "of a line that wraps here\nnext"
        assert app.typed == b""


async def test_half_a_wide_character_is_copied_whole() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, "a漢字b")
        await drag(pilot, (2, 0), (3, 0))
        assert copied(app) == ["漢字"]
        assert app.shown[0] == "a漢字b"


async def test_double_click_takes_the_word_and_triple_the_line() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, "cat /var/log/some-file.log now")
        await pilot.double_click(app.view, offset=(8, 0))
        await pilot.pause()
        assert copied(app) == ["/var/log/some-file.log"]
        await pilot.triple_click(app.view, offset=(2, 0))
        await pilot.pause()
        assert copied(app)[-1] == "cat /var/log/some-file.log now"


async def test_a_drag_past_the_edge_scrolls() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, numbered(1, 50))
        await pilot.mouse_down(app.view, offset=(0, 3))
        drop = app.view.region.offset + Offset(3, -2)
        move = events.MouseMove(None, drop.x, drop.y, 0, 0, 1, False, False, False)
        app.screen._forward_event(move)
        await until(pilot, lambda: app.view.viewport.top(app.emulator, LINES) < 40)
        await pilot.mouse_up(app.view, offset=(3, 0))
        await pilot.pause()
        assert copied(app)[0].endswith("\nl")
        assert len(copied(app)[0].splitlines()) > 6


async def test_a_selection_stays_on_its_text_as_it_scrolls() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, "keep me\r\n")
        await drag(pilot, (0, 0), (6, 0))
        await feed(app, pilot, numbered(1, 20))
        app.heard.clear()
        assert app.view.copy_selection()
        await pilot.pause()
        assert copied(app) == ["keep me"]
        await pilot.press("x")
        assert app.view.selection is None


async def test_selecting_by_keyboard_copies_plain_and_styled() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, "one two\r\n\x1b[31mred\x1b[0m end")
        await pilot.press("ctrl+shift+x", "home", "space", "w", "left", "left", "enter")
        await pilot.pause()
        assert copied(app) == ["red"]
        await pilot.press("ctrl+shift+x", "V", "Y")
        await pilot.pause()
        assert copied(app)[-1] == "\x1b[0;31mred\x1b[0m end"
        assert app.typed == b""
        await pilot.press("ctrl+shift+x", "escape", "y")
        assert app.typed == b"y"


# Links


async def test_a_link_shows_its_address_and_is_only_announced() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, "\x1b]8;;https://real.example/x\x07click\x1b]8;;\x07 me")
        await pilot.hover(app.view, offset=(2, 0))
        await pilot.pause()
        assert app.shown[5] == " https://real.examp…"
        await pilot.click(app.view, offset=(2, 0))
        await pilot.pause()
        clicked = [m.url for m in app.heard if isinstance(m, TerminalView.LinkClicked)]
        assert clicked == ["https://real.example/x"]
        await pilot.hover(app.view, offset=(8, 0))
        await pilot.pause()
        assert app.shown[5] == ""
        await pilot.click(app.view, offset=(8, 0))
        await pilot.pause()
        assert len(app.of(TerminalView.LinkClicked)) == 1


# Mouse for the program


async def test_the_program_gets_the_mouse_it_asked_for() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, "\x1b[?1000h\x1b[?1006h")
        await pilot.click(app.view, offset=(3, 2))
        await pilot.pause()
        assert app.typed == b"\x1b[<0;4;3M\x1b[<0;4;3m"
        app.heard.clear()
        await pilot.click(app.view, offset=(0, 0), button=3, control=True)
        await pilot.pause()
        assert app.typed == b"\x1b[<18;1;1M\x1b[<18;1;1m"
        app.heard.clear()
        await pilot._post_mouse_events([events.MouseScrollDown], app.view, offset=(1, 1))
        await pilot.pause()
        assert app.typed == b"\x1b[<65;2;2M"


async def test_drags_and_moves_are_reported_as_asked() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, "\x1b[?1002h\x1b[?1006h")
        await pilot.hover(app.view, offset=(9, 3))
        await pilot.pause()
        assert app.typed == b""
        await pilot.mouse_down(app.view, offset=(1, 1))
        move = events.MouseMove(None, 4, 2, 0, 0, 1, False, False, False)
        app.screen._forward_event(move)
        await pilot.mouse_up(app.view, offset=(4, 2))
        await pilot.pause()
        assert app.typed == b"\x1b[<0;2;2M\x1b[<32;5;3M\x1b[<0;5;3m"
        app.heard.clear()
        await feed(app, pilot, "\x1b[?1003h")
        await pilot.hover(app.view, offset=(7, 4))
        await pilot.pause()
        assert app.typed == b"\x1b[<35;8;5M"


async def test_shift_keeps_the_mouse_for_the_operator() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, "\x1b[?1003h\x1b[?1006hwords here")
        await pilot.mouse_down(app.view, offset=(0, 0), shift=True)
        await pilot.hover(app.view, offset=(4, 0))
        await pilot.mouse_up(app.view, offset=(4, 0), shift=True)
        await pilot.pause()
        assert copied(app) == ["words"]
        assert app.typed == b""


async def test_the_wheel_is_arrows_on_the_alternate_screen() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, "\x1b[?1049h\x1b[?1h")
        await pilot._post_mouse_events([events.MouseScrollUp], app.view, offset=(1, 1))
        await pilot.pause()
        assert app.typed == b"\x1bOA" * 3
        app.heard.clear()
        await feed(app, pilot, "\x1b[?1007l")
        await pilot._post_mouse_events([events.MouseScrollUp], app.view, offset=(1, 1))
        await pilot.pause()
        assert app.typed == b""


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
    async with running(size=(80, 12)) as (app, pilot):
        for width in range(30, 60):
            app.view.styles.width = width
            await pilot.pause()
        await until(pilot, lambda: app.of(TerminalView.Resized)[-1].columns == 59)  # type: ignore[attr-defined]
        sizes = app.of(TerminalView.Resized)
        assert len(sizes) < 30
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
        app.view.painted()
        await pilot.pause()
        assert app.shown[:3] == ["a line of", "more than", "ten"]


async def test_bells_are_announced_but_not_one_by_one() -> None:
    async with running() as (app, pilot):
        for _ in range(20):
            await feed(app, pilot, "\x07\x07")
        assert len(app.of(TerminalView.Rang)) <= 3
        assert len(app.of(TerminalView.Rang)) >= 1


async def test_the_title_is_announced_once_per_change() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, "\x1b]2;first\x07")
        await feed(app, pilot, "text")
        await feed(app, pilot, "\x1b]2;second\x07")
        titles = [m.title for m in app.heard if isinstance(m, TerminalView.TitleChanged)]
        assert titles == ["first", "second"]


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
        await asyncio.sleep(0)
        assert app.typed == b"x"
