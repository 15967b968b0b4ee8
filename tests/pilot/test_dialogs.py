"""Confirming, help and details."""

from __future__ import annotations

import json
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Button, Input

from services.models import (
    Direction,
    Event,
    InLabel,
    Message,
    Sandbox,
    SandboxId,
    SandboxState,
    Severity,
)
from widgets.dialogs.confirm import ConfirmDialog
from widgets.dialogs.help import HelpScreen
from widgets.panes.binding_rows import key_sections
from widgets.panes.details import DetailPane

NOW = 1_750_000_000.0
HOSTILE = "[b]x[/b]\x1b]0;t\x07\x1b[2J"


class Pane(VerticalScroll, can_focus=True):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter rows", id="pane.filter", tooltip="! inverts"),
        Binding("o", "sort", "Sort", id="pane.sort"),
    ]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return None if action == "sort" else True


class Host(App[None]):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark", "help", "Help", id="help")]

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[bool | None] = []
        self.copied: list[str] = []

    def compose(self) -> ComposeResult:
        yield Pane()

    def on_detail_pane_copy_requested(self, event: DetailPane.CopyRequested) -> None:
        self.copied.append(event.text)

    def action_help(self) -> None:
        titles = {"Pane": "Sandboxes"}
        self.push_screen(HelpScreen(key_sections(self, self.screen.active_bindings, titles)))

    def ask(self, **more: str) -> None:
        self.push_screen(
            ConfirmDialog("Reset it?", "local/one", "Its queues are emptied.", **more),
            self.answers.append,
        )


def screen_text(app: App[None]) -> str:
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(s.text for s in strip).rstrip() for strip in strips)


def is_off(button: Button) -> bool:
    return button.disabled


def box(**more: object) -> Sandbox:
    fields: dict[str, object] = {"name": "one", "reason": "its process is gone"}
    return Sandbox(
        id=SandboxId("local", "one"),
        state=SandboxState.BROKEN,
        observed_at=NOW - 3,
        **{**fields, **more},  # type: ignore[arg-type]
    )


async def test_cancel_has_the_focus_and_every_way_out_but_one_is_no() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        for keys in (["enter"], ["escape"], ["n"], ["y"], ["right", "enter"]):
            app.ask(verb="Reset")
            await pilot.pause()
            assert app.focused is app.screen.query_one("#confirm-no", Button)
            assert "local/one" in screen_text(app)
            assert "Reset (y)" in screen_text(app)
            assert "Cancel (esc, n, q)" in screen_text(app)
            await pilot.press(*keys)
            await pilot.pause()
        assert app.answers == [False, False, False, True, True]


async def test_the_name_has_to_be_typed_first() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        app.ask(verb="Reset", type_to_confirm="one")
        await pilot.pause()
        yes = app.screen.query_one("#confirm-yes", Button)
        assert app.focused is app.screen.query_one(Input)
        assert is_off(yes)
        await pilot.press("o", "n", "y", "enter")
        assert app.answers == []
        await pilot.press("backspace", "e")
        await pilot.pause()
        assert not is_off(yes)
        await pilot.press("enter")
        await pilot.pause()
        assert app.answers == [True]
        app.ask(type_to_confirm="one")
        await pilot.pause()
        await pilot.press("tab", "y")
        await pilot.pause()
        assert app.answers == [True]
        await pilot.press("escape")
        await pilot.pause()
        assert app.answers == [True, False]


async def test_the_labels_follow_the_keymap() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        app.set_keymap({"confirm.yes": "f9"})
        app.ask(verb="Reset")
        await pilot.pause()
        assert "Reset (f9)" in screen_text(app)
        await pilot.press("y")
        assert app.answers == []
        await pilot.press("f9")
        await pilot.pause()
        assert app.answers == [True]


async def test_a_hostile_question_is_only_words() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(
            ConfirmDialog(HOSTILE, HOSTILE, HOSTILE, verb=HOSTILE, type_to_confirm=HOSTILE)
        )
        await pilot.pause()
        assert screen_text(app).count("[b]x[/b]") == 5
        assert "\x1b" not in screen_text(app)


async def test_help_lists_the_focused_pane_first_and_searches() -> None:
    app = Host()
    async with app.run_test(size=(80, 60)) as pilot:
        app.query_one(Pane).focus()
        await pilot.press("question_mark")
        await pilot.pause()
        said = screen_text(app)
        assert said.index("Sandboxes") < said.index("Everywhere")
        assert "Filter rows  ! inverts" in said
        assert "Sort  off now" in said
        await pilot.press(*"nonesuch")
        await pilot.pause()
        assert "no key like that" in screen_text(app)
        for _ in range(8):
            await pilot.press("backspace")
        await pilot.press(*"filter")
        await pilot.pause()
        assert "Filter rows" in screen_text(app)
        assert "Everywhere" not in screen_text(app)
        await pilot.press("escape")
        await pilot.pause()
        assert not isinstance(app.screen, HelpScreen)


