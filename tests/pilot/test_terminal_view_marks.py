"""The terminal view on a real emulator: search, selection, links, the mouse of the program."""

from __future__ import annotations

import pytest
from textual import events
from textual.geometry import Offset
from textual.pilot import Pilot

from tests.support.terminal_host import LINES, Host, feed, numbered, paste, running
from tests.support.waiting import eventually
from widgets.terminal.selection import Unit
from widgets.terminal.view import TerminalView

# Search


async def test_search_finds_in_the_scrollback_and_walks() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, numbered(1, 300))
        await pilot.press("ctrl+shift+f", *"line 1")
        await eventually(lambda: app.view.match is not None and app.shown[0] == "line 199")
        assert app.shown[5] == " find: line 1▏ · En…"
        await pilot.press("enter", "n")
        await eventually(lambda: app.shown[0] == "line 198")
        await pilot.press("N")
        await eventually(lambda: app.view.match is not None and app.view.match.position.line == 198)
        await pilot.press("escape")
        assert app.shown[5] == "line 203 98 below ↓"
        assert app.typed == b""
        await pilot.press("n")
        assert app.typed == b"n"


async def test_search_says_when_there_is_nothing() -> None:
    async with running(size=(60, 12)) as (app, pilot):
        app.view.styles.width = 60
        await feed(app, pilot, numbered(1, 20))
        app.view.start_search()
        await paste(app, pilot, "nowhere")
        await eventually(lambda: "not found" in app.shown[5])
        await pilot.press("backspace", "ctrl+u", *"line 20")
        await eventually(lambda: app.view.match is not None)
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


TABLE = "name   size\r\nalpha    12\r\nbeta      7\r\ngamma   130\r\n"


async def test_a_drag_with_alt_takes_a_block() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, TABLE)
        await pilot.mouse_down(TerminalView, offset=(10, 1), meta=True)
        await pilot.hover(TerminalView, offset=(7, 3))
        await pilot.mouse_up(TerminalView, offset=(7, 3))
        await pilot.pause()
        assert copied(app) == ["  12\n   7\n 130"]
        await drag(pilot, (0, 1), (3, 2))
        assert copied(app)[1:] == ["alpha    12\nbeta"]


async def test_a_block_is_selected_by_keyboard_and_ends_where_lines_end() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, TABLE)
        app.view.start_keyboard_selection()
        await pilot.press("up", "up", "up", "up", "space", "down", "down", "right", "right", "R")
        assert app.view.selection is not None and app.view.selection.unit is Unit.BLOCK
        await pilot.press("enter")
        assert copied(app) == ["nam\nalp\nbet"]
        app.view.start_keyboard_selection()
        await pilot.press("ctrl+v", *["up"] * 4, *["right"] * 9, "y")
        assert copied(app)[1] == "name   siz\nalpha    1\nbeta\ngamma   13\n"


async def test_a_drag_past_the_edge_scrolls() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, numbered(1, 50))
        await pilot.mouse_down(app.view, offset=(0, 3))
        drop = app.view.region.offset + Offset(3, -2)
        move = events.MouseMove(None, drop.x, drop.y, 0, 0, 1, False, False, False)
        app.screen._forward_event(move)
        await eventually(lambda: app.view.viewport.top(app.emulator, LINES) < 40)
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


@pytest.mark.slow
async def test_a_link_shows_its_address_and_is_only_announced() -> None:
    async with running() as (app, pilot):
        await feed(app, pilot, "\x1b]8;;https://real.example/x\x07click\x1b]8;;\x07 me")
        await pilot.hover(app.view, offset=(2, 0))
        await pilot.pause()
        assert app.shown[5] == " https://real.exam…"
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
        x, y = app.view.region.offset + Offset(4, 2)
        move = events.MouseMove(None, x, y, 0, 0, 1, False, False, False)
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


# Prompt marks


def marked(*commands: tuple[str, str]) -> str:
    """Commands and their outputs as a shell with marks prints them, then a prompt."""
    sent = "".join(
        f"\x1b]133;A\x07$ \x1b]133;B\x07{words}\r\n\x1b]133;C\x07{output}\x1b]133;D;0\x07"
        for words, output in commands
    )
    return sent + "\x1b]133;A\x07$ \x1b]133;B\x07"


async def test_prompts_are_walked_and_the_last_output_is_copied() -> None:
    async with running() as (app, pilot):
        lines = "".join(f"line {number}\r\n" for number in range(8))
        await feed(app, pilot, marked(("one", lines), ("two", lines)))
        await pilot.press("ctrl+shift+up")
        assert app.shown[0] == "$ two"
        await pilot.press("ctrl+shift+up")
        assert app.shown[0] == "$ one"
        assert app.of(TerminalView.Refused) == []
        await pilot.press("ctrl+shift+up")
        await pilot.pause()
        assert [m.words for m in app.heard if isinstance(m, TerminalView.Refused)] == [
            "There is no prompt above."
        ]
        await pilot.press("ctrl+shift+down")
        assert app.shown[0] == "$ two"
        await pilot.press("ctrl+shift+down")
        assert app.view.viewport.following
        await pilot.press("ctrl+shift+o")
        assert app.clipboard == lines.replace("\r\n", "\n").rstrip()
        assert app.typed == b""


async def test_without_marks_and_in_full_screen_programs_the_keys_are_the_programs() -> None:
    async with running() as (app, pilot):
        await pilot.press("ctrl+shift+down", "ctrl+shift+o")
        assert app.typed == b"\x1b[1;6B\x0f"
        app.heard.clear()
        await feed(app, pilot, marked(("vi", "")) + "\x1b[?1049h")
        await pilot.press("ctrl+shift+up")
        assert app.typed == b"\x1b[1;6A"
