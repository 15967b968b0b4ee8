"""The frame around the shells: tabs, focus, endings and the way out."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Button

from services.models import Retry, SandboxId, Shell, ShellState
from tests.support.waiting import eventually
from widgets.panes.sandbox_now import SandboxNow
from widgets.panes.shell_tabs import ShellTabs
from widgets.panes.shells import ShellPane

NOW = 1_750_000_000.0
HOSTILE = "[b]x[/b]\x1b]0;t\x07\x1b[2J"


class View(Widget, can_focus=True):
    """Takes every key but the chord, as a terminal view does."""

    class Typed(Message, namespace="terminal_view"):
        def __init__(self, data: bytes) -> None:
            super().__init__()
            self.data = data

    def __init__(self, words: str) -> None:
        super().__init__()
        self._words = words

    def render(self) -> Content:
        return Content(self._words)

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return key != "ctrl+right_square_bracket"

    def on_key(self, event: events.Key) -> None:
        event.stop()
        self.post_message(self.Typed(b"\r" if event.key == "enter" else event.key.encode()))


class Host(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[object] = []

    def compose(self) -> ComposeResult:
        yield Button("outside")
        yield ShellPane(number="5")

    def on_shell_pane_tab_activated(self, event: ShellPane.TabActivated) -> None:
        self.said.append(("activated", event.id))

    def on_shell_pane_close_requested(self, event: ShellPane.CloseRequested) -> None:
        self.said.append(("close", event.id))

    def on_shell_pane_reopen_requested(self, event: ShellPane.ReopenRequested) -> None:
        self.said.append(("reopen", event.id))

    def on_terminal_view_typed(self, event: View.Typed) -> None:
        self.said.append(("typed", event.data))


def shell(id: str, name: str = "", **more: object) -> Shell:
    fields: dict[str, object] = {"state": ShellState.OPEN, "started_at": NOW}
    return Shell(id=id, sandbox=SandboxId("local", name or f"box-{id}"), **{**fields, **more})  # type: ignore[arg-type]


def screen_text(app: App[None]) -> str:
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(s.text for s in strip).rstrip() for strip in strips)


async def test_an_empty_pane_says_how_to_open_a_shell_and_can_be_focused() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        pane = app.query_one(ShellPane)
        assert "No shell open. Press s on a sandbox." in screen_text(app)
        assert pane.active is None
        pane.focus()
        await pilot.pause()
        assert isinstance(app.focused, SandboxNow)
        assert pane.remove_shell("nobody") is None
        pane.activate("nobody")
        pane.update_shell(shell("nobody"))
        assert pane.active is None


async def test_keys_after_the_chord_never_reach_the_shell() -> None:
    """Also where all of them wait before the first is looked at, as on a slow machine."""
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        pane = app.query_one(ShellPane)
        await pane.add_shell(shell("a"), View("view of a"))
        pane.focus_inside(typing=True)
        await pilot.pause()
        for key in ("y", "ctrl+right_square_bracket", "w"):
            app.post_message(events.Key(key, None))
        await eventually(lambda: ("typed", b"y") in app.said)
        assert not {("typed", b"w"), ("typed", b"ctrl+right_square_bracket")}.intersection(app.said)
        assert isinstance(app.focused, ShellTabs)


async def test_one_view_is_shown_at_a_time_and_tabs_switch() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        pane = app.query_one(ShellPane)
        await pane.add_shell(shell("a"), View("view of a"))
        await pane.add_shell(shell("b"), View("view of b"))
        await pilot.pause()
        assert pane.active == "b"
        assert "view of b" in screen_text(app)
        assert "view of a" not in screen_text(app)
        app.query_one(ShellTabs).focus()
        await pilot.press("h")
        await pilot.pause()
        assert pane.active == "a"
        assert "view of a" in screen_text(app)
        await pilot.press("left")
        await pilot.pause()
        assert pane.active == "b"
        row = next(n for n, line in enumerate(screen_text(app).split("\n")) if "box-a" in line)
        column = screen_text(app).split("\n")[row].index("box-a")
        await pilot.click(offset=(column, row))
        await pilot.pause()
        assert pane.active == "a"
        assert app.said == [("activated", "a"), ("activated", "b"), ("activated", "a")]


async def test_the_chord_shows_exactly_while_the_shell_has_the_keys() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        pane = app.query_one(ShellPane)
        await pane.add_shell(shell("a", title="vim"), View("view"))
        await pilot.pause()
        assert "ctrl+] leaves the shell" not in screen_text(app)
        pane.focus()
        await pilot.pause()
        assert isinstance(app.focused, View)
        assert "ctrl+] leaves the shell" in screen_text(app)
        assert "5 shell · box-a · vim" in screen_text(app)
        pane.focus_inside(typing=False)
        await pilot.pause()
        assert isinstance(app.focused, ShellTabs)
        assert "ctrl+] leaves the shell" not in screen_text(app)
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.focused, View)


async def test_activity_marks_a_hidden_tab_until_it_is_shown() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        pane = app.query_one(ShellPane)
        await pane.add_shell(shell("a"), View("a"))
        await pane.add_shell(shell("b"), View("b"))
        pane.mark_activity("b")
        pane.mark_activity("gone")
        await pilot.pause()
        assert "•" not in screen_text(app)
        pane.mark_activity("a")
        await pilot.pause()
        assert "box-a •" in screen_text(app)
        pane.activate("a")
        await pilot.pause()
        assert "•" not in screen_text(app)


async def test_a_lost_shell_offers_a_new_one_by_enter_and_swallows_the_rest() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        pane = app.query_one(ShellPane)
        first = shell("a")
        await pane.add_shell(first, View("last words"))
        pane.focus()
        await pilot.pause()
        await pilot.press("x", "enter")
        await pilot.pause()
        assert app.said == [("typed", b"x"), ("typed", b"\r")]
        app.said.clear()
        pane.update_shell(replace(first, state=ShellState.LOST, reason="connection reset"))
        await pilot.pause()
        assert "✕ lost: connection reset" in screen_text(app)
        assert "press Enter to open a new shell" in screen_text(app)
        assert "last words" in screen_text(app)
        await pilot.press("x", "enter")
        await pilot.pause()
        assert app.said == [("reopen", "a")]
        app.query_one(ShellTabs).focus()
        await pilot.press("enter")
        await pilot.pause()
        assert app.said == [("reopen", "a")] * 2


async def test_what_cannot_be_reopened_is_not_offered() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        pane = app.query_one(ShellPane)
        over = shell("a", state=ShellState.FAILED, reason="no terminal here", retry=Retry.NO)
        await pane.add_shell(over, View(""))
        pane.focus()
        await pilot.pause()
        assert "opening it again will not help" in screen_text(app)
        await pilot.press("enter")
        await pilot.pause()
        assert app.said == []


async def test_notice_and_markers_belong_to_the_shell_in_front() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        pane = app.query_one(ShellPane)
        odd = shell("a", notice="A shell on your own machine", skipped_bytes=3_200_000)
        await pane.add_shell(replace(odd, input_blocked=True), View("a"))
        await pilot.pause()
        assert "A shell on your own machine" in screen_text(app)
        assert "… 3.2MB skipped  ! remote is not reading input" in screen_text(app)
        await pane.add_shell(shell("b"), View("b"))
        await pilot.pause()
        assert "own machine" not in screen_text(app)
        assert "skipped" not in screen_text(app)


async def test_closing_asks_and_removing_moves_to_the_neighbour() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        pane = app.query_one(ShellPane)
        for name in ("a", "b", "c"):
            await pane.add_shell(shell(name), View(f"view of {name}"))
        pane.activate("b")
        app.query_one(ShellTabs).focus()
        await pilot.press("x")
        line = next(n for n in screen_text(app).split("\n") if "box-c" in n)
        row = screen_text(app).split("\n").index(line)
        await pilot.click(offset=(line.index("×", line.index("box-c")), row))
        await pilot.pause()
        assert app.said == [("close", "b"), ("close", "c")]
        pane.focus()
        await pilot.pause()
        removed = pane.remove_shell("b")
        assert removed is not None
        await removed
        await pilot.pause()
        assert pane.active == "c"
        assert isinstance(app.focused, View)
        assert "view of c" in screen_text(app)
        for name in ("a", "c"):
            removed = pane.remove_shell(name)
            assert removed is not None
            await removed
        await pilot.pause()
        assert "No shell open" in screen_text(app)
        assert isinstance(app.focused, SandboxNow)
        assert len(app.query(View)) == 0


async def test_removing_elsewhere_leaves_the_focus_where_it_is() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        pane = app.query_one(ShellPane)
        await pane.add_shell(shell("a"), View("a"))
        app.query_one(Button).focus()
        await pilot.pause()
        removed = pane.remove_shell("a")
        assert removed is not None
        await removed
        await pilot.pause()
        assert app.focused is app.query_one(Button)


async def test_hostile_words_stay_words() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        pane = app.query_one(ShellPane)
        over = shell(
            "a", HOSTILE, title=HOSTILE, notice=HOSTILE, state=ShellState.LOST, reason=HOSTILE
        )
        await pane.add_shell(over, View("a"))
        await pane.add_shell(shell("b", HOSTILE), View("b"))
        pane.activate("a")
        await pilot.pause()
        said = screen_text(app)
        assert said.count("[b]x[/b]") >= 5
        assert "\x1b" not in said
        assert "\x07" not in said


async def test_a_bell_marks_the_tab_until_somebody_types_there() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        pane = app.query_one(ShellPane)
        await pane.add_shell(shell("1"), View("one"))
        await pane.add_shell(shell("2"), View("two"))
        pane.mark_bell("1")
        pane.mark_bell("gone")
        await pilot.pause()
        assert screen_text(app).count("♪") == 1
        pane.activate("1")
        await pilot.pause()
        assert "♪" in screen_text(app), "seen is not yet answered"
        pane.focus()
        await pilot.pause()
        assert "♪" not in screen_text(app)
        pane.mark_bell("1")
        await pilot.pause()
        assert "♪" not in screen_text(app), "who types there has heard it"


async def test_a_tab_names_the_working_folder_while_its_shell_is_open() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        pane = app.query_one(ShellPane)
        first = shell("a", folder="/home/me/src")
        await pane.add_shell(first, View("one"), "alpha")
        await pilot.pause()
        assert "alpha src ×" in screen_text(app)
        assert "· /home/me/src" in screen_text(app)
        for folder, words in (("/", "alpha / ×"), ("/[b]x\n", "alpha [b]x ×"), ("", "alpha ×")):
            pane.update_shell(replace(first, folder=folder, title="vim"))
            await pilot.pause()
            assert words in screen_text(app)
            assert "· vim" in screen_text(app)
        over = replace(first, state=ShellState.ENDED, code=0)
        pane.update_shell(over)
        await pilot.pause()
        assert "alpha ended" in screen_text(app)


async def test_what_was_skipped_is_told_until_it_was_seen_caught_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("widgets.panes.shells.SKIPPED_SHOWN_S", 0.2)
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        pane = app.query_one(ShellPane)
        flooded = shell("a", skipped_bytes=3_200_000, skipping=True)
        await pane.add_shell(flooded, View("a"))
        await asyncio.sleep(0.4)  # Longer than it would be told, were it over.
        assert "… 3.2MB skipping" in screen_text(app)
        await pane.add_shell(shell("b"), View("b"))
        pane.update_shell(replace(flooded, skipping=False))
        await asyncio.sleep(0.4)  # Nobody sees it meanwhile.
        monkeypatch.setattr("widgets.panes.shells.SKIPPED_SHOWN_S", 3600)
        pane.activate("a")
        await pilot.pause()
        assert "… 3.2MB skipped" in screen_text(app)
        pane.activate("b")
        await pilot.pause()
        monkeypatch.setattr("widgets.panes.shells.SKIPPED_SHOWN_S", 0.2)
        pane.activate("a")
        await eventually(lambda: "skipped" not in screen_text(app))
        pane.update_shell(replace(flooded, skipped_bytes=4_300_000))
        await pilot.pause()
        assert "… 1.1MB skipping" in screen_text(app)