async def test_details_show_facts_events_and_record_and_stay_true() -> None:
    app = Host()
    async with app.run_test(size=(100, 60)) as pilot:
        happened = [Event(NOW - 9, Severity.WORSE, "local", "one", "sandbox", "it broke")]
        pane = DetailPane(box(inbound=(("due", 4),)), now=NOW, events=happened)
        await app.push_screen(pane)
        await pilot.pause()
        said = screen_text(app)
        for words in ("⊗ broken  one", "its process is gone", "3s ago", "4 due", "↓ worse"):
            assert words in said
        assert '"native_id": "one"' in said
        pane.show(box(reason="back again"), now=NOW + 7, events=happened)
        await pilot.pause()
        said = screen_text(app)
        assert "back again" in said
        assert "10s ago" in said
        assert "Queues" not in said
        pane.show_missing(NOW + 60)
        await pilot.pause()
        assert "no longer reported" in screen_text(app)
        await pilot.press("y")
        await pilot.pause()
        assert json.loads(app.copied[0])["reason"] == "back again"
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen is not pane


async def test_what_was_asked_for_stands_in_the_details_with_its_age() -> None:
    app = Host()
    async with app.run_test(size=(100, 60)) as pilot:
        pane = DetailPane(box(), now=NOW)
        await app.push_screen(pane)
        await pilot.pause()
        assert "Asked" not in screen_text(app)
        pane.show_described((("run log", "went well"), ("", "went\x1b[2J [b]badly[/b]")), NOW + 1)
        pane.show(box(reason="back again"), now=NOW + 9)
        await pilot.pause()
        said = screen_text(app)
        for words in ("Asked 8s ago", "went well", "[b]badly[/b]"):
            assert words in said
        pane.show_described((), NOW + 9)
        await pilot.pause()
        assert "Asked" not in screen_text(app)


async def test_details_keep_their_place_while_they_update() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        evidence = tuple((f"fact-{n}", "x" * 90) for n in range(30))
        pane = DetailPane(box(evidence=evidence), now=NOW)
        await app.push_screen(pane)
        await pilot.pause()
        scroll = pane.query_one("#detail-scroll")
        await pilot.press("pagedown", "j")
        await pilot.pause()
        place = scroll.scroll_offset.y
        assert place > 0
        pane.show(box(evidence=evidence), now=NOW + 30)
        await pilot.pause()
        assert scroll.scroll_offset.y == place
        await pilot.press("G")
        await pilot.pause()
        assert scroll.scroll_offset.y == scroll.max_scroll_y
        await pilot.press("g")
        await pilot.pause()
        assert scroll.scroll_offset.y == 0
        await pilot.press("tab")
        await pilot.pause()
        assert "Record" in screen_text(app)
        assert scroll.scroll_offset.y > place
        await pilot.press("shift+tab")
        await pilot.pause()
        assert scroll.scroll_offset.y == 0


async def test_a_message_shows_its_preview_then_its_content() -> None:
    app = Host()
    async with app.run_test(size=(80, 40)) as pilot:
        message = Message(Direction.IN, "m1", 1, InLabel.DUE, "chat", NOW, "the preview", 9000)
        pane = DetailPane(message, now=NOW)
        await app.push_screen(pane)
        await pilot.pause()
        assert "the preview" in screen_text(app)
        pane.show_loading()
        await pilot.pause()
        assert "loading…" in screen_text(app)
        pane.show_content("first [b]line[/b]\nsecond\x1b[2J line")
        pane.show(message, now=NOW + 5)
        await pilot.pause()
        assert "first [b]line[/b]" in screen_text(app)
        assert "\x1b" not in screen_text(app)
        pane.show_problem("no such message")
        await pilot.pause()
        assert "✕ no such message" in screen_text(app)


async def test_text_in_the_details_can_be_selected() -> None:
    app = Host()
    async with app.run_test(size=(100, 60)) as pilot:
        pane = DetailPane(box(reason=HOSTILE), now=NOW)
        await app.push_screen(pane)
        await pilot.pause()
        assert "[b]x[/b]" in screen_text(app)
        pane.query_one("#detail-facts").text_select_all()
        await pilot.pause()
        selected = pane.get_selected_text()
        assert selected is not None
        assert "[b]x[/b]" in selected
        assert "local/one" in selected
